//! Who commits: each has one commit under way, sends the same bytes again until it gets a receipt, to whoever it
//! believes to write.

use std::collections::BTreeSet;

use griptrace_core::{
    cbor::encode,
    date::Date,
    details::{Values, slot},
    digest::Digest,
    id::{GenesisHash, NodeId},
    key::{Algorithm, SecretKey, Signer as _},
    node::{Activity, Core, DigestStrength, Edge, Held, Kind, Mark, Origin, Role},
    value::Value,
};

use super::dice::Dice;
use crate::{CommitError, Receipt, SignedCommit, record::NodeRecord, signed_commit, tests::world::NOW};

const CLIENTS: usize = 6;
/// Microseconds until one that has no answer sends again.
const PATIENCE: u64 = 1_500_000;
/// Commits that a process is handed at once, at most.
const AT_ONCE: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Client {
    /// The number of its commit, and when it was sent, unless it has to be sent again.
    under_way: Option<(usize, Option<u64>)>,
    /// Who it believes to write.
    writer: usize,
    not_before: u64,
}

/// A commit of a client.
#[derive(Debug)]
struct Made {
    entry: Vec<u8>,
    nodes: Vec<NodeRecord>,
    /// A data set in it, for others to stand on.
    data: Option<NodeId>,
}

/// All clients, their commits, and what lies before each process.
#[derive(Debug)]
pub(super) struct Clients {
    home: GenesisHash,
    key: SecretKey,
    dice: Dice,
    clients: Vec<Client>,
    made: Vec<Made>,
    /// Nodes that were acknowledged, for others to stand on.
    there: Vec<NodeId>,
    inboxes: Vec<Vec<(usize, usize)>>,
    /// When a commit was handed to a process, and the last of these moments of one that was acknowledged.
    pub(super) newest: Option<u64>,
}

impl Clients {
    pub(super) fn new(seed: u64, home: GenesisHash, processes: usize) -> Self {
        let client = |_| Client { under_way: None, writer: 0, not_before: 0 };
        Self {
            home,
            key: SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap(),
            dice: Dice::new(seed, 2),
            clients: (0..CLIENTS).map(client).collect(),
            made: Vec::new(),
            there: Vec::new(),
            inboxes: vec![Vec::new(); processes],
            newest: None,
        }
    }

    /// Lets everybody send who has something to send, and, unless it is the end, thinks of new commits. Who is not open
    /// can't be reached.
    pub(super) fn go(&mut self, now: u64, is_end: bool, is_open: &[bool]) {
        for at in 0..self.clients.len() {
            let Client { under_way, not_before, writer } = self.clients[at];
            let number = match under_way {
                _ if not_before > now => continue,
                Some((_, Some(sent))) if now < sent + PATIENCE => continue,
                Some((number, _)) => number,
                None if is_end => continue,
                None => {
                    self.make();
                    self.made.len() - 1
                }
            };
            let has_waited = matches!(under_way, Some((_, Some(_))));
            let to = if has_waited || !is_open[writer] { self.dice.place(self.inboxes.len()) } else { writer };
            self.clients[at] = Client { under_way: Some((number, Some(now))), not_before, writer: to };
            if is_open[to] {
                self.inboxes[to].push((at, number));
            } else {
                self.clients[at].under_way = Some((number, None));
                self.clients[at].not_before = now + self.dice.between(20_000, 200_000);
            }
        }
    }

    /// Has who waits for an answer send again.
    pub(super) fn lose_patience(&mut self) {
        for client in &mut self.clients {
            client.not_before = 0;
            if let Some((_, sent)) = &mut client.under_way {
                *sent = None;
            }
        }
    }

    pub(super) fn are_done(&self) -> bool {
        self.clients.iter().all(|client| client.under_way.is_none())
    }

    pub(super) fn count(&self) -> usize {
        self.made.len()
    }

    /// Forgets what lies before a process that crashed.
    pub(super) fn forget(&mut self, process: usize) {
        self.inboxes[process].clear();
    }

    /// Takes what lies before a process.
    pub(super) fn take(&mut self, process: usize) -> Vec<(usize, usize)> {
        let inbox = &mut self.inboxes[process];
        inbox.drain(..inbox.len().min(AT_ONCE)).collect()
    }

    pub(super) fn has_mail(&self, process: usize) -> bool {
        !self.inboxes[process].is_empty()
    }

