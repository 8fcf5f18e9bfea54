//! What is asked of a log on a server, beyond single nodes.

use core::ops::Range;
use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use griptrace_core::{
    bundle::MAGIC,
    details::{read_value, slot},
    digest::Digest,
    id::NodeId,
    limits::BUNDLE_BYTES_MAX,
    node::Kind,
};
use griptrace_proto::v1::{self, commit_service_client::CommitServiceClient};
use griptrace_store::{
    Chosen, Disclose, Found, LogEntry, Paths, Resolved, StoredNode, record::NodeRecord, says_the_same,
};
use tonic::{Response, Status, Streaming};

use super::{
    AT_ONCE, BATCH, Remote, check,
    check::read_id,
    connection::{Caller, client, drain, request},
    lie::Lie,
    lineage, proofs, read_ids, wire,
};
use crate::error::CommandError;

impl Remote {
    /// Returns the nodes that the server finds for a name, oldest first.
    pub(crate) fn by_name(&self, name: &str) -> Result<Vec<NodeId>, CommandError> {
        let question =
            v1::NamesRequest { name: name.to_owned(), tree_size: self.size(), view: v1::NodeView::Core.into() };
        let answers = self.connection.ask(|caller| {
            let question = question.clone();
            async { drain(lineage(caller).names(request(question)).await?).await }
        })?;
        let mut ids = Vec::new();
        for answer in &answers {
            self.pinned.at(answer.tree_size)?;
            ids.extend(
                answer.nodes.iter().map(|node| read_id("a node's id", &node.id)).collect::<Result<Vec<_>, _>>()?,
            );
        }
        let is_meant = |node: &StoredNode| crate::workspace::name(node).as_deref() == Some(name);
        self.check_meant(&ids, &format!("the name {name:?}"), is_meant)?;
        Ok(ids)
    }

    /// Returns the data sets and models that the server finds for a content, in log order.
    pub(crate) fn by_content(&self, digest: &Digest) -> Result<Vec<NodeId>, CommandError> {
        let ids = self.search(v1::SearchRequest { content: wire(digest), ..Default::default() })?;
        self.check_meant(&ids, &format!("the content {digest}"), |node| has_content(node, digest))?;
        Ok(ids)
    }

    /// Returns the nodes of a kind that the server lists, in log order. They are not read yet.
    pub(crate) fn of_kind(&self, kind: Kind) -> Result<Vec<NodeId>, CommandError> {
        self.search(v1::SearchRequest { kind: kind.number().into(), ..Default::default() })
    }

    /// Returns the assessments that the server finds for a subject, in log order.
    pub(crate) fn assessments_of(&self, subject: &NodeId) -> Result<Vec<NodeId>, CommandError> {
        self.prefetch_assessments(core::slice::from_ref(subject))?;
        Ok(self.assessments.borrow().get(subject).cloned().unwrap_or_default())
    }

