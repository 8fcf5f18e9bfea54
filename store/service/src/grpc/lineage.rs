//! `LineageService`.

use std::{sync::Arc, vec};

use griptrace_core::{id::NodeId, node::Kind};
use griptrace_proto::v1::{self, lineage_service_server::LineageService};
use griptrace_store::{Direction, Found, Resolved, Walk, WalkOptions};
use tonic::{Code, Request, Response, Status};

use super::{
    MESSAGE_BYTES, node_id,
    nodes::{self, Showing, digest},
    pinned, reports, search,
};
use crate::{
    access::{Caller, Role},
    call::{Answers, Call},
    shared::Shared,
    status::{self, bad_field},
};

/// Ids of one `BatchGetNodes`.
const BATCH_IDS_MAX: usize = 10_000;
/// Ways of one `Paths`, unless fewer are asked for; and at most.
const PATHS: (u32, u32) = (100, 10_000);
/// Nodes that the first step of a walk visits, so that the first answer comes at once; and each later one.
const STEPS: (usize, usize) = (64, 8_192);
/// Nodes that are read at a time.
const NODES_AT_ONCE: usize = 256;

#[derive(Debug)]
pub(crate) struct Handlers(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl LineageService for Handlers {
    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::GetNodeResponse>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let place = self.0.admission.ask(&call.caller.name).await?;
        let (shared, caller) = (Arc::clone(&self.0), Arc::clone(&call.caller));
        let asked = request.into_inner();
        let answer = move || {
            let size = pinned(&shared, asked.tree_size)?;
            let ids = [node_id("id", &asked.id)?];
            let batch = Batch { size, view: asked.view(), with_proof: asked.with_proof };
            let node = batch.read(&shared, &caller, &ids)?.pop();
            Ok(v1::GetNodeResponse { tree_size: size, node })
        };
        Ok(Response::new(call.work(place, answer).await?.0))
    }

    type BatchGetNodesStream = Answers<v1::BatchGetNodesResponse>;

    async fn batch_get_nodes(
        &self,
        request: Request<v1::BatchGetNodesRequest>,
    ) -> Result<Response<Self::BatchGetNodesStream>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let place = self.0.admission.ask(&call.caller.name).await?;
        let asked = request.into_inner();
        if asked.ids.len() > BATCH_IDS_MAX {
            let text = format!("{} ids are asked for at once; the limit is {BATCH_IDS_MAX}", asked.ids.len());
            return Err(bad_field("ids", "TOO_MANY_IDS", text));
        }
        let (shared, at) = (Arc::clone(&self.0), asked.tree_size);
        let (size, place) = call.work(place, move || pinned(&shared, at)).await?;
        let ids: Vec<NodeId> = asked.ids.iter().map(|id| node_id("ids", id)).collect::<Result<_, _>>()?;
        let batch = Batch { size, view: asked.view(), with_proof: asked.with_proof };
        let (shared, caller) = (Arc::clone(&self.0), Arc::clone(&call.caller));
        let mut read = 0;
        let mut some = Parts::new(move || {
            let ids = ids.get(read..).unwrap_or_default();
            let ids = ids.get(..ids.len().min(NODES_AT_ONCE)).unwrap_or_default();
            if ids.is_empty() {
                return Ok(None);
            }
            let nodes = batch.read(&shared, &caller, ids)?;
            read = read.saturating_add(nodes.len());
            Ok(Some(nodes))
        });
        let next = move || Ok(some.next()?.map(|nodes| v1::BatchGetNodesResponse { tree_size: size, nodes }));
        Ok(Response::new(call.stream(place, next)))
    }

    async fn resolve_prefix(
        &self,
        request: Request<v1::ResolvePrefixRequest>,
    ) -> Result<Response<v1::ResolvePrefixResponse>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let place = self.0.admission.ask(&call.caller.name).await?;
        let shared = Arc::clone(&self.0);
        let asked = request.into_inner();
        let answer = move || resolve(&shared, &asked);
        Ok(Response::new(call.work(place, answer).await?.0))
    }

    type AncestorsStream = Answers<v1::AncestorsResponse>;

    async fn ancestors(
        &self,
        request: Request<v1::AncestorsRequest>,
    ) -> Result<Response<Self::AncestorsStream>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let asked = request.into_inner();
        let bounds = Bounds { size: asked.tree_size, depth_max: asked.depth_max, limit: asked.limit };
        let message = |tree_size, nodes, cut| v1::AncestorsResponse { tree_size, nodes, cut };
        walk(&self.0, &call, (Direction::Ancestors, &[]), &asked.id, bounds, message).await
    }

    type DescendantsStream = Answers<v1::DescendantsResponse>;

    async fn descendants(
        &self,
        request: Request<v1::DescendantsRequest>,
    ) -> Result<Response<Self::DescendantsStream>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let asked = request.into_inner();
        let bounds = Bounds { size: asked.tree_size, depth_max: asked.depth_max, limit: asked.limit };
        let message = |tree_size, nodes, cut| v1::DescendantsResponse { tree_size, nodes, cut };
        walk(&self.0, &call, (Direction::Descendants, &[]), &asked.id, bounds, message).await
    }

    type ImpactStream = Answers<v1::ImpactResponse>;

    async fn impact(&self, request: Request<v1::ImpactRequest>) -> Result<Response<Self::ImpactStream>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let asked = request.into_inner();
        let bounds = Bounds { size: asked.tree_size, depth_max: 0, limit: asked.limit };
        let message = |tree_size, nodes, cut| v1::ImpactResponse { tree_size, nodes, cut };
        let way = (Direction::Descendants, [Kind::Model, Kind::Shipment].as_slice());
        walk(&self.0, &call, way, &asked.id, bounds, message).await
    }

    type PathsStream = Answers<v1::PathsResponse>;

    async fn paths(&self, request: Request<v1::PathsRequest>) -> Result<Response<Self::PathsStream>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let place = self.0.admission.ask(&call.caller.name).await?;
        let asked = request.into_inner();
        let (usual, most) = PATHS;
        if asked.limit > most {
            let text = format!("{} ways are asked for; the limit is {most}", asked.limit);
            return Err(bad_field("limit", "TOO_MANY_PATHS", text));
        }
        let limit = usize::try_from(if asked.limit == 0 { usual } else { asked.limit }).unwrap_or(usize::MAX);
        let (from, to) = (node_id("from", &asked.from)?, node_id("to", &asked.to)?);
        let shared = Arc::clone(&self.0);
        let find = move || {
            let size = pinned(&shared, asked.tree_size)?;
            Ok((shared.store.paths(&from, &to, limit, Some(size)).map_err(status::read)?, size))
        };
        let ((found, size), place) = call.work(place, find).await?;
        let mut paths = found.paths.into_iter().peekable();
        let next = move || {
            let Some(path) = paths.next() else { return Ok(None) };
            let ids = path.iter().map(|id| digest(id.digest())).collect();
            Ok(Some(v1::PathsResponse { tree_size: size, ids, cut: found.cut && paths.peek().is_none() }))
        };
        Ok(Response::new(call.stream(place, next)))
    }

    type SearchStream = Answers<v1::SearchResponse>;

    async fn search(&self, request: Request<v1::SearchRequest>) -> Result<Response<Self::SearchStream>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let place = self.0.admission.ask(&call.caller.name).await?;
        let (mut search, place) = search::Search::begin(&self.0, &call, place, request.into_inner()).await?;
        Ok(Response::new(call.stream(place, move || search.next())))
    }

    type NamesStream = Answers<v1::NamesResponse>;

    async fn names(&self, request: Request<v1::NamesRequest>) -> Result<Response<Self::NamesStream>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let place = self.0.admission.ask(&call.caller.name).await?;
        let v1::NamesRequest { name, tree_size, view } = request.into_inner();
        if name.is_empty() {
            return Err(bad_field("name", "NAME_EMPTY", "a name is needed"));
        }
        let asked = v1::SearchRequest { name, tree_size, view, ..Default::default() };
        let (mut search, place) = search::Search::begin(&self.0, &call, place, asked).await?;
        let next = move || {
            let some = search.next()?;
            Ok(some.map(|some| v1::NamesResponse { tree_size: some.tree_size, nodes: some.nodes }))
        };
        Ok(Response::new(call.stream(place, next)))
    }

    type InventoryStream = Answers<v1::InventoryResponse>;

    async fn inventory(
        &self,
        request: Request<v1::InventoryRequest>,
    ) -> Result<Response<Self::InventoryStream>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let place = self.0.admission.ask(&call.caller.name).await?;
        let (shared, caller) = (Arc::clone(&self.0), Arc::clone(&call.caller));
        let begin = move || reports::Inventory::new(&shared, &caller, request.get_ref());
        let (mut inventory, place) = call.work(place, begin).await?;
        Ok(Response::new(call.stream(place, move || inventory.next())))
    }

    async fn check(&self, request: Request<v1::CheckRequest>) -> Result<Response<v1::CheckResponse>, Status> {
        let call = Call::of(&request, Role::Read, &self.0.limits)?;
        let place = call.in_time(self.0.admission.prove(&call.caller.name)).await??;
        let (shared, caller) = (Arc::clone(&self.0), Arc::clone(&call.caller));
        let asked = request.into_inner();
        Ok(Response::new(call.work(place, move || reports::check(&shared, &caller, &asked)).await?.0))
    }
}