    pub(super) fn commit(&self, number: usize) -> SignedCommit {
        let Made { entry, nodes, .. } = &self.made[number];
        SignedCommit::new(entry.clone(), nodes.clone(), self.key.public_key())
    }

    /// Returns a data set that was acknowledged.
    pub(super) fn some_data(&self, chance: u64) -> Option<NodeId> {
        let count = u64::try_from(self.there.len()).unwrap();
        self.there.get(usize::try_from(chance.checked_rem(count)?).unwrap()).copied()
    }

    /// Returns the seeds of these nodes.
    pub(super) fn seeds<'a>(&'a self, of: &'a BTreeSet<NodeId>) -> impl Iterator<Item = (NodeId, &'a [u8])> {
        let nodes = self.made.iter().flat_map(|made| &made.nodes).map(|node| (node.id(), node));
        nodes.filter(|(id, _)| of.contains(id)).filter_map(|(id, node)| Some((id, &node.secret.seed()?[..])))
    }

    pub(super) fn entries(&self) -> Vec<Vec<u8>> {
        self.made.iter().map(|made| made.entry.clone()).collect()
    }

    pub(super) fn entry(&self, number: usize) -> &[u8] {
        &self.made[number].entry
    }

    /// Tells a client how it went. `writer` is who the process says writes.
    pub(super) fn told(
        &mut self,
        (client, number): (usize, usize),
        (begun, now): (u64, u64),
        told: &Result<Receipt, CommitError>,
        writer: Option<usize>,
    ) {
        if told.is_ok() {
            self.newest = self.newest.max(Some(begun));
            let data = self.made[number].data.filter(|data| !self.there.contains(data));
            self.there.extend(data);
        }
        let client = &mut self.clients[client];
        // Another process may have acknowledged it meanwhile.
        if client.under_way.is_none_or(|(under_way, _)| under_way != number) {
            return;
        }
        if told.is_ok() {
            client.under_way = None;
            client.not_before = now + self.dice.between(0, 400_000);
        } else {
            client.under_way = Some((number, None));
            client.not_before = now + self.dice.between(20_000, 200_000);
            if let Some(writer) = writer {
                client.writer = writer;
            }
        }
    }

    fn build(&mut self, core: Core, values: Values) -> NodeRecord {
        NodeRecord::build(core, values, None, None, |out| self.dice.fill(out)).unwrap()
    }

    fn core(&self, kind: Kind) -> Core {
        Core::new(kind, self.home, [0; 16], Digest::ZERO)
    }

    fn named(kind: Kind, name: &str) -> Values {
        [(slot(kind, "name").unwrap(), encode(&Value::text(name)))].into()
    }

    /// Makes a commit: a source, something made of what is there, or a mark on it.
    fn make(&mut self) {
        let name = format!("commit {}", self.made.len());
        let source = Core {
            origin: Some(Origin::Collected),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            ..self.core(Kind::Dataset)
        };
        let of = if self.there.is_empty() { None } else { Some(self.there[self.dice.place(self.there.len())]) };
        let nodes = match (self.dice.between(0, 4), of) {
            (0, Some(of)) => {
                let step = Core {
                    activity: Some(Activity::Feature),
                    edges: vec![Edge::local(Role::Used, of)],
                    ..self.core(Kind::Transformation)
                };
                let step = self.build(step, Self::named(Kind::Transformation, &name));
                let edges = vec![Edge::local(Role::GeneratedBy, step.id())];
                let made = Core { origin: Some(Origin::Derived), edges, ..source };
                vec![step, self.build(made, Self::named(Kind::Dataset, &name))]
            }
            (1, Some(of)) => {
                let edges = vec![Edge::local(Role::Marks, of)];
                let date = Date::parse("2026-06-01");
                let core = Core { mark: Some(Mark::Withdraw), date, edges, ..self.core(Kind::Status) };
                vec![self.build(core, Values::new())]
            }
            _ => vec![self.build(source, Self::named(Kind::Dataset, &name))],
        };
        let entry = signed_commit(self.home, &nodes, &|_| None, &self.key, "Maker", NOW).unwrap();
        let is_data = |node: &&NodeRecord| node.core().unwrap().kind == Kind::Dataset;
        let data = nodes.iter().find(is_data).map(NodeRecord::id);
        self.made.push(Made { entry, nodes, data });
    }
}
