//! A server over a real store: honest, but for the one lie that a test asks for.

use core::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::{
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use bytes::Bytes;
use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    id::NodeId,
    key::PublicKey,
    key_change::KeyUse,
    node::Kind,
    note::{Note, NoteSigner},
    tree::Rfc9162,
};
use griptrace_proto::v1::{
    self, commit_service_server as commit, lineage_service_server as lineage, proof_service_server as proof,
};
use griptrace_store::{Disclose, Found, ProveOptions, ReadError, Receipt, SignedCommit, Store, record::NodeRecord};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

/// In which one respect the server lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trick {
    None,
    SmallerTree,
    OtherRoot,
    ForgedSignature,
    CoreChanged,
    RecordChanged,
    CommitterChanged,
    NodeOfAnother,
    Withheld,
    AncestorLeftOut,
    AncestorAdded,
    DescendantAdded,
    NoStatuses,
    StaleSize,
    ReceiptOfAnother,
    ReceiptRenamed,
    BundleOfAnother,
    EntryChanged,
    OtherName,
    OtherNameWithheld,
    SearchCut,
    OtherUnit,
    NoWay,
    WayNotAnEdge,
    PlaceChanged,
    NodeLeftOut,
    StatusesOfAnother,
    OlderHead,
    EntryLeftOut,
    BundleCut,
    /// Opens every detail.
    BundleOpensMore,
    AssessmentIsNone,
    /// Signs the newest tree with the log's first key.
    FirstKeySigns,
    /// Signs older trees with a key that the log never had.
    OldCheckpointForged,
}

/// What the handlers share.
pub(super) struct State {
    pub(super) store: Mutex<Store>,
    pub(super) trick: Mutex<Trick>,
    /// Another node, for tricks that pass one off.
    pub(super) other: Mutex<Option<NodeId>>,
    /// Answers that are lost after the work was done.
    pub(super) lost: AtomicU32,
    /// Calls that are put off.
    pub(super) busy: AtomicU32,
    /// What is said of the log, where it is not what is so.
    pub(super) log: Mutex<Option<v1::GetLogResponse>>,
    signer: NoteSigner,
    committer: PublicKey,
}

#[derive(Clone)]
pub(super) struct Server(Arc<State>);

type Items<T> = tokio_stream::Iter<std::vec::IntoIter<Result<T, Status>>>;

