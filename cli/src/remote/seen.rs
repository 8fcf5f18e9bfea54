//! The newest checkpoint that was seen of each log, so that none is ever shown to shrink or to fork.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use griptrace_core::{
    digest::{Digest, file_digest},
    fork::Fork,
    id::GenesisHash,
    note::NoteVerifier,
    tree::{ProofError, Rfc9162, TreeSize, verify_consistency},
};

use super::{
    check::{Pinned, checkpoint},
    lie::Lie,
};
use crate::{clock, error::CommandError};

/// The first line of a file.
const MAGIC: &str = "griptrace seen v1";

/// Where what was seen of one log is kept: `seen/` and `evidence/` in a client's folder.
#[derive(Debug)]
pub(crate) struct Seen {
    folder: PathBuf,
    origin: String,
    genesis: GenesisHash,
}

/// What a log did that none may do.
#[derive(Debug)]
enum Attack {
    Shrank,
    TwoRoots,
    NotExtended(ProofError),
}

impl Seen {
    /// Names the log whose checkpoints are kept, and where.
    pub(crate) fn new(folder: &Path, origin: &str, genesis: GenesisHash) -> Self {
        Self { folder: folder.to_owned(), origin: origin.to_owned(), genesis }
    }

    /// Returns the newest checkpoint that was kept, by the key that signed it then; `None` before the first contact.
    pub(crate) fn last(&self) -> Result<Option<Pinned>, CommandError> {
        let path = self.path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CommandError::file("read", &path, error)),
        };
        let damaged = |why: String| {
            CommandError::failed(format!("{} can't be read: {why}", path.display()))
                .with_hint("it holds the log's newest checkpoint; put it back from a copy")
                .with_hint("if you remove it, the next contact trusts whatever log it meets")
        };
        let (genesis, vkey, note) = parts(&text).ok_or_else(|| damaged("it is cut short".to_owned()))?;
        if genesis != self.genesis.to_string() {
            let (found, origin) = (&self.genesis, &self.origin);
            let text = format!("the server shows another log under the name {origin}: genesis {found}, not {genesis}");
            return Err(CommandError::failed(text)
                .with_hint(format!("the log known by this name has the key {vkey}, and {} says so", path.display()))
                .with_hint("ask the operator; only a new log has a new genesis, and a new name then"));
        }
        let verifier = NoteVerifier::parse(vkey).map_err(|e| damaged(e.to_string()))?;
        let read = checkpoint(&verifier, note).map_err(|lie| damaged(lie.to_string()))?;
        if verifier.name() == self.origin {
            return Ok(Some(read));
        }
        Err(damaged(format!("it is of the log {}, not of {}", verifier.name(), self.origin)))
    }

    /// Refuses a newest checkpoint that is no later state of the log that was seen, and keeps the evidence.
    pub(crate) fn check_growth(&self, old: &Pinned, new: &Pinned, proof: &[Digest]) -> Result<(), CommandError> {
        if new.size < old.size {
            return Err(self.attack(old, new, proof, Attack::Shrank));
        }
        if new.size == old.size {
            return if new.root == old.root { Ok(()) } else { Err(self.attack(old, new, proof, Attack::TwoRoots)) };
        }
        self.check_extends(old, new, proof)
    }

    /// Refuses two checkpoints of which the smaller is not the beginning of the larger.
    pub(crate) fn check_extends(&self, old: &Pinned, new: &Pinned, proof: &[Digest]) -> Result<(), CommandError> {
        let (from, to) = (TreeSize::new(old.size), TreeSize::new(new.size));
        verify_consistency(&Rfc9162, from, &old.root, to, &new.root, proof)
            .map_err(|why| self.attack(old, new, proof, Attack::NotExtended(why)))
    }

    /// Keeps a checkpoint that was found to extend the one before.
    ///
    /// Another command may have kept a newer one meanwhile, which stays and is returned. A crash leaves the old
    /// file or the new one, and perhaps a temporary one that is written over.
    pub(crate) fn keep(&self, new: &Pinned) -> Result<Option<Pinned>, CommandError> {
        let path = self.path();
        let wrong = |e| CommandError::file("write", &path, e);
        fs::create_dir_all(self.folder.join("seen")).map_err(wrong)?;
        let lock = File::create(path.with_extension("lock")).map_err(wrong)?;
        lock.lock().map_err(wrong)?;
        if let Some(last) = self.last()? {
            if last.size == new.size && last.root != new.root {
                return Err(self.attack(&last, new, &[], Attack::TwoRoots));
            }
            if last.size >= new.size {
                return Ok(Some(last).filter(|last| last.size > new.size));
            }
        }
        let (genesis, vkey) = (self.genesis, new.by.to_vkey());
        let text = format!("{MAGIC}\ngenesis {genesis}\nvkey {vkey}\n\n{}", new.note);
        replace(&path, text.as_bytes()).map_err(wrong)?;
        Ok(None)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("seen").join(format!("{}.seen", file_name(&self.origin)))
    }

    /// Keeps both signed checkpoints, and says what they show.
    fn attack(&self, old: &Pinned, new: &Pinned, proof: &[Digest], attack: Attack) -> CommandError {
        let (origin, was, is) = (&self.origin, old.size, new.size);
        // What two keys signed is for people to look at: which of the two may sign there, the tree has to say.
        let is_proof = matches!(attack, Attack::TwoRoots) && old.by == new.by;
        let (text, why) = match attack {
            Attack::Shrank => {
                (format!("the log {origin} shrank: its checkpoint has the size {is}, and one of {was} was seen"), None)
            }
            Attack::TwoRoots => {
                let (old, new) = (old.root, new.root);
                (format!("the log {origin} forked: two checkpoints of size {was} have the roots {old} and {new}"), None)
            }
            Attack::NotExtended(why) => (
                format!("the log {origin} forked: its checkpoint of size {is} does not extend the one of size {was}"),
                Some(why),
            ),
        };
        let evidence = if is_proof { self.keep_fork(old, new) } else { self.keep_evidence(&text, old, new, proof) };
        let error = match why {
            Some(why) => CommandError::because(text, why),
            None => CommandError::failed(text),
        };
        match evidence {
            Ok(path) => {
                let error =
                    error.with_hint(format!("both signed checkpoints are kept in {}", path.display())).with_hint(
                        "show them to the operator and to others who use this log; believe nothing of it until then",
                    );
                let others = "others check that file with griptrace-verify --check-fork, under their own trust file";
                if is_proof { error.with_hint(others) } else { error }
            }
            Err(why) => error.with_hint(format!("the evidence could not be kept: {why}")).with_hint(old.note.clone()),
        }
    }

    /// Keeps what others can check (docs/spec/fork.md): one size, two roots.
    fn keep_fork(&self, old: &Pinned, new: &Pinned) -> io::Result<PathBuf> {
        let fork = Fork { vkey: old.by.clone(), before: old.note.clone(), now: new.note.clone() };
        self.keep_file("fork", old, new, &fork.to_text())
    }

    /// Keeps what shows people what was seen: of two sizes nothing can be proven without the tree.
    fn keep_evidence(&self, text: &str, old: &Pinned, new: &Pinned, proof: &[Digest]) -> io::Result<PathBuf> {
        let proof: String = proof.iter().flat_map(|digest| [digest.to_string(), "\n".to_owned()]).collect();
        let (before, now) = (&old.note, &new.note);
        let text = format!("{text}\n\nseen before:\n\n{before}\nshown now:\n\n{now}\nconsistency proof:\n\n{proof}");
        self.keep_file("txt", old, new, &text)
    }

    fn keep_file(&self, ending: &str, old: &Pinned, new: &Pinned, text: &str) -> io::Result<PathBuf> {
        let folder = self.folder.join("evidence");
        fs::create_dir_all(&folder)?;
        let now = clock::now();
        let path = folder.join(format!("{}-{}-{}-{now}.{ending}", file_name(&self.origin), old.size, new.size));
        replace(&path, text.as_bytes())?;
        Ok(path)
    }
}

/// Splits a file into genesis hash, vkey and note.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let (genesis, rest) = text.strip_prefix(MAGIC)?.strip_prefix("\ngenesis ")?.split_once('\n')?;
    let (vkey, note) = rest.strip_prefix("vkey ")?.split_once("\n\n")?;
    Some((genesis, vkey, note))
}

/// Returns a name for a file of a log: what people recognise, and enough of a digest to tell logs apart.
fn file_name(origin: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    let readable: String = origin.chars().take(80).map(plain).collect();
    let digest: String = file_digest(origin.as_bytes()).to_string().chars().take(16).collect();
    format!("{}-{digest}", readable.trim_start_matches('.'))
}

/// Writes a file so that a crash leaves the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    // The rename itself is durable once the folder is.
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

impl From<Lie> for CommandError {
    fn from(lie: Lie) -> Self {
        Self::because("the server's answer is not believed", lie)
    }
}
