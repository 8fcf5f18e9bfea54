//! Several servers of one log in a bucket: whoever writes is killed, stopped, or cut off from the bucket, again and again.

mod crowd;
mod keys;
mod proxy;
mod servers;

use core::time::Duration;
use std::{sync::Arc, time::Instant};

use griptrace_tests::{seed::Seed, skipped};

use crate::{holding::rounds, seaweed::Seaweed, served::block_on};
use crowd::Crowd;
use servers::Fleet;

const SERVERS: usize = 3;
const CLIENTS: u64 = 32;
/// How long nothing may be acknowledged when the writer is gone. Others wait three seconds of it, since it may be there.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// On a machine that does much besides, the same test with more time: in seconds.
const PAUSE_MAX_VARIABLE: &str = "GRIPTRACE_PAUSE_MAX";

/// What happens to who writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blow {
    Killed,
    Stopped,
    CutOff,
}

#[test]
fn whoever_writes_is_followed_by_another_and_nothing_acknowledged_is_lost() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let mut rng = Seed::for_test("whoever_writes_is_followed_by_another").rng();
    let pause_max = std::env::var_os(PAUSE_MAX_VARIABLE).and_then(|text| text.to_str()?.parse().ok());
    let pause_max = pause_max.map_or(PAUSE_MAX, Duration::from_secs);
    block_on(async {
        let mut fleet = Fleet::new(&seaweed, SERVERS, rng.next_u64());
        let crowd = Arc::new(Crowd::new(fleet.home(), fleet.addresses()));
        let clients: Vec<_> = (0..CLIENTS).map(|_| crowd.join(rng.next_u64())).collect();
        let mut pauses = Vec::new();
        for round in 0..rounds(3) {
            crowd.until_acknowledged(Instant::now()).await;
            let writer = fleet.writer().await;
            let blow = [Blow::Killed, Blow::Stopped, Blow::CutOff][usize::try_from(rng.below(3)).unwrap()];
            tokio::time::sleep(Duration::from_millis(rng.below(1000))).await;
            fleet.strike(writer, blow);
            let struck = Instant::now();
            crowd.until_acknowledged(struck).await;
            let pause = struck.elapsed();
            println!("round {round}: server {writer} {blow:?}, the next receipt after {pause:?}");
            pauses.push(pause);
            // It comes back while another one writes, sooner or later.
            tokio::time::sleep(Duration::from_millis(rng.below(3000))).await;
            fleet.mend(writer, blow).await;
            fleet.look(&crowd).await;
        }
        crowd.end();
        for client in clients {
            client.await.unwrap();
        }
        let (commits, tries) = crowd.compare(&fleet.log(crowd.size()));
        pauses.sort_unstable();
        let (median, worst) = (pauses[pauses.len() / 2], pauses[pauses.len() - 1]);
        println!("{commits} commits in {tries} tries; until the next receipt: median {median:?}, worst {worst:?}");
        assert!(worst <= pause_max, "{worst:?} without a receipt: {pauses:?}");
    });
}