/// Nodes that are asked for by their ids.
#[derive(Clone, Copy, Debug)]
struct Batch {
    size: u64,
    view: v1::NodeView,
    with_proof: bool,
}

impl Batch {
    /// Reads the first of some nodes, as many as should be held at a time.
    fn read(self, shared: &Shared, caller: &Caller, ids: &[NodeId]) -> Result<Vec<v1::Node>, Status> {
        let nodes = shared.store.first_nodes(ids, Some(self.size)).map_err(status::read)?;
        let ids = ids.get(..nodes.len()).unwrap_or_default();
        let proofs = if self.with_proof {
            let proofs = shared.store.node_proofs(ids, self.size).map_err(status::read)?;
            proofs.into_iter().map(Some).collect()
        } else {
            vec![None; nodes.len()]
        };
        let showing = Showing { caller, view: self.view };
        Ok(nodes.iter().zip(proofs).map(|(node, proof)| showing.node(node, proof, self.size)).collect())
    }
}

/// Nodes, put into messages of a bounded size.
pub(super) struct Parts<F> {
    source: F,
    waiting: vec::IntoIter<v1::Node>,
    is_over: bool,
}

impl<F: FnMut() -> Result<Option<Vec<v1::Node>>, Status>> Parts<F> {
    pub(super) fn new(source: F) -> Self {
        Self { source, waiting: Vec::new().into_iter(), is_over: false }
    }

