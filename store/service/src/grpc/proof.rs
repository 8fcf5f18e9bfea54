//! `ProofService`.

use std::sync::Arc;

use bytes::Bytes;
use griptrace_core::{
    bundle::bundle_digest,
    digest::Digest,
    id::NodeId,
    key_change::KeyUse,
    limits::DETAIL_SLOTS,
    node::Kind,
    note::{KeyKind, NoteVerifier},
};
use griptrace_proto::v1::{self, proof_service_server::ProofService};
use griptrace_store::{Chosen, Disclose, ProveOptions, Store, StoredNode};
use tonic::{Code, Request, Response, Status};
use tracing::Instrument as _;

use super::{
    MESSAGE_BYTES, node_id,
    nodes::{digest, digests, kind_of, name},
    pinned,
};
use crate::{
    access::{Caller, Role},
    audit::Entry,
    call::{Answers, Call, Maker, answer, blocking},
    shared::Shared,
    status::{self, broken, out_of_scope},
};

/// Bytes of a piece of a bundle.
const PIECE_BYTES: usize = 256 << 10;
/// Entries that are read at a time: a tile of them.
const ENTRIES_AT_ONCE: u64 = 256;
/// Statuses in one message to a watcher, and what else came with the last of them.
const STATUSES_AT_ONCE: usize = 4096;
/// Requests of the audit trail in one message.
const REQUESTS_AT_ONCE: usize = 1000;

#[derive(Debug)]
pub(crate) struct Handlers(pub(crate) Arc<Shared>);

impl Handlers {
    /// Answers a question that takes one message.
    async fn answer<Q: Send + 'static, A: Send + 'static>(
        &self,
        request: Request<Q>,
        answer: impl FnOnce(&Shared, Q) -> Result<A, Status> + Send + 'static,
    ) -> Result<Response<A>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let place = self.0.admission.ask(&call.caller.name).await?;
        let shared = Arc::clone(&self.0);
        Ok(Response::new(call.work(place, move || answer(&shared, request.into_inner())).await?.0))
    }
}

