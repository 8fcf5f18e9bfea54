//! The service is killed under load, again and again.

use core::time::Duration;
use std::sync::Arc;

use griptrace_tests::seed::Seed;

use super::crowd::Crowd;
use crate::{
    holding::rounds,
    served::{Desk, Endpoints, block_on},
};

const CLIENTS: u64 = 8;

#[test]
fn what_the_service_acknowledged_survives_being_killed_and_is_there_once() {
    let mut rng = Seed::for_test("survives_being_killed_and_is_there_once").rng();
    block_on(async {
        let desk = Desk::new();
        let crowd = Arc::<Crowd>::default();
        for round in 0..rounds(5) {
            let server = desk.serve("");
            let clients: Vec<_> = (0..CLIENTS).map(|_| crowd.join(&desk, server.grpc, rng.next_u64())).collect();
            tokio::time::sleep(Duration::from_millis(50 + rng.below(400))).await;
            server.kill();
            for client in clients {
                client.await.unwrap();
            }
            crowd.compare(&desk);
            // Who had no answer sends again; who had one may too.
            let server = desk.serve("");
            crowd.send_all_again(&Endpoints::plain(server.grpc)).await;
            assert!(server.end().success(), "round {round}");
        }
        crowd.compare(&desk);
        let told = crowd.told();
        println!("{} receipts, refusals {:?}", told.receipts.len(), told.refusals);
        assert!(told.receipts.len() > 50, "only {} receipts", told.receipts.len());
    });
}
