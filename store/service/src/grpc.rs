//! The gRPC services: a handler reads a request, asks the store, and writes the answer.

mod commit;
mod lineage;
mod nodes;
mod proof;
mod reports;
mod search;

use std::sync::Arc;

pub(crate) use self::nodes::{detail, digest, digests, name};
use griptrace_core::{date::Date, digest::Digest, id::NodeId};
use griptrace_proto::v1::{
    commit_service_server::CommitServiceServer, lineage_service_server::LineageServiceServer,
    proof_service_server::ProofServiceServer,
};
use tonic::{Code, Status, service::Routes};

use crate::{
    shared::Shared,
    status::{bad_field, status},
};

/// Bytes of a message of ours at most, but for a node that is larger by itself.
const MESSAGE_BYTES: usize = 1 << 20;

/// Returns the services, to be put behind a listener.
pub(crate) fn routes(shared: &Arc<Shared>) -> Routes {
    let most = shared.limits.message_bytes_max;
    let commit = CommitServiceServer::new(commit::Handlers(Arc::clone(shared))).max_decoding_message_size(most);
    let lineage = LineageServiceServer::new(lineage::Handlers(Arc::clone(shared)));
    let proof = ProofServiceServer::new(proof::Handlers(Arc::clone(shared)));
    Routes::new(commit)
        .add_service(lineage.max_encoding_message_size(usize::MAX))
        .add_service(proof.max_encoding_message_size(usize::MAX))
}

/// Reads an id.
fn node_id(field: &str, bytes: &[u8]) -> Result<NodeId, Status> {
    let fixed: [u8; 32] = bytes.try_into().map_err(|_| {
        bad_field(field, "ID_MALFORMED", format_args!("an id has 32 bytes, and this has {}", bytes.len()))
    })?;
    Ok(NodeId::new(Digest::from_bytes(fixed)))
}

/// Reads a day; an empty text is today.
fn day(shared: &Shared, field: &str, text: &str) -> Result<Date, Status> {
    if text.is_empty() {
        return Ok(Date::from_unix((shared.clock)()));
    }
    Date::parse(text).ok_or_else(|| bad_field(field, "DATE_MALFORMED", "a day is written YYYY-MM-DD"))
}

/// Reads the size to answer at; 0 is the newest.
fn pinned(shared: &Shared, asked: u64) -> Result<u64, Status> {
    let size = shared.store.size();
    match asked {
        0 => Ok(size),
        asked if asked <= size => Ok(asked),
        asked => {
            let text = format!("the log has {size} entries, and the question is about {asked}");
            Err(status(Code::OutOfRange, "BEYOND_LOG", text))
        }
    }
}
