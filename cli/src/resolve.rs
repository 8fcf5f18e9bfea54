//! Which node is meant: an id or its first digits, a name, or a file.

use std::path::Path;

use griptrace_core::{digest::Digest, id::NodeId, manifest::content_digest, node::Kind};
use griptrace_store::{
    Resolved, StoredNode,
    hashing::{HashOptions, Hashed, hash_path},
};

use crate::{
    error::CommandError,
    foreign,
    output::Output,
    view,
    workspace::{Workspace, detail, name},
};

/// Digits that an abbreviated id has at least.
const DIGITS_MIN: usize = 4;
/// Candidates that an ambiguous name lists at most.
const CANDIDATES_MAX: usize = 20;

/// What to do where several nodes share a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shared {
    /// Take the newest, and say so; of a file, what was put aside too, and say by what: for who only looks.
    Look,
    /// Take the newest, and say so.
    Newest,
    /// Refuse, unless they have one content: what is asked for can't be undone.
    Refuse,
}

/// Finds the one node that `text` means: an id of at least 4 digits, `NAME`, `kind:NAME` or a file.
pub(crate) fn resolve(workspace: &Workspace, output: &Output, text: &str) -> Result<NodeId, CommandError> {
    find(workspace, output, text, &[], Shared::Look)
}

/// Finds the one node that `text` means, if this log has one.
pub(crate) fn resolve_here(workspace: &Workspace, output: &Output, text: &str) -> Result<Option<NodeId>, CommandError> {
    seek(workspace, output, text, &[], Shared::Look)
}

fn find(
    workspace: &Workspace,
    output: &Output,
    text: &str,
    kinds: &[Kind],
    shared: Shared,
) -> Result<NodeId, CommandError> {
    let path = Path::new(text);
    seek(workspace, output, text, kinds, shared)?
        .ok_or_else(|| if path.exists() { no_such_content(workspace, path) } else { unknown(workspace, text) })
}

fn seek(
    workspace: &Workspace,
    output: &Output,
    text: &str,
    kinds: &[Kind],
    shared: Shared,
) -> Result<Option<NodeId>, CommandError> {
    if let Some((kind, wanted)) = text.split_once(':').and_then(|(kind, name)| Some((Kind::from_word(kind)?, name))) {
        return by_name(workspace, output, wanted, (Some(kind), &[]), shared);
    }
    let path = Path::new(text);
    if is_path(text) && path.exists() {
        return by_file(workspace, output, path, shared);
    }
    let like_id = is_like_id(text);
    let is_whole_id = like_id && text.len() == 64;
    if is_whole_id && let Some(id) = by_prefix(workspace, text)? {
        return Ok(Some(id));
    }
    // A name that looks like the beginning of an id is a name: which ids begin so is chance.
    let named = by_name(workspace, output, text, (None, kinds), shared)?;
    if let Some(id) = named {
        // What is recorded every night by a name goes on, whatever id comes to begin like it.
        if like_id && shared != Shared::Newest {
            refuse_prefix(workspace, text, id)?;
        }
        return by_name_or_word(workspace, output, (text, id), kinds).map(Some);
    }
    if like_id && let Some(id) = by_prefix(workspace, text)? {
        return Ok(Some(id));
    }
    if path.exists() {
        return by_file(workspace, output, path, shared);
    }
    match Kind::from_word(text) {
        Some(kind) => said_newest_of_kind(workspace, output, kind),
        None => Ok(None),
    }
}

/// Returns the node of a name that may be the word for a kind too, which means the newest of it: of the two the one that is
/// wanted, or neither where both can be meant.
fn by_name_or_word(
    workspace: &Workspace,
    output: &Output,
    (text, named): (&str, NodeId),
    kinds: &[Kind],
) -> Result<NodeId, CommandError> {
    let wanted = |kind: Kind| kinds.is_empty() || kinds.contains(&kind);
    let Some(word) = Kind::from_word(text).filter(|kind| wanted(*kind)) else { return Ok(named) };
    let of_name = workspace.node(&named)?.core.kind;
    if !wanted(of_name) {
        return Ok(said_newest_of_kind(workspace, output, word)?.unwrap_or(named));
    }
    refuse_word(workspace, (text, word), &[named])?;
    Ok(named)
}

