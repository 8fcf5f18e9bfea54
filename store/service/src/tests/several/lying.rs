//! What the server that writes answers is believed as far as it is proven.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
};

use griptrace_core::{
    key::{Algorithm, PublicKey, SecretKey, Signer as _},
    note::{Note, NoteSigner},
    tree::Rfc9162,
};
use griptrace_proto::v1::{
    self,
    commit_service_server::{CommitService, CommitServiceServer},
};
use griptrace_store::{SignedCommit, Store};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, Streaming, transport::Server};

use super::{
    super::world::{ORIGIN, now},
    fleet::{Fleet, reason},
};
use crate::{
    call::Answers,
    committing::records,
    grpc::{digest, digests},
};

/// What is done to a receipt.
type Lie = fn(&mut v1::Receipt);

/// A server that writes, and lies about it.
#[derive(Clone)]
struct Liar {
    store: Store,
    lie: Arc<Mutex<Lie>>,
}

#[tonic::async_trait]
impl CommitService for Liar {
    async fn commit(&self, request: Request<v1::CommitRequest>) -> Result<Response<v1::CommitResponse>, Status> {
        let request = request.into_inner();
        let nodes = records("nodes", &request.nodes)?;
        let commit = SignedCommit::new(request.entry.to_vec(), nodes, committer());
        let receipt = self.store.commit_signed(vec![commit], now()).pop().unwrap().unwrap();
        let mut told = v1::Receipt {
            commit_digest: digest(&Rfc9162::leaf_hash(&request.entry)),
            index: receipt.index,
            tree_size: receipt.size,
            log_path: digests(&receipt.inclusion),
            checkpoint: receipt.checkpoint,
            already_recorded: receipt.is_old,
        };
        let lie = *self.lie.lock().unwrap();
        lie(&mut told);
        Ok(Response::new(v1::CommitResponse { receipt: Some(told) }))
    }

    type CommitStreamStream = Answers<v1::CommitStreamResponse>;

    async fn commit_stream(
        &self,
        _: Request<Streaming<v1::CommitRequest>>,
    ) -> Result<Response<Self::CommitStreamStream>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn find_recorded(
        &self,
        _: Request<v1::FindRecordedRequest>,
    ) -> Result<Response<v1::FindRecordedResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}

fn committer() -> PublicKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap().public_key()
}

/// Returns a checkpoint signed by somebody who is not the log.
fn signed_by_another(checkpoint: &str) -> String {
    let text = Note::parse(checkpoint.as_bytes()).unwrap().text().to_owned();
    let line = NoteSigner::new(ORIGIN, &[99; 32]).unwrap().sign(&text);
    Note::new(&text, vec![line]).unwrap().to_text()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_proves_nothing_is_not_passed_on() {
    let fleet = Fleet::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let honest: Lie = |_| {};
    let liar = Liar { store: fleet.write_at(&url), lie: Arc::new(Mutex::new(honest)) };
    let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(listener).unwrap());
    let service = CommitServiceServer::new(liar.clone());
    let serving = tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    let two = fleet.serve("two", &format!("[forward]\nto = [{url:?}]\n[limits]\ncall_seconds_max = 2\n")).await;
    two.follows(2).await;

    let (request, id) = fleet.commit("true");
    let receipt = two.commit(&request).await.unwrap();
    two.node(&id, receipt.tree_size).await.unwrap();
    let lies: [(&str, Lie); 6] = [
        ("of another commit", |receipt| receipt.commit_digest = vec![7; 32].into()),
        ("at another place", |receipt| receipt.index -= 1),
        ("in a tree of another size", |receipt| receipt.tree_size += 1),
        ("over another path", |receipt| receipt.log_path[0] = vec![7; 32].into()),
        ("over what is no path", |receipt| receipt.log_path[0] = vec![7; 31].into()),
        ("signed by another", |receipt| receipt.checkpoint = signed_by_another(&receipt.checkpoint)),
    ];
    for (what, lie) in lies {
        *liar.lie.lock().unwrap() = lie;
        let refused = two.commit(&fleet.commit(what).0).await.expect_err(what);
        assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::Unavailable, "FORWARD_FAILED"), "{what}");
        assert!(refused.message().contains("does not prove the commit"), "{what}: {refused:?}");
    }
    *liar.lie.lock().unwrap() = honest;
    two.commit(&fleet.commit("true again").0).await.unwrap();
    serving.abort();
    two.running.stop().await;
}