    /// Loads the assessments of nodes that will be asked for, with the marks on them, many at once.
    pub(crate) fn prefetch_assessments(&self, subjects: &[NodeId]) -> Result<(), CommandError> {
        let lacking: BTreeSet<NodeId> =
            subjects.iter().filter(|id| !self.assessments.borrow().contains_key(id)).copied().collect();
        let lacking: Vec<NodeId> = lacking.into_iter().collect();
        let mut all = Vec::new();
        for some in lacking.chunks(BATCH) {
            let answers = self.connection.ask(|caller| {
                let calls = some.iter().map(move |id| ask_assessments(caller.clone(), *id, self.size()));
                stream::iter(calls.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect::<Vec<_>>()
            })?;
            for (subject, answers) in some.iter().zip(&answers) {
                let found = self.found_ids(answers)?;
                all.extend(found.iter().copied());
                self.assessments.borrow_mut().insert(*subject, found);
            }
        }
        self.prefetch_marks(&all)?;
        match self.nodes_of(&all)?.values().find(|node| node.core.kind != Kind::Assessment) {
            Some(node) => Err(Lie::NotMeant { id: node.id, wanted: "an assessment".to_owned() }.into()),
            None => Ok(()),
        }
    }

    /// Returns the ids in the answers to a search.
    fn found_ids(&self, answers: &[v1::SearchResponse]) -> Result<Vec<NodeId>, Lie> {
        let mut ids = Vec::new();
        for answer in answers {
            self.pinned.at(answer.tree_size)?;
            for node in &answer.nodes {
                ids.push(read_id("a node's id", &node.id)?);
            }
        }
        Ok(ids)
    }

    fn search(&self, mut question: v1::SearchRequest) -> Result<Vec<NodeId>, CommandError> {
        question.tree_size = self.size();
        question.view = v1::NodeView::Core.into();
        let answers = self.connection.ask(|caller| {
            let question = question.clone();
            async { drain(lineage(caller).search(request(question)).await?).await }
        })?;
        whole("a search", answers.iter().any(|answer| answer.cut))?;
        Ok(self.found_ids(&answers)?)
    }

    /// Checks that nodes are what was looked for. What can't be seen is found for no name and no content.
    fn check_meant(
        &self,
        ids: &[NodeId],
        wanted: &str,
        is_meant: impl Fn(&StoredNode) -> bool,
    ) -> Result<(), CommandError> {
        let nodes = self.nodes_of(ids)?;
        match nodes.values().find(|node| self.is_withheld(&node.id) || !is_meant(node)) {
            Some(node) => Err(Lie::NotMeant { id: node.id, wanted: wanted.to_owned() }.into()),
            None => Ok(()),
        }
    }

    /// Returns the nodes whose id begins with these hexadecimal digits.
    pub(crate) fn resolve(&self, hex_prefix: &str) -> Result<Resolved, CommandError> {
        let question = v1::ResolvePrefixRequest { hex_prefix: hex_prefix.to_owned(), tree_size: self.size() };
        let answer = self.connection.ask(|caller| {
            let question = question.clone();
            async { Ok(lineage(caller).resolve_prefix(request(question)).await?.into_inner()) }
        })?;
        self.pinned.at(answer.tree_size)?;
        let ids = read_ids(&answer.ids)?;
        let begins = |id: &&NodeId| id.to_string().starts_with(&hex_prefix.to_lowercase());
        if let Some(id) = ids.iter().find(|id| !begins(id)) {
            return Err(Lie::NotMeant { id: *id, wanted: format!("the digits {hex_prefix}") }.into());
        }
        Ok(match ids.as_slice() {
            [] => Resolved::None,
            [one] => Resolved::One(*one),
            _ => Resolved::Ambiguous(ids),
        })
    }

    /// Returns everything that a node came from, nearest first: walked anew over verified nodes.
    pub(crate) fn ancestors(&self, id: &NodeId) -> Result<Vec<Found>, CommandError> {
        let question = v1::AncestorsRequest { id: wire(id.digest()), tree_size: self.size(), depth_max: 0, limit: 0 };
        let answers = self.connection.ask(|caller| {
            let question = question.clone();
            async { drain(lineage(caller).ancestors(request(question)).await?).await }
        })?;
        let mut ids = vec![*id];
        for answer in &answers {
            self.pinned.at(answer.tree_size)?;
            for found in &answer.nodes {
                ids.push(read_id("a node's id", &found.id)?);
            }
        }
        let nodes = self.nodes_of(&ids)?;
        let listed: BTreeSet<NodeId> = ids.into_iter().skip(1).collect();
        Ok(check::ancestry(*id, &listed, &nodes)?)
    }

    /// Returns everything that the server says stands on a node, nearest first.
    pub(crate) fn descendants(&self, id: &NodeId) -> Result<Vec<Found>, CommandError> {
        let question = v1::DescendantsRequest { id: wire(id.digest()), tree_size: self.size(), depth_max: 0, limit: 0 };
        let answers = self.connection.ask(|caller| {
            let question = question.clone();
            async { drain(lineage(caller).descendants(request(question)).await?).await }
        })?;
        whole("what stands on a node", answers.iter().any(|answer| answer.cut))?;
        let mut listed: Vec<(NodeId, u64)> = Vec::new();
        for answer in &answers {
            self.pinned.at(answer.tree_size)?;
            for found in &answer.nodes {
                listed.push((read_id("a node's id", &found.id)?, found.depth));
            }
        }
        let ids: Vec<NodeId> = listed.iter().map(|(id, _)| *id).collect();
        let nodes = self.nodes_of(&ids)?;
        let read = |(id, depth)| {
            let kind = nodes.get(&id).ok_or(Lie::Missing { id })?.core.kind;
            Ok(Found { id, kind, depth })
        };
        let found = listed.into_iter().map(read).collect::<Result<Vec<_>, Lie>>()?;
        check::descent(*id, &found, &nodes)?;
        Ok(found)
    }

    /// Returns up to `limit` ways by which `from` came from `to`. Whether there is any, the ancestry says.
    pub(crate) fn paths(&self, from: &NodeId, to: &NodeId, limit: usize) -> Result<Paths, CommandError> {
        let ancestors = self.ancestors(from)?;
        let is_ancestor = from == to || ancestors.iter().any(|found| found.id == *to);
        let question = v1::PathsRequest {
            from: wire(from.digest()),
            to: wire(to.digest()),
            tree_size: self.size(),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
        };
        let answers = self.connection.ask(|caller| {
            let question = question.clone();
            async { drain(lineage(caller).paths(request(question)).await?).await }
        })?;
        let mut found = Paths { paths: Vec::new(), cut: false };
        for answer in &answers {
            self.pinned.at(answer.tree_size)?;
            found.cut |= answer.cut;
            if !answer.ids.is_empty() {
                found.paths.push(self.checked_way(from, to, &read_ids(&answer.ids)?)?);
            }
        }
        let distinct: BTreeSet<&Vec<NodeId>> = found.paths.iter().collect();
        if is_ancestor == found.paths.is_empty() || distinct.len() != found.paths.len() || found.paths.len() > limit {
            return Err(Lie::Ways { from: *from, to: *to }.into());
        }
        Ok(found)
    }

    /// Checks that each step of a way is an edge.
    fn checked_way(&self, from: &NodeId, to: &NodeId, way: &[NodeId]) -> Result<Vec<NodeId>, CommandError> {
        if way.first() != Some(from) || way.last() != Some(to) {
            return Err(Lie::Ways { from: *from, to: *to }.into());
        }
        let nodes = self.nodes_of(way)?;
        for pair in way.windows(2) {
            let [child, parent] = pair else { continue };
            let leads = nodes.get(child).is_some_and(|node| check::parents(&node.core).any(|id| id == *parent));
            if !leads {
                return Err(Lie::Way { from: *child, to: *parent }.into());
            }
        }
        Ok(way.to_vec())
    }

    /// Returns entries of the log, checked against the pinned root.
    pub(crate) fn entries(&self, range: Range<u64>) -> Result<Vec<LogEntry>, CommandError> {
        let (begin, end) = (range.start, range.end.min(self.size()));
        if begin >= end {
            return Ok(Vec::new());
        }
        let answers = self.connection.ask(|caller| async move {
            drain(proofs(caller).list_entries(request(v1::ListEntriesRequest { begin, end })).await?).await
        })?;
        let mut entries: Vec<LogEntry> = Vec::new();
        for answer in answers {
            for (index, bytes) in (answer.begin..).zip(answer.entries) {
                entries.push(LogEntry { index, bytes: bytes.into() });
            }
        }
        let is_whole = entries.iter().map(|entry| entry.index).eq(begin..end);
        if !is_whole {
            let first = entries.first().map_or(end, |entry| entry.index);
            return Err(Lie::Entries { begin, end, first, found: entries.len() }.into());
        }
        let at = |index| self.inclusion(index, self.size());
        let (first, last) = (at(begin)?, at(end.saturating_sub(1))?);
        self.pinned.entries(&entries, &first, &last)?;
        Ok(entries)
    }

    /// Returns the ids under which the same unit was recorded before. That it was not, is not proven.
    pub(crate) fn find_recorded(&self, unit: &[NodeRecord]) -> Result<Option<Vec<NodeId>>, CommandError> {
        let question = v1::FindRecordedRequest { unit: unit.iter().map(|record| record.to_bytes().into()).collect() };
        let answer = self.connection.ask(|caller| {
            let question = question.clone();
            async {
                let mut service = client!(CommitServiceClient, caller);
                Ok(service.find_recorded(request(question)).await?.into_inner())
            }
        })?;
        let ids = read_ids(&answer.ids)?;
        if ids.is_empty() {
            return Ok(None);
        }
        let nodes = self.found_nodes(&ids)?;
        let Some(nodes) = nodes else { return Ok(None) };
        // What can't be seen can't be compared: it is recorded anew rather than believed to be the same.
        if nodes.iter().any(|node| self.is_withheld(&node.id)) {
            return Ok(None);
        }
        let found: Vec<NodeRecord> = nodes.into_iter().map(|node| node.record).collect();
        match ids.first() {
            Some(id) if !says_the_same(unit, &found) => {
                Err(Lie::NotMeant { id: *id, wanted: "what is to be recorded".to_owned() }.into())
            }
            Some(_) | None => Ok(Some(ids)),
        }
    }

    /// Returns the nodes of ids in their order; `None` if one came into the log after the pinned checkpoint.
    fn found_nodes(&self, ids: &[NodeId]) -> Result<Option<Vec<StoredNode>>, CommandError> {
        ids.iter().map(|id| self.node(id)).collect()
    }

    /// Returns the bytes of a bundle of this node, under the pinned checkpoint, with older ones of these sizes.
    pub(crate) fn prove(&self, id: &NodeId, disclose: &Disclose, since: &[u64]) -> Result<Vec<u8>, CommandError> {
        let (disclosure, chosen) = match disclose {
            Disclose::Minimal => (v1::Disclosure::Minimal, Vec::new()),
            Disclose::All => (v1::Disclosure::Full, Vec::new()),
            Disclose::Chosen(chosen) => (v1::Disclosure::Chosen, chosen_details(chosen)),
        };
        let question = v1::ProveRequest {
            id: wire(id.digest()),
            disclosure: disclosure.into(),
            tree_size: self.size(),
            chosen,
            since_sizes: since.to_vec(),
        };
        let (stated, bytes) = self.connection.ask(|caller| {
            let question = question.clone();
            async { pieces(proofs(caller).prove(request(question)).await?).await }
        })?;
        let found = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if stated != found || !bytes.starts_with(MAGIC) {
            return Err(Lie::BundleBytes { stated, found }.into());
        }
        let anchor = self.checkpoint(&check::bundle(&bytes, *id, disclose)?)?;
        self.pinned.at(anchor.size)?;
        self.check_history(&anchor)?;
        Ok(bytes)
    }
}

async fn ask_assessments(caller: Caller, id: NodeId, tree_size: u64) -> Result<Vec<v1::SearchResponse>, Status> {
    let view = v1::NodeView::Core.into();
    let question = v1::SearchRequest { assesses: wire(id.digest()), tree_size, view, ..Default::default() };
    drain(lineage(caller).search(request(question)).await?).await
}

/// Returns what is chosen as it travels.
fn chosen_details(chosen: &Chosen) -> Vec<v1::ChosenDetails> {
    let wide = |slots: &[u8]| slots.iter().map(|slot| u32::from(*slot)).collect();
    let kinds = chosen.kinds.iter().map(|(kind, slots)| v1::ChosenDetails {
        kind: i32::from(kind.number()),
        slots: wide(slots),
        ..Default::default()
    });
    let nodes = chosen.nodes.iter().map(|(id, slots)| v1::ChosenDetails {
        id: wire(id.digest()),
        slots: wide(slots),
        ..Default::default()
    });
    kinds.chain(nodes).collect()
}

/// Refuses an answer that was cut short though no limit was asked for.
fn whole(what: &'static str, is_cut: bool) -> Result<(), Lie> {
    if is_cut { Err(Lie::malformed(what, "it is cut short, and no limit was asked for")) } else { Ok(()) }
}

/// Joins the pieces of a bundle, which is larger than no bundle may be.
async fn pieces(response: Response<Streaming<v1::ProveResponse>>) -> Result<(u64, Vec<u8>), Status> {
    let mut stream = response.into_inner();
    let (mut stated, mut bytes) = (0, Vec::new());
    while let Some(message) = stream.message().await? {
        stated = stated.max(message.total_bytes);
        bytes.extend_from_slice(&message.piece);
        if bytes.len() > BUNDLE_BYTES_MAX {
            return Err(Status::out_of_range(format!("a bundle has {BUNDLE_BYTES_MAX} bytes at most, and more came")));
        }
    }
    Ok((stated, bytes))
}

/// Tells whether a node has a content: by the digest in its details, or that of a file of a model.
fn has_content(node: &StoredNode, digest: &Digest) -> bool {
    let kind = node.core.kind;
    let stated = slot(kind, "content").and_then(|slot| read_value(node.record.values.get(&slot)?).ok());
    let stated = stated.as_ref().and_then(|value| value.as_text()).and_then(|text| text.split_once(':'));
    let files = node.record.manifest.iter().filter(|_| kind == Kind::Model).flat_map(|manifest| &manifest.files);
    stated.is_some_and(|(_, hex)| Digest::from_hex(hex) == Some(*digest))
        || files.flat_map(|file| [Some(file.blake3), file.sha256]).any(|found| found == Some(*digest))
}