    /// Returns the next nodes; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<v1::Node>>, Status> {
        while self.waiting.as_slice().is_empty() && !self.is_over {
            match (self.source)()? {
                Some(nodes) => self.waiting = nodes.into_iter(),
                None => self.is_over = true,
            }
        }
        let mut bytes = 0_usize;
        let mut part = Vec::new();
        while let Some(node) = self.waiting.as_slice().first() {
            bytes = bytes.saturating_add(prost::Message::encoded_len(node));
            if bytes > MESSAGE_BYTES && !part.is_empty() {
                break;
            }
            part.extend(self.waiting.next());
        }
        Ok((!part.is_empty()).then_some(part))
    }
}

fn resolve(shared: &Shared, asked: &v1::ResolvePrefixRequest) -> Result<v1::ResolvePrefixResponse, Status> {
    let size = pinned(shared, asked.tree_size)?;
    let ids = match shared.store.resolve(&asked.hex_prefix, Some(size)).map_err(status::read)? {
        Resolved::None => Vec::new(),
        Resolved::One(id) => vec![id],
        Resolved::Ambiguous(ids) => ids,
    };
    let ids = ids.iter().map(|id| digest(id.digest())).collect();
    Ok(v1::ResolvePrefixResponse { tree_size: size, ids })
}

/// How far a walk is to go; 0 stands for the newest size, and for no limit.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    size: u64,
    depth_max: u64,
    limit: u64,
}

/// Walks, and answers with what is come to.
async fn walk<T: Send + 'static>(
    shared: &Arc<Shared>,
    call: &Call,
    (direction, kinds): (Direction, &[Kind]),
    from: &[u8],
    bounds: Bounds,
    message: fn(u64, Vec<v1::Found>, bool) -> T,
) -> Result<Response<Answers<T>>, Status> {
    let place = shared.admission.ask(&call.caller.name).await?;
    let from = node_id("id", from)?;
    let limited = |value: u64| (value > 0).then_some(value);
    let (depth_max, limit) = (limited(bounds.depth_max), limited(bounds.limit));
    let mut options = WalkOptions { direction, at: None, depth_max, limit, kinds: kinds.to_vec() };
    let shared = Arc::clone(shared);
    let begin = move || {
        options.at = Some(pinned(&shared, bounds.size)?);
        shared.store.walk(from, &options).map_err(status::read)
    };
    let (walk, place) = call.work(place, begin).await?;
    let size = walk.size();
    let mut steps = Steps { walk, is_first: true, is_over: false };
    let next = move || Ok(steps.next()?.map(|(found, cut)| message(size, nodes::found(&found), cut)));
    Ok(Response::new(call.stream(place, next)))
}

/// A walk, step by step.
struct Steps {
    walk: Walk,
    is_first: bool,
    is_over: bool,
}

impl Steps {
    /// Returns what the next steps came to; the last message says whether a limit cut.
    fn next(&mut self) -> Result<Option<(Vec<Found>, bool)>, Status> {
        if self.is_over {
            return Ok(None);
        }
        let (first, later) = STEPS;
        let visits = if core::mem::replace(&mut self.is_first, false) { first } else { later };
        for _ in 0..STEPS_WITHOUT_ANSWER {
            match self.walk.step(visits).map_err(status::read)? {
                Some(found) if found.is_empty() => {}
                Some(found) => return Ok(Some((found, false))),
                None => {
                    self.is_over = true;
                    return Ok(Some((Vec::new(), self.walk.is_cut())));
                }
            }
        }
        // Nothing yet: an empty message gives others their turn, and notices whether anybody still listens.
        Ok(Some((Vec::new(), false)))
    }
}

/// Steps that may come to nothing before somebody else has a turn.
const STEPS_WITHOUT_ANSWER: usize = 8;

/// Says that a page token is none of ours.
pub(super) fn bad_token() -> Status {
    status::status(
        Code::InvalidArgument,
        "PAGE_TOKEN",
        "page_token: not one that this search gave; begin again without one",
    )
}