impl Server {
    /// Starts a server on this machine, and returns it with its address.
    pub(super) fn start(store: Store, signer: NoteSigner, committer: PublicKey) -> (Arc<State>, String) {
        let state = Arc::new(State {
            store: Mutex::new(store),
            trick: Mutex::new(Trick::None),
            other: Mutex::new(None),
            lost: AtomicU32::new(0),
            busy: AtomicU32::new(0),
            log: Mutex::new(None),
            signer,
            committer,
        });
        let server = Self(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(listener).unwrap());
                tonic::transport::Server::builder()
                    .add_service(lineage::LineageServiceServer::new(server.clone()))
                    .add_service(proof::ProofServiceServer::new(server.clone()))
                    .add_service(commit::CommitServiceServer::new(server))
                    .serve_with_incoming(incoming)
                    .await
                    .unwrap();
            });
        });
        (state, url)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap()
    }

    fn plays(&self, trick: Trick) -> bool {
        *self.0.trick.lock().unwrap() == trick
    }

    fn other(&self) -> NodeId {
        self.0.other.lock().unwrap().expect("the test names another node")
    }

    /// Puts a call off, as often as the test says.
    fn put_off(&self) -> Result<(), Status> {
        if !counts_down(&self.0.busy) {
            return Ok(());
        }
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(20)));
        Err(Status::with_error_details(Code::ResourceExhausted, "too many questions", details))
    }

    fn size(&self, asked: u64) -> u64 {
        if asked == 0 { self.store().size() } else { asked }
    }

    fn note(&self, size: u64, root: Digest) -> String {
        let origin = self.store().genesis().origin.clone();
        let text = Checkpoint::new(&origin, size, root).unwrap().to_text();
        Note::new(&text, vec![self.0.signer.sign(&text)]).unwrap().to_text()
    }

    fn node(&self, id: NodeId, size: u64) -> Result<v1::Node, Status> {
        let id = if self.plays(Trick::NodeOfAnother) { self.other() } else { id };
        let store = self.store();
        let node = store.nodes(&[id], Some(size)).map_err(|e| wrong(&e))?.remove(0);
        let proof = store.node_proofs(&[id], size).map_err(|e| wrong(&e))?.remove(0);
        let mut record = node.record.clone();
        let mut answer = v1::Node {
            id: wire(node.id.digest()),
            kind: node.core.kind.number().into(),
            core: node.record.core.clone().into(),
            index: node.index,
            committer: wire(node.committer.digest()),
            issuer: node.issuer,
            commit_time: node.time,
            proof: Some(v1::NodeProof {
                entry: proof.entry.into(),
                place: proof.place,
                count: proof.count,
                commit_path: wires(&proof.commit_path),
                log_path: wires(&proof.log_path),
                tree_size: size,
            }),
            ..v1::Node::default()
        };
        if self.plays(Trick::CoreChanged) {
            let mut core = answer.core.to_vec();
            let last = core.len() - 1;
            core[last] ^= 1;
            answer.core = core.into();
        }
        if self.plays(Trick::RecordChanged) {
            record.values.values_mut().for_each(|value| *value = b"\x61x".to_vec());
        }
        if let Some(proof) = answer.proof.as_mut().filter(|_| self.plays(Trick::PlaceChanged)) {
            proof.place ^= 1;
        }
        if self.plays(Trick::CommitterChanged) {
            answer.issuer = "Somebody Else".to_owned();
        }
        answer.redacted = self.plays(Trick::Withheld) || self.plays(Trick::OtherNameWithheld);
        answer.record = if answer.redacted { Bytes::new() } else { record.to_bytes().into() };
        Ok(answer)
    }

    fn walked(&self, mut found: Vec<Found>, added: Trick) -> Vec<v1::Found> {
        if self.plays(added) {
            found.push(Found { id: self.other(), kind: Kind::Dataset, depth: 1 });
        }
        let read = |f: Found| v1::Found { id: wire(f.id.digest()), kind: f.kind.number().into(), depth: f.depth };
        found.into_iter().map(read).collect()
    }

    fn ids_of(&self, question: &v1::SearchRequest) -> Result<Vec<NodeId>, Status> {
        let store = self.store();
        if let Some(digest) = Digest::from_slice(&question.content) {
            return store.by_content(&digest).map_err(|e| wrong(&e));
        }
        if self.plays(Trick::AssessmentIsNone) {
            return Ok(vec![self.other()]);
        }
        if let Some(digest) = Digest::from_slice(&question.assesses) {
            return store.assessments_of(&NodeId::new(digest)).map_err(|e| wrong(&e));
        }
        let kind = Kind::ALL.iter().find(|kind| i32::from(kind.number()) == question.kind);
        kind.map_or(Ok(Vec::new()), |kind| store.of_kind(*kind)).map_err(|e| wrong(&e))
    }

    fn receipt(&self, of: &Receipt, entry: &[u8]) -> v1::Receipt {
        let mut receipt = v1::Receipt {
            commit_digest: wire(&Rfc9162::leaf_hash(entry)),
            index: of.index,
            tree_size: of.size,
            log_path: wires(&of.inclusion),
            checkpoint: of.checkpoint.clone(),
            already_recorded: of.is_old,
        };
        if self.plays(Trick::ReceiptOfAnother) || self.plays(Trick::ReceiptRenamed) {
            let old = self.store().entries(2..3).unwrap().remove(0);
            receipt.index = 2;
            receipt.log_path = wires(&self.store().inclusion(2, of.size).unwrap().path);
            if self.plays(Trick::ReceiptOfAnother) {
                receipt.commit_digest = wire(&Rfc9162::leaf_hash(&old.bytes));
            }
        }
        receipt
    }
}