#[tonic::async_trait]
impl ProofService for Handlers {
    async fn get_log(&self, request: Request<v1::GetLogRequest>) -> Result<Response<v1::GetLogResponse>, Status> {
        self.answer(request, |shared, _| log(&shared.store)).await
    }

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        self.answer(request, |shared, asked| checkpoint(&shared.store, asked)).await
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<v1::GetInclusionProofRequest>,
    ) -> Result<Response<v1::GetInclusionProofResponse>, Status> {
        self.answer(request, |shared, asked| {
            let tree_size = pinned(shared, asked.tree_size)?;
            let proof = shared.store.inclusion(asked.index, tree_size).map_err(status::read)?;
            let (leaf_hash, log_path) = (digest(&proof.leaf_hash), digests(&proof.path));
            Ok(v1::GetInclusionProofResponse { tree_size, leaf_hash, log_path })
        })
        .await
    }

    async fn get_consistency_proof(
        &self,
        request: Request<v1::GetConsistencyProofRequest>,
    ) -> Result<Response<v1::GetConsistencyProofResponse>, Status> {
        self.answer(request, |shared, asked| {
            let (old_size, new_size) = (asked.old_size, pinned(shared, asked.new_size)?);
            let proof = shared.store.consistency(old_size, new_size).map_err(status::read)?;
            Ok(v1::GetConsistencyProofResponse { old_size, new_size, consistency: digests(&proof) })
        })
        .await
    }

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        self.answer(request, |shared, asked| {
            let tree_size = pinned(shared, asked.tree_size)?;
            let found = shared.store.status_evidence(&node_id("id", &asked.id)?, tree_size).map_err(status::read)?;
            Ok(v1::GetStatusResponse {
                tree_size,
                key: digest(found.key.digest()),
                statuses: found.statuses.iter().map(|id| digest(id.digest())).collect(),
                head: found.head.into(),
                head_path: digests(&found.head_path),
                proof: found.proof.into(),
            })
        })
        .await
    }

    type ListEntriesStream = Answers<v1::ListEntriesResponse>;

    async fn list_entries(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Result<Response<Self::ListEntriesStream>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let place = self.0.admission.ask(&call.caller.name).await?;
        let asked = request.into_inner();
        let shared = Arc::clone(&self.0);
        let (end, place) = call.work(place, move || pinned(&shared, asked.end)).await?;
        let mut begin = asked.begin;
        let store = self.0.store.clone();
        let next = move || {
            if begin >= end {
                return Ok(None);
            }
            let some = begin..end.min(begin.saturating_add(ENTRIES_AT_ONCE));
            let mut entries = Vec::new();
            let mut bytes = 0_usize;
            for entry in store.entries(some).map_err(status::read)? {
                bytes = bytes.saturating_add(entry.bytes.len());
                if bytes > MESSAGE_BYTES && !entries.is_empty() {
                    break;
                }
                entries.push(Bytes::from(entry.bytes));
            }
            let first = begin;
            begin = begin.saturating_add(u64::try_from(entries.len()).unwrap_or(u64::MAX));
            Ok(Some(v1::ListEntriesResponse { begin: first, entries }))
        };
        Ok(Response::new(call.stream(place, next)))
    }

    type ProveStream = Answers<v1::ProveResponse>;

    async fn prove(&self, request: Request<v1::ProveRequest>) -> Result<Response<Self::ProveStream>, Status> {
        let call = Call::of(&request, Role::Prove, &self.0.limits)?;
        let place = call.in_time(self.0.admission.prove(&call.caller.name)).await??;
        let (shared, of) = (Arc::clone(&self.0), call.clone());
        let asked = request.into_inner();
        let ((bundle, tree_size), place) = call.work(place, move || prove(&shared, &of, &asked)).await?;
        // Whoever reads it slowly does not keep others from having theirs made.
        let memory = call.in_time(self.0.admission.hold(bundle.len())).await??;
        drop(place);
        let place = (memory, self.0.admission.ask(&call.caller.name).await?);
        let total_bytes = u64::try_from(bundle.len()).unwrap_or(u64::MAX);
        let mut rest = Bytes::from(bundle);
        let mut is_first = true;
        let next = move || {
            let head = core::mem::replace(&mut is_first, false).then_some((total_bytes, tree_size));
            let (total_bytes, tree_size) = head.unwrap_or_default();
            let piece = rest.split_to(rest.len().min(PIECE_BYTES));
            Ok((!piece.is_empty()).then_some(v1::ProveResponse { piece, total_bytes, tree_size }))
        };
        Ok(Response::new(call.stream(place, next)))
    }

    type WatchStream = Answers<v1::WatchResponse>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        // A watcher stays for as long as it likes.
        let call = Call::of(&request, Role::Read, &self.0.limits)?.without_deadline(request.metadata());
        let place = self.0.admission.watch(&call.caller.name).await?;
        let (shared, after) = (Arc::clone(&self.0), request.into_inner().after_size);
        let (after, place) = call.work(place, move || pinned(&shared, after)).await?;
        let (maker, answers) = answer(1);
        let shared = Arc::clone(&self.0);
        let telling = async move {
            let _place = place;
            watch(&shared, &call, after, &maker).await;
        };
        tokio::spawn(telling.in_current_span());
        Ok(Response::new(answers))
    }

    type ListBundleRequestsStream = Answers<v1::ListBundleRequestsResponse>;

    async fn list_bundle_requests(
        &self,
        request: Request<v1::ListBundleRequestsRequest>,
    ) -> Result<Response<Self::ListBundleRequestsStream>, Status> {
        let call = Call::of(&request, Role::Admin, &self.0.limits)?;
        let place = self.0.admission.ask(&call.caller.name).await?;
        let shared = Arc::clone(&self.0);
        let from = request.into_inner().time_from;
        let (entries, place) = call.work(place, move || shared.audit.since(from).map_err(broken)).await?;
        let mut entries = entries.into_iter();
        let next = move || {
            let requests: Vec<_> = entries.by_ref().take(REQUESTS_AT_ONCE).map(bundle_request).collect();
            Ok((!requests.is_empty()).then_some(v1::ListBundleRequestsResponse { requests }))
        };
        Ok(Response::new(call.stream(place, next)))
    }
}

fn log(store: &Store) -> Result<v1::GetLogResponse, Status> {
    let genesis = store.genesis();
    let entry = |index: u64| {
        let read = store.entries(index..index.saturating_add(1)).map_err(status::read)?.pop();
        read.map(|entry| Bytes::from(entry.bytes)).ok_or_else(|| broken(format!("the log has no entry {index}")))
    };
    let (mut key, mut key_changes) = (genesis.key.clone(), Vec::new());
    for (index, change) in store.key_changes().into_iter().filter(|(_, change)| change.of == KeyUse::Log) {
        key = change.successor.unwrap_or(key);
        key_changes.push(v1::LogKeyChange { index, entry: entry(index)? });
    }
    let vkey = NoteVerifier::new(&genesis.origin, KeyKind::Ed25519, key.as_bytes()).map_err(broken)?.to_vkey();
    Ok(v1::GetLogResponse { origin: genesis.origin.clone(), vkey, genesis: entry(0)?, key_changes })
}