/// Refuses the word for a kind that is a name too, unless the newest of the kind bears it.
fn refuse_word(workspace: &Workspace, (text, word): (&str, Kind), named: &[NodeId]) -> Result<(), CommandError> {
    let Some(newest) = newest_of_kind(workspace, word)?.filter(|newest| !named.contains(&newest.id)) else {
        return Ok(());
    };
    let ids = [named, &[newest.id]].concat();
    let error = ambiguous(workspace, &format!("{text} is a name, and means the newest {word} too"), &ids);
    Err(error.with_hint(how_named(workspace, text, named)))
}

/// Says how a node is named whose name can be taken for something else.
fn how_named(workspace: &Workspace, text: &str, named: &[NodeId]) -> String {
    let kind = named.first().and_then(|id| Some(workspace.node(id).ok()?.core.kind));
    format!("{}:{text} names the one that is called so; an id names any", kind.unwrap_or(Kind::Dataset))
}

/// Refuses the name of a node that is the beginning of another one's id.
fn refuse_prefix(workspace: &Workspace, text: &str, named: NodeId) -> Result<(), CommandError> {
    let mut ids = beginning_with(workspace, text)?;
    ids.retain(|id| *id != named);
    if ids.is_empty() {
        return Ok(());
    }
    ids.insert(0, named);
    let error = ambiguous(workspace, &format!("{text} is a name, and the beginning of another node's id"), &ids);
    Err(error.with_hint(how_named(workspace, text, &[named])))
}

/// Returns the node that the word for a kind means, and says which of how many it is.
fn said_newest_of_kind(workspace: &Workspace, output: &Output, kind: Kind) -> Result<Option<NodeId>, CommandError> {
    let Some(newest) = newest_of_kind(workspace, kind)? else { return Ok(None) };
    let of_kind = workspace.store.of_kind(kind)?.len();
    if of_kind > 1 {
        output.talk(format_args!("note: the newest {kind} of {of_kind} is taken: {}", candidate(&newest)));
    }
    Ok(Some(newest.id))
}

/// Returns the newest node of a kind that is not put aside: `assessment` means the last one.
pub(crate) fn newest_of_kind(workspace: &Workspace, kind: Kind) -> Result<Option<StoredNode>, CommandError> {
    let found = workspace.store.of_kind(kind).map_err(|e| e.while_doing(format!("cannot list every {kind}")))?;
    workspace.store.prefetch(&found)?;
    let mut nodes = found.iter().map(|id| workspace.node(id)).collect::<Result<Vec<_>, _>>()?;
    nodes.sort_by_key(|node| node.index);
    while let Some(node) = nodes.pop() {
        if !workspace.is_aside(&node)? {
            return Ok(Some(node));
        }
    }
    Ok(None)
}

/// Finds the one node of a kind that `text` means.
pub(crate) fn resolve_kind(
    workspace: &Workspace,
    output: &Output,
    text: &str,
    kinds: &[Kind],
) -> Result<NodeId, CommandError> {
    find_kind(workspace, output, text, kinds, Shared::Newest)
}

/// Finds the one node of a kind that `text` means, even if it was put aside: then it is said by what.
pub(crate) fn resolve_aside(
    workspace: &Workspace,
    output: &Output,
    text: &str,
    kinds: &[Kind],
) -> Result<NodeId, CommandError> {
    find_kind(workspace, output, text, kinds, Shared::Look)
}

/// Finds the node that `text` means for what can't be undone: a name that several nodes of different
/// content share is refused. No kinds are all kinds.
pub(crate) fn resolve_only(
    workspace: &Workspace,
    output: &Output,
    text: &str,
    kinds: &[Kind],
) -> Result<NodeId, CommandError> {
    find_kind(workspace, output, text, kinds, Shared::Refuse)
}