/// Takes one away, and tells whether there was one.
fn counts_down(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn wrong(error: &ReadError) -> Status {
    if matches!(error, ReadError::NoNode { .. }) {
        return Status::not_found(error.to_string());
    }
    Status::internal(error.to_string())
}

fn wire(digest: &Digest) -> Bytes {
    Bytes::copy_from_slice(digest.as_bytes())
}

fn wires(digests: &[Digest]) -> Vec<Bytes> {
    digests.iter().map(wire).collect()
}

fn id(bytes: &Bytes) -> NodeId {
    NodeId::new(Digest::from_slice(bytes).unwrap())
}

fn one<T>(message: T) -> Response<Items<T>> {
    Response::new(tokio_stream::iter(vec![Ok(message)]))
}

fn not_here<T>() -> Result<T, Status> {
    Err(Status::unimplemented("no test asks for this"))
}

#[tonic::async_trait]
impl lineage::LineageService for Server {
    type BatchGetNodesStream = Items<v1::BatchGetNodesResponse>;
    type AncestorsStream = Items<v1::AncestorsResponse>;
    type DescendantsStream = Items<v1::DescendantsResponse>;
    type PathsStream = Items<v1::PathsResponse>;
    type ImpactStream = Items<v1::ImpactResponse>;
    type SearchStream = Items<v1::SearchResponse>;
    type NamesStream = Items<v1::NamesResponse>;
    type InventoryStream = Items<v1::InventoryResponse>;

    async fn get_node(&self, _: Request<v1::GetNodeRequest>) -> Result<Response<v1::GetNodeResponse>, Status> {
        not_here()
    }

    async fn batch_get_nodes(
        &self,
        request: Request<v1::BatchGetNodesRequest>,
    ) -> Result<Response<Self::BatchGetNodesStream>, Status> {
        self.put_off()?;
        let request = request.into_inner();
        let size = self.size(request.tree_size);
        let nodes = request.ids.iter().map(|bytes| self.node(id(bytes), size)).collect::<Result<Vec<_>, _>>()?;
        let nodes = if self.plays(Trick::NodeLeftOut) { Vec::new() } else { nodes };
        let tree_size = if self.plays(Trick::StaleSize) { size - 2 } else { size };
        Ok(one(v1::BatchGetNodesResponse { tree_size, nodes }))
    }

    async fn resolve_prefix(
        &self,
        _: Request<v1::ResolvePrefixRequest>,
    ) -> Result<Response<v1::ResolvePrefixResponse>, Status> {
        not_here()
    }

    async fn ancestors(
        &self,
        request: Request<v1::AncestorsRequest>,
    ) -> Result<Response<Self::AncestorsStream>, Status> {
        let request = request.into_inner();
        let tree_size = self.size(request.tree_size);
        let mut found = self.store().ancestors(&id(&request.id), Some(tree_size)).map_err(|e| wrong(&e))?;
        if self.plays(Trick::AncestorLeftOut) {
            found.pop();
        }
        let nodes = self.walked(found, Trick::AncestorAdded);
        Ok(one(v1::AncestorsResponse { tree_size, nodes, cut: false }))
    }

    async fn descendants(
        &self,
        request: Request<v1::DescendantsRequest>,
    ) -> Result<Response<Self::DescendantsStream>, Status> {
        let request = request.into_inner();
        let tree_size = self.size(request.tree_size);
        let found = self.store().descendants(&id(&request.id), Some(tree_size)).map_err(|e| wrong(&e))?;
        let nodes = self.walked(found, Trick::DescendantAdded);
        Ok(one(v1::DescendantsResponse { tree_size, nodes, cut: false }))
    }

    async fn paths(&self, request: Request<v1::PathsRequest>) -> Result<Response<Self::PathsStream>, Status> {
        let request = request.into_inner();
        let tree_size = self.size(request.tree_size);
        let limit = usize::try_from(request.limit).unwrap();
        let found =
            self.store().paths(&id(&request.from), &id(&request.to), limit, Some(tree_size)).map_err(|e| wrong(&e))?;
        let paths = if self.plays(Trick::NoWay) { Vec::new() } else { found.paths };
        let way = |mut way: Vec<NodeId>| {
            if self.plays(Trick::WayNotAnEdge) {
                way.remove(1);
            }
            let ids = way.iter().map(|id| wire(id.digest())).collect();
            Ok(v1::PathsResponse { tree_size, ids, cut: found.cut })
        };
        Ok(Response::new(tokio_stream::iter(paths.into_iter().map(way).collect::<Vec<_>>())))
    }

    async fn impact(&self, _: Request<v1::ImpactRequest>) -> Result<Response<Self::ImpactStream>, Status> {
        not_here()
    }

    async fn search(&self, request: Request<v1::SearchRequest>) -> Result<Response<Self::SearchStream>, Status> {
        let request = request.into_inner();
        let tree_size = self.size(request.tree_size);
        let ids = self.ids_of(&request)?;
        let nodes = ids.iter().map(|id| self.node(*id, tree_size)).collect::<Result<Vec<_>, _>>()?;
        let cut = self.plays(Trick::SearchCut);
        let next_page_token = if cut { "again".to_owned() } else { String::new() };
        Ok(one(v1::SearchResponse { tree_size, nodes, cut, next_page_token }))
    }

    async fn names(&self, request: Request<v1::NamesRequest>) -> Result<Response<Self::NamesStream>, Status> {
        let request = request.into_inner();
        let tree_size = self.size(request.tree_size);
        let mut ids = self.store().by_name(&request.name).map_err(|e| wrong(&e))?;
        if self.plays(Trick::OtherName) || self.plays(Trick::OtherNameWithheld) {
            ids = vec![self.other()];
        }
        let nodes = ids.iter().map(|id| self.node(*id, tree_size)).collect::<Result<Vec<_>, _>>()?;
        Ok(one(v1::NamesResponse { tree_size, nodes }))
    }

    async fn inventory(&self, _: Request<v1::InventoryRequest>) -> Result<Response<Self::InventoryStream>, Status> {
        not_here()
    }

    async fn check(&self, _: Request<v1::CheckRequest>) -> Result<Response<v1::CheckResponse>, Status> {
        not_here()
    }
}

/// Returns what there is to say of a log.
pub(super) fn log(store: &Store) -> v1::GetLogResponse {
    let genesis = store.genesis();
    let changes = store.key_changes().into_iter().filter(|(_, change)| change.of == KeyUse::Log);
    let entry = |index: u64| store.entries(index..index + 1).unwrap().remove(0).bytes;
    let key_changes = changes.map(|(index, _)| v1::LogKeyChange { index, entry: entry(index).into() });
    v1::GetLogResponse {
        origin: genesis.origin.clone(),
        vkey: store.verifiers()[0].to_vkey(),
        genesis: genesis.to_bytes().unwrap().into(),
        key_changes: key_changes.collect(),
    }
}

#[tonic::async_trait]
impl proof::ProofService for Server {
    type ListEntriesStream = Items<v1::ListEntriesResponse>;
    type ProveStream = Items<v1::ProveResponse>;
    type WatchStream = Items<v1::WatchResponse>;
    type ListBundleRequestsStream = Items<v1::ListBundleRequestsResponse>;

    async fn get_log(&self, _: Request<v1::GetLogRequest>) -> Result<Response<v1::GetLogResponse>, Status> {
        let said = self.0.log.lock().unwrap().clone();
        Ok(Response::new(said.unwrap_or_else(|| log(&self.store()))))
    }

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        let asked = request.into_inner().tree_size;
        let mut tree_size = self.size(asked);
        let mut checkpoint = self.store().checkpoint_at(tree_size).map_err(|e| wrong(&e))?.unwrap();
        if self.plays(Trick::SmallerTree) {
            tree_size = 2;
            checkpoint = self.store().checkpoint_at(2).map_err(|e| wrong(&e))?.unwrap();
        }
        if self.plays(Trick::FirstKeySigns) {
            let root = Checkpoint::parse(Note::parse(checkpoint.as_bytes()).unwrap().text()).unwrap().root;
            checkpoint = self.note(tree_size, root);
        }
        if self.plays(Trick::OtherRoot) {
            checkpoint = self.note(tree_size, Digest::from_bytes([9; 32]));
        }
        if self.plays(Trick::ForgedSignature) || self.plays(Trick::OldCheckpointForged) && asked > 0 {
            let other = NoteSigner::new(self.0.signer.verifier().name(), &[99; 32]).unwrap();
            let text = Note::parse(checkpoint.as_bytes()).unwrap().text().to_owned();
            checkpoint = Note::new(&text, vec![other.sign(&text)]).unwrap().to_text();
        }
        Ok(Response::new(v1::GetCheckpointResponse { checkpoint, tree_size, consistency: Vec::new() }))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<v1::GetInclusionProofRequest>,
    ) -> Result<Response<v1::GetInclusionProofResponse>, Status> {
        let request = request.into_inner();
        let tree_size = self.size(request.tree_size);
        let proof = self.store().inclusion(request.index, tree_size).map_err(|e| wrong(&e))?;
        let (leaf_hash, log_path) = (wire(&proof.leaf_hash), wires(&proof.path));
        Ok(Response::new(v1::GetInclusionProofResponse { tree_size, leaf_hash, log_path }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<v1::GetConsistencyProofRequest>,
    ) -> Result<Response<v1::GetConsistencyProofResponse>, Status> {
        let v1::GetConsistencyProofRequest { old_size, new_size } = request.into_inner();
        let proof = self.store().consistency(old_size, new_size).map_err(|e| wrong(&e))?;
        Ok(Response::new(v1::GetConsistencyProofResponse { old_size, new_size, consistency: wires(&proof) }))
    }

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let request = request.into_inner();
        let tree_size = self.size(request.tree_size);
        let of = if self.plays(Trick::StatusesOfAnother) { self.other() } else { id(&request.id) };
        let at = if self.plays(Trick::OlderHead) { tree_size - 2 } else { tree_size };
        let found = self.store().status_evidence(&of, at).map_err(|e| wrong(&e))?;
        let statuses = if self.plays(Trick::NoStatuses) { Vec::new() } else { found.statuses };
        Ok(Response::new(v1::GetStatusResponse {
            tree_size,
            key: wire(found.key.digest()),
            statuses: statuses.iter().map(|id| wire(id.digest())).collect(),
            head: found.head.into(),
            head_path: wires(&found.head_path),
            proof: found.proof.into(),
        }))
    }

    async fn list_entries(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Result<Response<Self::ListEntriesStream>, Status> {
        let v1::ListEntriesRequest { begin, end } = request.into_inner();
        let mut found = self.store().entries(begin..end).map_err(|e| wrong(&e))?;
        if self.plays(Trick::EntryLeftOut) {
            found.pop();
        }
        if self.plays(Trick::EntryChanged) {
            found[1].bytes[40] ^= 1;
        }
        Ok(one(v1::ListEntriesResponse { begin, entries: found.into_iter().map(|entry| entry.bytes.into()).collect() }))
    }

    async fn prove(&self, request: Request<v1::ProveRequest>) -> Result<Response<Self::ProveStream>, Status> {
        let request = request.into_inner();
        let (asked, tree_size) = (id(&request.id), request.tree_size);
        let asked = if self.plays(Trick::BundleOfAnother) { self.other() } else { asked };
        let disclose = if self.plays(Trick::BundleOpensMore) { Disclose::All } else { Disclose::Minimal };
        let options =
            ProveOptions { disclose, at: Some(tree_size), since: request.since_sizes, ..ProveOptions::default() };
        let bytes = self.store().prove(&asked, &options).map_err(|e| Status::internal(e.to_string()))?;
        let total_bytes = u64::try_from(bytes.len()).unwrap();
        let bytes = if self.plays(Trick::BundleCut) { &bytes[..bytes.len() - 1] } else { &bytes[..] };
        let piece =
            |piece: &[u8]| Ok(v1::ProveResponse { piece: Bytes::copy_from_slice(piece), total_bytes, tree_size });
        Ok(Response::new(tokio_stream::iter(bytes.chunks(100).map(piece).collect::<Vec<_>>())))
    }

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        not_here()
    }

    async fn list_bundle_requests(
        &self,
        _: Request<v1::ListBundleRequestsRequest>,
    ) -> Result<Response<Self::ListBundleRequestsStream>, Status> {
        not_here()
    }
}

#[tonic::async_trait]
impl commit::CommitService for Server {
    type CommitStreamStream = Items<v1::CommitStreamResponse>;

    async fn commit(&self, request: Request<v1::CommitRequest>) -> Result<Response<v1::CommitResponse>, Status> {
        self.put_off()?;
        let v1::CommitRequest { entry, nodes } = request.into_inner();
        let nodes = nodes.iter().map(|bytes| NodeRecord::from_bytes(bytes).unwrap()).collect();
        let commit = SignedCommit::new(entry.to_vec(), nodes, self.0.committer.clone());
        let receipt = self.store().commit_signed(vec![commit], crate::clock::now()).remove(0);
        let receipt = receipt.map_err(|e| Status::invalid_argument(e.to_string()))?;
        if counts_down(&self.0.lost) {
            return Err(Status::unavailable("the answer is lost"));
        }
        Ok(Response::new(v1::CommitResponse { receipt: Some(self.receipt(&receipt, &entry)) }))
    }

    async fn commit_stream(
        &self,
        _: Request<Streaming<v1::CommitRequest>>,
    ) -> Result<Response<Self::CommitStreamStream>, Status> {
        not_here()
    }

    async fn find_recorded(
        &self,
        request: Request<v1::FindRecordedRequest>,
    ) -> Result<Response<v1::FindRecordedResponse>, Status> {
        let unit = request.into_inner().unit;
        let unit: Vec<NodeRecord> = unit.iter().map(|bytes| NodeRecord::from_bytes(bytes).unwrap()).collect();
        let mut ids = self.store().find_recorded(&unit).map_err(|e| wrong(&e))?.unwrap_or_default();
        if self.plays(Trick::OtherUnit) {
            ids = vec![self.other()];
        }
        Ok(Response::new(v1::FindRecordedResponse { ids: ids.iter().map(|id| wire(id.digest())).collect() }))
    }
}