fn checkpoint(store: &Store, asked: v1::GetCheckpointRequest) -> Result<v1::GetCheckpointResponse, Status> {
    let tree_size = if asked.tree_size == 0 { store.size() } else { asked.tree_size };
    let note = store.checkpoint_at(tree_size).map_err(status::read)?.ok_or_else(|| {
        let text = format!("no checkpoint of size {tree_size} was signed");
        status::status(Code::FailedPrecondition, "NO_CHECKPOINT", text)
    })?;
    let known = asked.known_size;
    let proof = if known == 0 { Vec::new() } else { store.consistency(known, tree_size).map_err(status::read)? };
    Ok(v1::GetCheckpointResponse { checkpoint: note, tree_size, consistency: digests(&proof) })
}

/// Makes a bundle, and writes who asked for it into the audit trail before any of it leaves.
fn prove(shared: &Shared, call: &Call, asked: &v1::ProveRequest) -> Result<(Vec<u8>, u64), Status> {
    let id = node_id("id", &asked.id)?;
    let tree_size = pinned(shared, asked.tree_size)?;
    let disclose = disclose(asked)?;
    let disclosure = match &disclose {
        Disclose::Minimal => "minimal",
        Disclose::All => "full",
        Disclose::Chosen(_) => "chosen",
    };
    let made = allowed(shared, &call.caller, &id, disclose != Disclose::Minimal).and_then(|()| {
        let (since, witnesses) = (asked.since_sizes.clone(), shared.witnesses.clone());
        let options = ProveOptions { disclose, at: Some(tree_size), since, witnesses };
        shared.store.prove(&id, &options).map_err(status::prove)
    });
    let entry = Entry {
        time: (shared.clock)(),
        client: call.caller.name.clone(),
        id,
        disclosure: disclosure.to_owned(),
        tree_size,
        digest: made.as_ref().ok().map(|bundle| bundle_digest(bundle)),
        request_id: call.id.clone(),
        outcome: made.as_ref().map_or_else(|status| status.message().to_owned(), |_| "made".to_owned()),
    };
    shared.audit.append(&entry).map_err(|error| {
        tracing::error!(%error, "the audit trail can't be written: no bundle leaves");
        status::status(
            Code::Unavailable,
            "NO_AUDIT",
            "the audit trail can't be written, and no bundle leaves without it",
        )
    })?;
    Ok((made?, tree_size))
}

/// Reads which details are asked for.
fn disclose(asked: &v1::ProveRequest) -> Result<Disclose, Status> {
    let is_chosen = asked.disclosure() == v1::Disclosure::Chosen;
    if !is_chosen && !asked.chosen.is_empty() {
        return Err(status::bad_field(
            "chosen",
            "CHOSEN_MALFORMED",
            "details are chosen, and DISCLOSURE_CHOSEN is not asked for",
        ));
    }
    match asked.disclosure() {
        v1::Disclosure::Unspecified | v1::Disclosure::Minimal => Ok(Disclose::Minimal),
        v1::Disclosure::Full => Ok(Disclose::All),
        v1::Disclosure::Chosen => {
            let mut chosen = Chosen::default();
            asked.chosen.iter().try_for_each(|one| choose(&mut chosen, one))?;
            Ok(Disclose::Chosen(chosen))
        }
    }
}

fn choose(chosen: &mut Chosen, one: &v1::ChosenDetails) -> Result<(), Status> {
    let bad = |why: &str| status::bad_field("chosen", "CHOSEN_MALFORMED", why);
    let slot = |slot: &u32| u8::try_from(*slot).ok().filter(|slot| *slot < DETAIL_SLOTS);
    let slots = one.slots.iter().map(slot).collect::<Option<Vec<u8>>>();
    let slots = slots.ok_or_else(|| bad("a slot is not below 32"))?;
    let before = match (kind_of(one.kind), one.id.is_empty()) {
        (Some(kind), true) => chosen.kinds.insert(kind, slots).is_some(),
        (None, false) => chosen.nodes.insert(node_id("chosen.id", &one.id)?, slots).is_some(),
        (Some(_), false) | (None, true) => return Err(bad("either a kind or a node is named")),
    };
    if before { Err(bad("one kind or node is named twice")) } else { Ok(()) }
}

