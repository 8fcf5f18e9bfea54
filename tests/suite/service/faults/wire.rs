//! A wire that breaks: connections that are cut at any byte, and delayed.

use core::{net::SocketAddr, time::Duration};
use std::sync::Arc;

use griptrace_tests::seed::{Rng, Seed};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::crowd::Crowd;
use crate::{
    holding::rounds,
    served::{Desk, Endpoints, block_on},
};

/// Passes bytes on, a few at a time and some late, until so many have gone through; then both ends are cut off.
async fn pass(mut near: TcpStream, mut far: TcpStream, mut left: u64, mut rng: Rng) {
    let (mut to_far, mut to_near) = ([0; 700], [0; 700]);
    loop {
        let passed = tokio::select! {
            read = near.read(&mut to_far) => {
                let count = read.unwrap_or(0);
                let most = count.min(usize::try_from(left).unwrap_or(usize::MAX));
                if far.write_all(&to_far[..most]).await.is_err() { 0 } else { count }
            }
            read = far.read(&mut to_near) => {
                let count = read.unwrap_or(0);
                let most = count.min(usize::try_from(left).unwrap_or(usize::MAX));
                if near.write_all(&to_near[..most]).await.is_err() { 0 } else { count }
            }
        };
        left = left.saturating_sub(u64::try_from(passed).unwrap());
        if passed == 0 || left == 0 {
            return;
        }
        if rng.one_in(8) {
            sleep(Duration::from_millis(rng.below(4))).await;
        }
    }
}

/// Starts a wire that leads to a service, and breaks.
async fn wire(to: SocketAddr, mut rng: Rng) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(to).await else { continue };
            // What is small is passed on at once.
            near.set_nodelay(true).unwrap();
            far.set_nodelay(true).unwrap();
            // From the middle of the handshake to a few dozen commits.
            let most = [200, 3_000, 20_000][rng.index(3)];
            let left = 1 + rng.below(most);
            tokio::spawn(pass(near, far, left, Seed::from_number(rng.next_u64()).rng()));
        }
    });
    address
}

#[test]
fn over_a_wire_that_breaks_every_commit_comes_through_once() {
    let mut rng = Seed::for_test("over_a_wire_that_breaks").rng();
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let broken = wire(server.grpc, Seed::from_number(rng.next_u64()).rng()).await;
        let crowd = Arc::<Crowd>::default();
        for _ in 0..rounds(5) * 6 {
            let clients: Vec<_> = (0..3).map(|_| crowd.join(&desk, broken, rng.next_u64())).collect();
            for client in clients {
                // Each goes on until it is cut off.
                client.await.unwrap();
            }
        }
        crowd.compare(&desk);
        crowd.send_all_again(&Endpoints::plain(broken)).await;
        crowd.compare(&desk);
        let told = crowd.told();
        let cut: u64 = told.refusals.values().sum();
        println!("{} receipts, {cut} cut off", told.receipts.len());
        assert!(cut > 20 && told.receipts.len() > 50, "{cut} cuts, {} receipts", told.receipts.len());
    });
}