/// Finds all nodes that `text` means where each of them is concerned: every node of a name, marked or not, or the one
/// of an id.
pub(crate) fn resolve_all(workspace: &Workspace, output: &Output, text: &str) -> Result<Vec<NodeId>, CommandError> {
    let (kind, wanted) = match text.split_once(':').and_then(|(kind, name)| Some((Kind::from_word(kind)?, name))) {
        Some((kind, name)) => (Some(kind), name),
        None => (None, text),
    };
    let found =
        workspace.store.by_name(wanted).map_err(|e| e.while_doing(format!("cannot look up the name {wanted:?}")))?;
    let mut named = Vec::new();
    for id in found {
        if kind.is_none_or(|kind| workspace.node(&id).is_ok_and(|node| node.core.kind == kind)) {
            named.push(id);
        }
    }
    if named.is_empty() {
        return Ok(vec![resolve_only(workspace, output, text, &[])?]);
    }
    if let Some(word) = Kind::from_word(text) {
        refuse_word(workspace, (text, word), &named)?;
    }
    Ok(named)
}

fn find_kind(
    workspace: &Workspace,
    output: &Output,
    text: &str,
    kinds: &[Kind],
    shared: Shared,
) -> Result<NodeId, CommandError> {
    let id = find(workspace, output, text, kinds, shared)?;
    let kind = workspace.node(&id)?.core.kind;
    if kinds.is_empty() || kinds.contains(&kind) {
        return Ok(id);
    }
    let wanted: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
    let error = CommandError::failed(format!("{text} is a {kind}, and a {} is wanted here", wanted.join(" or ")));
    Err(error.with_hint(format!("a name can say its kind: {}:NAME", wanted.first().unwrap_or(&"dataset"))))
}

/// Returns the newest node of a name that is not put aside, or else the newest of that name; of the
/// kind that was said, or rather of the kinds that are wanted.
fn by_name(
    workspace: &Workspace,
    output: &Output,
    wanted: &str,
    (kind, kinds): (Option<Kind>, &[Kind]),
    shared: Shared,
) -> Result<Option<NodeId>, CommandError> {
    let found =
        workspace.store.by_name(wanted).map_err(|e| e.while_doing(format!("cannot look up the name {wanted:?}")))?;
    workspace.store.prefetch_marks(&found)?;
    let mut nodes = Vec::new();
    for id in found {
        let node = workspace.node(&id)?;
        if kind.is_none_or(|kind| node.core.kind == kind) {
            nodes.push(node);
        }
    }
    // Steps are often called like what they make: without a kind, what they make is meant.
    let things = |kind: Kind| matches!(kind, Kind::Dataset | Kind::Model | Kind::Shipment);
    let rank = |node: &StoredNode| {
        let of = node.core.kind;
        (kinds.contains(&of), kind.is_some() || things(of))
    };
    nodes.sort_by_key(|node| (rank(node), node.index));
    let mut good = Vec::new();
    for node in nodes.iter().rev() {
        if good.first().is_some_and(|first| rank(first) != rank(node)) {
            break;
        }
        if !workspace.is_aside(node)? {
            good.push(node.clone());
        }
    }
    let Some(newest) = good.first() else { return Ok(nodes.last().map(|node| node.id)) };
    if good.len() > 1 {
        let content = |node: &StoredNode| detail(node, "content").map(|content| (node.core.kind, content));
        let same = content(newest).is_some() && good.iter().all(|node| content(node) == content(newest));
        if shared == Shared::Refuse && !same {
            let ids: Vec<NodeId> = good.iter().map(|node| node.id).collect();
            return Err(ambiguous(
                workspace,
                &format!("several nodes are called {wanted:?}; name one by its id"),
                &ids,
            ));
        }
        let (many, taken) = (good.len(), candidate(newest));
        output.talk(format_args!("note: {many} nodes are called {wanted:?}; the newest is taken: {taken}"));
    }
    Ok(Some(newest.id))
}

