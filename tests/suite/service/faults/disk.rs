//! The disk is full.

use core::time::Duration;
use std::{fs, sync::Arc};

use griptrace_tests::{seed::Seed, skipped};
use tonic::Code;

use super::crowd::Crowd;
use crate::{
    holding::image::Mount,
    served::{Desk, Endpoints, block_on},
};

/// Size of the disk, in KiB.
const DISK_KIB: u64 = 24 << 10;

#[test]
fn on_a_full_disk_nothing_is_acknowledged_and_nothing_that_was_is_lost() {
    let mut rng = Seed::for_test("on_a_full_disk").rng();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("disk");
    let mount = match Mount::in_memory(&at, DISK_KIB) {
        Ok(mount) => mount,
        Err(why) => skipped!(&format!("no file system of a size can be mounted: {why}")),
    };
    let desk = Desk::at(&at);
    // What can be taken away again to make room.
    let ballast = at.join("ballast");
    fs::write(&ballast, vec![7; 20 << 20]).unwrap();
    block_on(async {
        let server = desk.serve("");
        let crowd = Arc::<Crowd>::default();
        assert_eq!(server.site().get("/readyz").0, 200);
        let unavailable = i32::from(Code::Unavailable);
        for _ in 0..200 {
            let clients: Vec<_> = (0..4).map(|_| crowd.join(&desk, server.grpc, rng.next_u64())).collect();
            tokio::time::sleep(Duration::from_millis(20)).await;
            let ended = clients.iter().all(tokio::task::JoinHandle::is_finished);
            if ended || crowd.told().refusals.keys().any(|(code, _)| *code == unavailable) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        crowd.end();
        tokio::time::sleep(Duration::from_millis(200)).await;
        {
            let told = crowd.told();
            let reasons: Vec<_> = told.refusals.keys().cloned().collect();
            assert!(!reasons.is_empty(), "the disk is full, and {} commits were taken", told.receipts.len());
            assert!(reasons.iter().all(|(code, _)| *code == unavailable), "{reasons:?}");
            let known = ["STORE_FAILED", "STORE_CLOSED"];
            assert!(reasons.iter().all(|(_, reason)| known.contains(&reason.as_str())), "{reasons:?}");
            assert!(told.receipts.len() > 10, "{} receipts", told.receipts.len());
        }
        let (code, body) = server.site().get("/readyz");
        assert_eq!(code, 503, "{}", String::from_utf8_lossy(&body));
        assert_eq!(server.site().get("/healthz").0, 200, "the process lives");
        server.kill();
        fs::remove_file(&ballast).unwrap();
        let server = desk.serve("");
        assert_eq!(server.site().get("/readyz").0, 200);
        crowd.compare(&desk);
        crowd.send_all_again(&Endpoints::plain(server.grpc)).await;
        crowd.compare(&desk);
        assert!(server.end().success());
    });
    drop(desk);
    drop(mount);
}
