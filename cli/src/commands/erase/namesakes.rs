//! What still stands in other nodes of the same name, of any standing, after something was erased of one.

use std::collections::BTreeMap;

use griptrace_core::{details::slot, digest::Digest};
use griptrace_store::{StoredNode, record::NodeRecord};

use super::What;
use crate::{
    context::Context,
    error::CommandError,
    view::{field_name, headline},
    workspace::{Workspace, name},
};

/// Nodes that are named one by one.
const TOLD: usize = 10;
/// Files that are named one by one.
const FILES_TOLD: usize = 10;

/// Names the nodes of the same name in which stands what was erased, or another value of it, and how it is erased there.
pub(super) fn tell(
    context: &Context,
    workspace: &Workspace,
    target: &StoredNode,
    what: &What,
) -> Result<(), CommandError> {
    let Some(name) = name(target) else { return Ok(()) };
    let ids = workspace.store.by_name(&name).map_err(|e| e.while_doing(format!("cannot look up {name:?}")))?;
    let old = files(&target.record);
    let mut others = 0_usize;
    for id in ids.iter().filter(|id| **id != target.id) {
        let other = workspace.node(id)?;
        let stands = standing((target, &old), what, &other);
        if stands.words.is_empty() {
            continue;
        }
        others = others.saturating_add(1);
        if others <= TOLD {
            let aside = workspace.why_aside(&other)?.map_or_else(String::new, |why| format!(", which {why},"));
            context.output.warn(format_args!(
                "{}{aside} still has {}: griptrace erase {id} {} --reason TEXT",
                headline(&other),
                stands.words.join(", "),
                stands.arguments.join(" ")
            ));
        }
    }
    if let Some(more) = others.checked_sub(TOLD).filter(|more| *more > 0) {
        context.output.warn(format_args!("so have {more} more nodes that are called {name:?}"));
    }
    Ok(())
}

/// What stands in a node, in words and as arguments of the command.
#[derive(Default)]
struct Standing {
    words: Vec<String>,
    arguments: Vec<String>,
}

/// The files of a node, by their paths.
type Files<'a> = BTreeMap<&'a [u8], Digest>;

fn files(record: &NodeRecord) -> Files<'_> {
    let files = record.manifest.iter().flat_map(|manifest| &manifest.files);
    files.map(|file| (file.path.as_slice(), file.blake3)).collect()
}

fn standing((target, old): (&StoredNode, &Files<'_>), what: &What, other: &StoredNode) -> Standing {
    let mut stands = Standing::default();
    let which = |is_same| if is_same { "the same" } else { "another" };
    for at in &what.slots {
        let field = field_name(target.core.kind, *at);
        let there = slot(other.core.kind, &field).or(Some(*at).filter(|_| other.core.kind == target.core.kind));
        let Some(value) = there.and_then(|there| other.record.values.get(&there)) else { continue };
        let is_same = target.record.values.get(at) == Some(value);
        stands.words.push(format!("{} {field}", which(is_same)));
        stands.arguments.push(field);
    }
    let found = files(&other.record);
    let shared: Vec<&Vec<u8>> = what.files.iter().filter(|path| found.contains_key(path.as_slice())).collect();
    if shared.len() > FILES_TOLD {
        stands.words.push(format!("{} files of the same paths", shared.len()));
        stands.arguments.push("--files".to_owned());
        return stands;
    }
    for path in shared {
        let is_same = old.get(path.as_slice()) == found.get(path.as_slice());
        let path = String::from_utf8_lossy(path);
        stands.words.push(format!("{} file {path:?}", which(is_same)));
        stands.arguments.push(format!("--file {path:?}"));
    }
    stands
}