/// Returns a node as one of several that could be meant.
fn candidate(node: &StoredNode) -> String {
    format!("{}, recorded {}", view::headline(node), view::time(node.time))
}

fn is_path(text: &str) -> bool {
    text.contains(['/', '\\']) || text.starts_with('.')
}

fn unknown(workspace: &Workspace, text: &str) -> CommandError {
    if let Ok(Some(node)) = foreign::find(workspace, text, &[]) {
        let text = format!("{} is another company's, and no node of this log", foreign::line(&node));
        return CommandError::failed(text).with_hint(format!(
            "it is known here by a bundle that was adopted: what changes it is recorded in the log {}; griptrace show and impact tell of it here",
            node.origin
        ));
    }
    let error = CommandError::failed(format!("{text:?} is no node of this log, by id, name or file"))
        .with_hint("griptrace log lists what was recorded; an id may be abbreviated to 4 digits or more");
    let kind = Kind::from_word(text.split(':').next().unwrap_or(text));
    let error = if kind == Some(Kind::Assessment) {
        error.with_hint(
            "an assessment is recorded without a name: give its id, which `griptrace show NODE` lists for what was \
             assessed; `assessment` alone means the newest that is not put aside",
        )
    } else {
        error
    };
    if workspace.store.is_remote() { error.with_hint(WITHHELD) } else { error }
}

/// What a client of a server can't tell from what is not there.
const WITHHELD: &str = "a name or content that the server withholds from you is not found either: give the id";

fn by_prefix(workspace: &Workspace, text: &str) -> Result<Option<NodeId>, CommandError> {
    match beginning_with(workspace, text)?.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => Err(ambiguous(workspace, &format!("the id {text} is ambiguous"), several)),
    }
}

