//! The log's key is changed as docs/operations.md says, and one server is left out.

use core::{slice, time::Duration};
use std::{fs, time::Instant};

use griptrace_core::note::Note;
use griptrace_tests::{seed::Seed, skipped};
use tonic::Code;

use super::{Blow, servers::Fleet};
use crate::{
    holding::factory::committer,
    seaweed::Seaweed,
    served::{Endpoints, Maker, block_on, reason},
};

const KEY: &str = "keys/log-2.key";
/// Which server gets no copy of the new key.
const LEFT_OUT: usize = 1;

#[test]
fn servers_go_on_after_the_logs_key_was_changed_and_the_one_that_was_left_out_says_so() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let mut rng = Seed::for_test("servers_go_on_after_the_logs_key_was_changed").rng();
    block_on(async {
        let mut fleet = Fleet::new(&seaweed, 3, rng.next_u64());
        let mut maker = Maker::for_log(fleet.home(), rng, committer());
        commit(&fleet, 0, &mut maker, "before").await;
        fleet.griptrace(0, &["key", "new", &format!(".griptrace/{KEY}")]);
        fs::copy(fleet.file(0, KEY), fleet.file(2, KEY)).unwrap();
        for which in [0, 2] {
            let config = fleet.file(which, "config.toml");
            let text = fs::read_to_string(&config).unwrap();
            let both = format!("log = \"keys/log.key\"\nnext_log = \"{KEY}\"");
            fs::write(&config, text.replace("log = \"keys/log.key\"", &both)).unwrap();
            fleet.end(which);
            fleet.start(which);
        }
        commit(&fleet, 2, &mut maker, "with both keys").await;
        (0..3).for_each(|which| fleet.end(which));
        let said = fleet.griptrace(0, &["key", "rotate", "log"]);
        assert!(said.contains("successor"), "{said}");
        let config = fs::read_to_string(fleet.file(0, "config.toml")).unwrap();
        assert!(config.contains(&format!("log = \"{KEY}\"")) && !config.contains("next_log"), "{config}");

        // The one that was left out, alone with a free turn, leaves it and says why.
        fleet.start(LEFT_OUT);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!fleet.is_written(), "nobody writes");
        let said = fleet.said(LEFT_OUT);
        assert!(said.contains("give it the file of the log's key"), "{said}");
        fleet.start(0);
        fleet.start(2);
        let writer = fleet.writer().await;
        commit(&fleet, LEFT_OUT, &mut maker, "handed in").await;
        fleet.strike(writer, Blow::Killed);
        let size = commit(&fleet, LEFT_OUT, &mut maker, "after a take-over").await;
        assert_eq!((writer == LEFT_OUT, fleet.writer().await), (false, 2 - writer), "the other one that has the key");
        let log = fleet.log(size);
        let (note, keys) = (Note::parse(log.checkpoint().as_bytes()).unwrap(), log.verifiers());
        assert_eq!((keys.len(), note.verify(slice::from_ref(&keys[0])).unwrap().len()), (2, 1), "the new key signs");
        let report = log.fsck(&|_, _, _| {}).unwrap();
        assert!(report.is_clean(), "{:?}", report.faults);
    });
}

/// Commits through a server until there is a receipt; returns the log's size in it.
async fn commit(fleet: &Fleet, which: usize, maker: &mut Maker, name: &str) -> u64 {
    let nodes = maker.nodes.batch(name, 2, &[]);
    let request = maker.sign(&nodes);
    let begun = Instant::now();
    loop {
        let client = Endpoints::plain(fleet.addresses()[which]).connect().await.ok();
        let answer = match client {
            Some(mut client) => client.commits.commit(request.clone()).await,
            None => Err(tonic::Status::unavailable("it does not listen")),
        };
        match answer {
            Ok(answer) => return answer.into_inner().receipt.expect("a commit is answered by a receipt").tree_size,
            Err(status) => {
                let (code, why) = reason(&status);
                assert!(why.is_empty() || code == Code::Unavailable, "{status:?}");
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{name}: no receipt comes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
