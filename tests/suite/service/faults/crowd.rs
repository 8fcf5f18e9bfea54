//! Clients that commit all the time, and send again whatever had no answer.

use core::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    entry::Entry,
    tree::{Frontier, Rfc9162},
};
use griptrace_proto::v1;
use griptrace_store::record::NodeRecord;
use griptrace_tests::seed::Seed;
use tokio::{task::JoinHandle, time::timeout};
use tonic::{Code, Status};

use crate::served::{Client, Desk, Endpoints, Maker, reason, verify_receipt};

/// How long one try may take.
const TRY_MAX: Duration = Duration::from_secs(20);

/// What was sent, and what came back.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Commits by their leaf hash, with their nodes.
    sent: BTreeMap<Digest, (v1::CommitRequest, usize)>,
    /// Those of them that were not sent again yet.
    fresh: Vec<Digest>,
    /// Receipts, verified.
    pub(super) receipts: Vec<v1::Receipt>,
    /// Refusals, by code and reason.
    pub(super) refusals: BTreeMap<(i32, String), u64>,
}

/// What all clients share.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    told: Mutex<Told>,
    is_over: AtomicBool,
}

impl Crowd {
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No new commit is begun from now on.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Starts a client that commits until the crowd is over, and remembers what had no answer.
    pub(super) fn join(self: &Arc<Self>, desk: &Desk, address: SocketAddr, seed: u64) -> JoinHandle<()> {
        let mut maker = Maker::new(desk, Seed::from_number(seed).rng());
        let crowd = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(client) = Endpoints::plain(address).connect().await else { return };
            let mut number = 0_u64;
            while !crowd.is_over() {
                let nodes = maker.nodes.batch(&format!("{seed}/{number}"), 3, &[]);
                number += 1;
                let request = maker.sign(&nodes);
                crowd.remember(&request, &nodes);
                match crowd.send(&client, &request).await {
                    Ok(()) => {}
                    // It is busy, and may take it later.
                    Err(Some(Code::ResourceExhausted)) => tokio::time::sleep(Duration::from_millis(5)).await,
                    Err(_) => return,
                }
            }
        })
    }

    fn remember(&self, request: &v1::CommitRequest, nodes: &[NodeRecord]) {
        let (leaf, mut told) = (Rfc9162::leaf_hash(&request.entry), self.told());
        told.sent.insert(leaf, (request.clone(), nodes.len()));
        told.fresh.push(leaf);
    }

    /// Sends a commit once; `None` stands for no answer in time.
    async fn send(&self, client: &Client, request: &v1::CommitRequest) -> Result<(), Option<Code>> {
        let answer = timeout(TRY_MAX, client.clone().commits.commit(request.clone())).await.map_err(|_| None)?;
        match answer {
            Ok(answer) => {
                let receipt = answer.into_inner().receipt.expect("a commit is answered by a receipt");
                verify_receipt(&request.entry, &receipt);
                self.told().receipts.push(receipt);
                Ok(())
            }
            Err(status) => {
                self.refused(&status);
                Err(Some(status.code()))
            }
        }
    }

    fn refused(&self, status: &Status) {
        let (code, mut reason) = reason(status);
        if reason.is_empty() {
            // The transport's own: the connection is gone.
            reason = format!("{status:?}");
        }
        *self.told().refusals.entry((i32::from(code), reason)).or_default() += 1;
    }

    /// Sends everything again that was sent since the last time; each has to be taken now.
    pub(super) async fn send_all_again(&self, endpoints: &Endpoints) {
        let requests: Vec<v1::CommitRequest> = {
            let mut told = self.told();
            let fresh = core::mem::take(&mut told.fresh);
            fresh.iter().map(|leaf| told.sent[leaf].0.clone()).collect()
        };
        let mut client = None;
        for request in requests {
            for tries in 0.. {
                assert!(tries < 200, "a commit is never taken");
                let Some(connected) = &client else {
                    client = endpoints.connect().await.ok();
                    continue;
                };
                match self.send(connected, &request).await {
                    Ok(()) => break,
                    Err(Some(Code::InvalidArgument | Code::AlreadyExists)) => panic!("{:?}", self.told().refusals),
                    Err(_) => client = None,
                }
            }
        }
    }

    /// Compares with the log: every receipt is in it, no commit twice, none that was not sent, and each whole.
    pub(super) fn compare(&self, desk: &Desk) {
        let store = desk.store();
        let told = self.told();
        let mut tree = Frontier::new(Rfc9162);
        let (mut roots, mut found) = (BTreeMap::new(), BTreeMap::new());
        for entry in store.entries(0..store.size()).unwrap() {
            let leaf = Rfc9162::leaf_hash(&entry.bytes);
            let index = tree.push(leaf).unwrap().get();
            roots.insert(index + 1, tree.root().unwrap());
            if let Ok(Entry::Commit(commit)) = Entry::parse(&entry.bytes) {
                let Some((_, count)) = told.sent.get(&leaf) else { panic!("entry {index} was never sent") };
                assert_eq!(commit.payload.count, u64::try_from(*count).unwrap());
                assert_eq!(found.insert(leaf, index), None, "entry {index} is there twice");
            }
        }
        for receipt in &told.receipts {
            let leaf = crate::served::digest(&receipt.commit_digest);
            assert_eq!(found.get(&leaf), Some(&receipt.index), "what was acknowledged is lost, or lies elsewhere");
            let Checkpoint { size, root, .. } = crate::served::checkpoint(&receipt.checkpoint);
            assert_eq!(roots.get(&size), Some(&root), "the log went back behind what it signed");
        }
        for (leaf, index) in &found {
            for bytes in &told.sent[leaf].0.nodes {
                let record = NodeRecord::from_bytes(bytes).unwrap();
                let node = store.node(&record.id()).unwrap().expect("all of a commit's nodes are there, or none");
                assert_eq!((node.index, node.record), (*index, record));
            }
        }
        for (leaf, (request, _)) in told.sent.iter().filter(|(leaf, _)| !found.contains_key(*leaf)) {
            for bytes in &request.nodes {
                let id = NodeRecord::from_bytes(bytes).unwrap().id();
                assert!(store.node(&id).unwrap().is_none(), "half of commit {leaf} is there");
            }
        }
    }
}
