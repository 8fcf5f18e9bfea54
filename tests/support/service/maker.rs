//! Signed commits, and a small lineage that has everything.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use griptrace_core::{
    assessment::assessed,
    id::{GenesisHash, NodeId, StatusKey},
    key::{SecretKey, Signer},
    node::{Kind, Mark},
};
use griptrace_proto::v1;
use griptrace_store::{record::NodeRecord, signed_commit};
use griptrace_tests::seed::Rng;

use super::{Client, Desk, now, verify_receipt};
use crate::holding::factory::{Factory, ISSUER, committer};

/// Makes nodes, and signs commits of them.
pub(crate) struct Maker {
    pub(crate) nodes: Factory,
    home: GenesisHash,
    key: SecretKey,
    /// Signed assessments that were signed for: their statuses are under another key than their id.
    assessments: Mutex<BTreeMap<NodeId, StatusKey>>,
}

impl Maker {
    /// Makes nodes for a desk's log, signed by the factory's committer.
    pub(crate) fn new(desk: &Desk, rng: Rng) -> Self {
        Self::for_log(desk.home(), rng, committer())
    }

    /// Makes nodes for a log, signed by some key.
    pub(crate) fn for_log(home: GenesisHash, rng: Rng, key: SecretKey) -> Self {
        Self { nodes: Factory::new(home, rng), home, key, assessments: Mutex::default() }
    }

    /// Signs a commit, now.
    pub(crate) fn sign(&self, nodes: &[NodeRecord]) -> v1::CommitRequest {
        self.sign_by(&self.key, nodes, now())
    }

    /// Signs a commit by another key, at another time.
    pub(crate) fn sign_by(&self, key: &dyn Signer, nodes: &[NodeRecord], time: u64) -> v1::CommitRequest {
        let mut known = self.assessments.lock().unwrap_or_else(PoisonError::into_inner);
        for node in nodes {
            let core = node.core().unwrap();
            if core.kind == Kind::Assessment {
                known.insert(node.id(), assessed(node.id(), &core).unwrap().status_key);
            }
        }
        let entry = signed_commit(self.home, nodes, &|id| known.get(id).copied(), key, ISSUER, time).unwrap();
        v1::CommitRequest { entry: entry.into(), nodes: nodes.iter().map(|node| node.to_bytes().into()).collect() }
    }

    /// Commits, and verifies the receipt.
    pub(crate) async fn commit(&self, client: &Client, nodes: &[NodeRecord]) -> v1::Receipt {
        let request = self.sign(nodes);
        let entry = request.entry.clone();
        let answer = client.clone().commits.commit(request).await.unwrap();
        let receipt = answer.into_inner().receipt.expect("a commit is answered by a receipt");
        verify_receipt(&entry, &receipt);
        receipt
    }
}

/// A lineage with a node of every kind that is common, committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineage {
    /// Collected, and assessed but for the last one.
    pub(crate) sources: Vec<NodeId>,
    /// A step over the sources, and what came out.
    pub(crate) derived: Vec<NodeId>,
    /// A training, and the model.
    pub(crate) trained: Vec<NodeId>,
    /// Of the first two sources; withdrawn later.
    pub(crate) assessments: Vec<NodeId>,
    pub(crate) shipments: Vec<NodeId>,
    /// Marks upon the second source, and upon the assessment.
    pub(crate) marks: Vec<NodeId>,
    /// All nodes, in log order.
    pub(crate) ids: Vec<NodeId>,
    /// The size after each commit.
    pub(crate) sizes: Vec<u64>,
    pub(crate) receipts: Vec<v1::Receipt>,
}

impl Lineage {
    /// Commits one.
    pub(crate) async fn commit(client: &Client, maker: &mut Maker) -> Self {
        Self::commit_named(client, maker, "").await
    }

    /// Commits one whose names, and files, all begin alike.
    pub(crate) async fn commit_named(client: &Client, maker: &mut Maker, prefix: &str) -> Self {
        let mut made = Self::default();
        let named = |name: &str| format!("{prefix}{name}");
        let sources = ["camera", "force", "tactile"].map(|name| maker.nodes.source(&named(name)));
        made.sources = made.put(client, maker, &sources).await;
        let derived = maker.nodes.derive(&named("features"), &made.sources);
        made.derived = made.put(client, maker, &derived).await;
        let trained = maker.nodes.train(
            &named("grasp"),
            &[made.derived[1]],
            &[named("model.onnx").as_str(), named("labels.txt").as_str()],
        );
        made.trained = made.put(client, maker, &trained).await;
        let assessment = maker.nodes.assessment(&made.sources[..2]);
        made.assessments = made.put(client, maker, &[assessment]).await;
        for (marked, mark) in [(made.sources[1], Mark::Reclassify), (made.assessments[0], Mark::Withdraw)] {
            let status = maker.nodes.status(marked, mark);
            let ids = made.put(client, maker, &[status]).await;
            made.marks.extend(ids);
        }
        let shipment = maker.nodes.shipment(&[made.trained[1]]);
        made.shipments = made.put(client, maker, &[shipment]).await;
        made
    }

    async fn put(&mut self, client: &Client, maker: &Maker, nodes: &[NodeRecord]) -> Vec<NodeId> {
        let receipt = maker.commit(client, nodes).await;
        self.sizes.push(receipt.tree_size);
        self.receipts.push(receipt);
        let ids: Vec<NodeId> = nodes.iter().map(NodeRecord::id).collect();
        // The nodes of one commit are in the order of their ids.
        let mut sorted = ids.clone();
        sorted.sort();
        self.ids.extend(sorted);
        ids
    }
}