/// Refuses a bundle that would show a client what it may not see.
fn allowed(shared: &Shared, caller: &Caller, id: &NodeId, beyond_minimal: bool) -> Result<(), Status> {
    let covers = |node: &StoredNode| caller.covers(name(node.core.kind, &node.record).as_deref());
    let Some(node) = shared.store.node(id).map_err(status::read)? else { return Ok(()) };
    let shipped = || node.core.edges.iter().filter(|edge| edge.home.is_none() && node.core.kind == Kind::Shipment);
    // A shipment without a name goes by what it ships.
    let goes_by_models = name(node.core.kind, &node.record).is_none() && shipped().next().is_some();
    if !goes_by_models && !covers(&node) {
        return Err(out_of_scope(caller, "the name of what is to be proven"));
    }
    // What is shipped is opened in every bundle: its content and its files.
    for edge in shipped() {
        let model = shared.store.node(&edge.to).map_err(status::read)?;
        if model.is_some_and(|model| !covers(&model)) {
            return Err(out_of_scope(caller, "the name of a model that is shipped"));
        }
    }
    let what = if beyond_minimal { "every detail" } else { "details" };
    if !caller.sees_details && !caller.may(Role::Admin) || beyond_minimal && !caller.covers(None) {
        let text = format!("the client {} may not see {what}, and this bundle opens them", caller.name);
        return Err(status::status(Code::PermissionDenied, "DETAILS_WITHHELD", text));
    }
    Ok(())
}

/// Tells a watcher of checkpoints and statuses, until it leaves or the service closes.
async fn watch(shared: &Arc<Shared>, call: &Call, mut told: u64, maker: &Maker<v1::WatchResponse>) {
    let mut reached = shared.post.reaches();
    let mut closing = shared.closing.clone();
    loop {
        let before = told;
        let grown = tokio::select! {
            grown = reached.wait_for(|size| *size > before) => grown.map(|size| *size).ok(),
            _ = closing.wait_for(|closing| *closing) => None,
            () = maker.closed() => return,
        };
        let store = shared.store.clone();
        let message = if grown.is_some() { blocking(move || news(&store, before)).await } else { Err(closing_now()) };
        told = message.as_ref().map_or(told, |news| news.tree_size);
        let is_last = message.is_err();
        if !call.send(maker, message).await || is_last {
            return;
        }
    }
}

fn closing_now() -> Status {
    status::status(Code::Unavailable, "CLOSING", "the service is closing; go on from the last size")
}

/// Returns the newest checkpoint with the statuses up to it; an earlier one if there are too many for one message.
fn news(store: &Store, before: u64) -> Result<v1::WatchResponse, Status> {
    let mut tree_size = store.size();
    let mut changes = store.status_changes(before, tree_size, STATUSES_AT_ONCE).map_err(status::read)?;
    let mut checkpoint = store.checkpoint_at(tree_size).map_err(status::read)?;
    if let Some(last) = changes.last().filter(|_| changes.len() == STATUSES_AT_ONCE) {
        // The group of the last one has a checkpoint too, and all of its statuses are told with it.
        (tree_size, checkpoint) = (last.index.saturating_add(1), None);
        while checkpoint.is_none() {
            tree_size = tree_size.saturating_add(1);
            checkpoint = store.checkpoint_at(tree_size).map_err(status::read)?;
        }
        changes = store.status_changes(before, tree_size, usize::MAX).map_err(status::read)?;
    }
    let change = |change: &griptrace_store::StatusChange| v1::StatusChange {
        key: digest(change.key.digest()),
        status: digest(change.status.digest()),
        index: change.index,
    };
    let checkpoint = checkpoint.unwrap_or_default();
    Ok(v1::WatchResponse { tree_size, checkpoint, statuses: changes.iter().map(change).collect() })
}

fn bundle_request(entry: Entry) -> v1::BundleRequest {
    let disclosure = match entry.disclosure.as_str() {
        "full" => v1::Disclosure::Full,
        "chosen" => v1::Disclosure::Chosen,
        _ => v1::Disclosure::Minimal,
    };
    v1::BundleRequest {
        time: entry.time,
        client: entry.client,
        id: digest(entry.id.digest()),
        disclosure: disclosure.into(),
        tree_size: entry.tree_size,
        digest: entry.digest.as_ref().map_or_else(Bytes::new, |found: &Digest| digest(found)),
        request_id: entry.request_id,
        outcome: entry.outcome,
    }
}
