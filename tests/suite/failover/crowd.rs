//! Clients that commit all the time, to whichever server answers, and send again until they have a receipt.

use core::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use griptrace_core::{
    digest::Digest,
    entry::Entry,
    id::GenesisHash,
    tree::{Frontier, Rfc9162},
};
use griptrace_proto::v1;
use griptrace_store::Store;
use griptrace_tests::seed::Seed;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::Code;

use crate::{
    holding::factory::committer,
    served::{Client, Endpoints, Maker, checkpoint, reason, verify_receipt},
};

/// How long a server may take before another one is asked.
const TRY_MAX: Duration = Duration::from_secs(2);
/// How long a client rests after a receipt.
const REST: Duration = Duration::from_millis(150);

pub(super) struct Crowd {
    home: GenesisHash,
    servers: Vec<SocketAddr>,
    is_over: AtomicBool,
    tries: AtomicU64,
    /// When the newest of the commits that have a receipt was sent first.
    acknowledged: watch::Sender<Instant>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    sent: BTreeMap<Digest, usize>,
    receipts: Vec<v1::Receipt>,
    /// Every checkpoint that anybody was shown: size and root.
    checkpoints: Vec<(u64, Digest)>,
}

impl Crowd {
    pub(super) fn new(home: GenesisHash, servers: Vec<SocketAddr>) -> Self {
        let (acknowledged, told) = (watch::Sender::new(Instant::now()), Mutex::default());
        Self { home, servers, is_over: AtomicBool::new(false), tries: AtomicU64::new(0), acknowledged, told }
    }

    /// Nothing new is begun from now on; what was begun is brought to its receipt.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(super) fn saw(&self, note: &str) {
        let seen = checkpoint(note);
        self.told.lock().unwrap().checkpoints.push((seen.size, seen.root));
    }

    /// Returns how large the log was in the newest receipt.
    pub(super) fn size(&self) -> u64 {
        self.told.lock().unwrap().receipts.iter().map(|receipt| receipt.tree_size).max().unwrap_or(0)
    }

    /// Waits for the receipt of a commit that was sent after a moment.
    pub(super) async fn until_acknowledged(&self, since: Instant) {
        let mut acknowledged = self.acknowledged.subscribe();
        let newer = acknowledged.wait_for(|sent| *sent > since);
        assert!(timeout(Duration::from_secs(60), newer).await.is_ok(), "no receipt comes");
    }

    /// Starts a client.
    pub(super) fn join(self: &Arc<Self>, seed: u64) -> JoinHandle<()> {
        let crowd = Arc::clone(self);
        let mut rng = Seed::from_number(seed).rng();
        let mut at = usize::try_from(rng.below(u64::try_from(crowd.servers.len()).unwrap())).unwrap();
        let mut maker = Maker::for_log(crowd.home, rng, committer());
        tokio::spawn(async move {
            let (mut client, mut number) = (None, 0_u64);
            while !crowd.is_over.load(Ordering::Acquire) {
                let nodes = maker.nodes.batch(&format!("{seed}/{number}"), 2, &[]);
                number += 1;
                let request = maker.sign(&nodes);
                crowd.told.lock().unwrap().sent.insert(Rfc9162::leaf_hash(&request.entry), nodes.len());
                let begun = Instant::now();
                while !crowd.send(&mut client, at, &request).await {
                    at = (at + 1) % crowd.servers.len();
                    client = None;
                    assert!(begun.elapsed() < Duration::from_secs(120), "a commit is never taken");
                }
                crowd.acknowledged.send_if_modified(|newest| {
                    let is_newer = begun > *newest;
                    *newest = begun.max(*newest);
                    is_newer
                });
                sleep(REST).await;
            }
        })
    }

    /// Sends a commit once; tells whether there is a receipt.
    async fn send(&self, client: &mut Option<Client>, at: usize, request: &v1::CommitRequest) -> bool {
        self.tries.fetch_add(1, Ordering::Relaxed);
        let tried = timeout(TRY_MAX, async {
            if client.is_none() {
                *client = Endpoints::plain(self.servers[at]).connect().await.ok();
            }
            let client = client.as_ref()?;
            Some(client.clone().commits.commit(request.clone()).await)
        });
        match tried.await {
            Ok(Some(Ok(answer))) => {
                let receipt = answer.into_inner().receipt.expect("a commit is answered by a receipt");
                let seen = verify_receipt(&request.entry, &receipt);
                let mut told = self.told.lock().unwrap();
                told.checkpoints.push((seen.size, seen.root));
                told.receipts.push(receipt);
                true
            }
            Ok(Some(Err(status))) => {
                let (code, why) = reason(&status);
                // Whatever isn't known is to be tried again; nothing else may be said.
                let is_transport = why.is_empty();
                let is_open = matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted);
                assert!(is_transport || is_open, "{status:?}");
                sleep(Duration::from_millis(50)).await;
                false
            }
            Ok(None) => {
                sleep(Duration::from_millis(50)).await;
                false
            }
            Err(_) => false,
        }
    }

    /// Compares with the log: every receipt is in it, no commit twice, none that was not sent, and every checkpoint that anybody was
    /// shown is one of its own. Returns how many commits there are, and tries.
    pub(super) fn compare(&self, log: &Store) -> (usize, u64) {
        let told = self.told.lock().unwrap();
        let mut tree = Frontier::new(Rfc9162);
        let (mut roots, mut found) = (BTreeMap::new(), BTreeMap::new());
        for entry in log.entries(0..log.size()).unwrap() {
            let leaf = Rfc9162::leaf_hash(&entry.bytes);
            let index = tree.push(leaf).unwrap().get();
            roots.insert(index + 1, tree.root().unwrap());
            if let Ok(Entry::Commit(commit)) = Entry::parse(&entry.bytes) {
                let count = told.sent.get(&leaf).unwrap_or_else(|| panic!("entry {index} was never sent"));
                assert_eq!(commit.payload.count, u64::try_from(*count).unwrap());
                assert_eq!(found.insert(leaf, index), None, "entry {index} is there twice");
            }
        }
        for receipt in &told.receipts {
            let leaf = crate::served::digest(&receipt.commit_digest);
            assert_eq!(found.get(&leaf), Some(&receipt.index), "what was acknowledged is lost, or lies elsewhere");
        }
        for (size, root) in &told.checkpoints {
            assert_eq!(
                roots.get(size),
                Some(root),
                "the log forked: a checkpoint of size {size} is not of its history"
            );
        }
        assert_eq!(found.len(), told.sent.len(), "everything was sent until it had its receipt");
        (found.len(), self.tries.load(Ordering::Relaxed))
    }
}