/// Tells whether a text can be the beginning of an id.
pub(crate) fn is_like_id(text: &str) -> bool {
    (DIGITS_MIN..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Returns the nodes whose ids begin with these digits.
pub(crate) fn beginning_with(workspace: &Workspace, text: &str) -> Result<Vec<NodeId>, CommandError> {
    let prefix = text.to_lowercase();
    let found = workspace.store.resolve(&prefix).map_err(|e| e.while_doing(format!("cannot look up {text}")))?;
    Ok(match found {
        Resolved::None => Vec::new(),
        Resolved::One(id) => vec![id],
        Resolved::Ambiguous(ids) => ids,
    })
}

fn ambiguous(workspace: &Workspace, text: &str, ids: &[NodeId]) -> CommandError {
    let mut error = CommandError::ambiguous(text);
    for id in ids.iter().take(CANDIDATES_MAX) {
        let what = workspace.node(id).map_or_else(|_| id.to_string(), |node| candidate(&node));
        error = error.with_hint(format!("candidate: {what}"));
    }
    error
}

fn by_file(
    workspace: &Workspace,
    output: &Output,
    path: &Path,
    shared: Shared,
) -> Result<Option<NodeId>, CommandError> {
    let hashed = hash(workspace, output, path, false)?;
    let (mut found, mut aside) = (Vec::new(), Vec::new());
    for digest in content_digests(&hashed) {
        let ids = workspace.store.by_content(&digest).map_err(|e| e.while_doing("cannot look up a content digest"))?;
        workspace.store.prefetch_marks(&ids)?;
        for id in ids {
            let list = if workspace.is_aside(&workspace.node(&id)?)? { &mut aside } else { &mut found };
            if !list.contains(&id) {
                list.push(id);
            }
        }
    }
    if found.is_empty() && !aside.is_empty() {
        return put_aside(workspace, output, path, &aside, shared).map(Some);
    }
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => newest_of(workspace, several, path).map(Some),
    }
}

fn no_such_content(workspace: &Workspace, path: &Path) -> CommandError {
    let error = CommandError::failed(format!("{} has the content of no node of this log", path.display()))
        .with_hint("it may have changed since it was recorded, or never have been recorded");
    if workspace.store.is_remote() { error.with_hint(WITHHELD) } else { error }
}

/// A file whose every node was put aside: who only looks is shown it, and who wants to go on with it is refused.
fn put_aside(
    workspace: &Workspace,
    output: &Output,
    path: &Path,
    ids: &[NodeId],
    shared: Shared,
) -> Result<NodeId, CommandError> {
    let mut lines = Vec::new();
    for id in ids {
        let node = workspace.node(id)?;
        let why = workspace.why_aside(&node)?.unwrap_or_default();
        lines.push(format!("{} has the content of {}, which {why}", path.display(), view::headline(&node)));
    }
    if shared == Shared::Look {
        lines.iter().for_each(|line| output.warn(line));
        return newest_of(workspace, ids, path);
    }
    let (first, more) = lines.split_first().map_or((String::new(), &[][..]), |(first, more)| (first.clone(), more));
    let error = more.iter().fold(CommandError::failed(first), CommandError::with_hint);
    Err(error.with_hint(format!("griptrace show {} tells more", path.display())))
}

/// Of several nodes with one content and one name, the newest is meant; otherwise nobody can tell.
fn newest_of(workspace: &Workspace, ids: &[NodeId], path: &Path) -> Result<NodeId, CommandError> {
    let nodes = ids.iter().map(|id| workspace.node(id)).collect::<Result<Vec<_>, _>>()?;
    let key = |node| (name(node), node.core.kind);
    let same = nodes.windows(2).all(|pair| matches!(pair, [a, b] if key(a) == key(b)));
    match nodes.iter().max_by_key(|node| node.index) {
        Some(newest) if same => Ok(newest.id),
        Some(_) | None => {
            Err(ambiguous(workspace, &format!("several nodes have the content of {}", path.display()), ids))
        }
    }
}

/// Hashes a file or folder, with a progress bar. What did not change since is not read again.
pub(crate) fn hash(workspace: &Workspace, output: &Output, path: &Path, sha256: bool) -> Result<Hashed, CommandError> {
    let bar = output.progress(&format!("hashing {}", path.display()));
    let options = HashOptions { sha256, cache: workspace.hash_cache(), ignore_cache: workspace.rehash };
    let hashed = hash_path(path, &options, &|done, total, _, _| bar.at(done, total))
        .map_err(|e| CommandError::because(format!("cannot hash {}", path.display()), e))?;
    drop(bar);
    for store in &hashed.left_out {
        output.warn(format_args!("{} is the folder of a store and was left out", store.display()));
    }
    for link in &hashed.passed_over {
        output.warn(format_args!(
            "{} is a link to a folder and was not followed: what is behind it is not recorded",
            link.display()
        ));
    }
    Ok(hashed)
}

/// Returns the digests that a node's content may be recorded by.
fn content_digests(hashed: &Hashed) -> Vec<Digest> {
    let tree = content_digest(&hashed.files);
    match hashed.files.as_slice() {
        [one] if hashed.is_single_file => vec![one.blake3],
        [one] => vec![tree, one.blake3],
        _ => vec![tree],
    }
}

/// How the content of a folder begins.
const FOLDER: &str = "tree:";

/// Tells whether a node was recorded as a folder.
pub(crate) fn is_folder(node: &StoredNode) -> bool {
    detail(node, "content").is_some_and(|content| content.as_text().is_some_and(|text| text.starts_with(FOLDER)))
}

/// Returns the text that stands in the detail `content`.
pub(crate) fn content_text(hashed: &Hashed) -> String {
    match hashed.files.as_slice() {
        [one] if hashed.is_single_file => format!("blake3:{}", one.blake3),
        files => format!("{FOLDER}{}", content_digest(files)),
    }
}
