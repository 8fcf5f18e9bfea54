//! The audit trail: who asked for which bundle, and what became of it.
//!
//! One JSON object a line, appended and flushed before the bundle leaves: what is not in the trail was
//! not given out. Nothing is ever rewritten. A crash may leave a torn last line; it is kept as it
//! is, ended, and said.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use griptrace_core::{digest::Digest, id::NodeId};
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// The file, open to append.
#[derive(Debug)]
pub(crate) struct Trail {
    path: PathBuf,
    file: Mutex<File>,
}

/// What is noted of one request.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, Deserialize)]
pub(crate) struct Entry {
    /// When: seconds since 1970.
    pub(crate) time: u64,
    /// Who, as the configuration calls the client.
    pub(crate) client: String,
    /// The shipment or model.
    #[serde(serialize_with = "write_id", deserialize_with = "read_id")]
    pub(crate) id: NodeId,
    /// Which details it opened.
    pub(crate) disclosure: String,
    /// The size of the log that it was made from.
    pub(crate) tree_size: u64,
    /// BLAKE3 of the bundle, if one was made.
    #[serde(serialize_with = "write_digest", deserialize_with = "read_digest")]
    pub(crate) digest: Option<Digest>,
    /// The request's id, as in the logs.
    pub(crate) request_id: String,
    /// "made", or why not.
    pub(crate) outcome: String,
}

impl Trail {
    /// Opens the file, or makes it, for the owner alone.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        end_torn_line(path, &mut file)?;
        sync_folder(path)?;
        Ok(Self { path: path.to_path_buf(), file: Mutex::new(file) })
    }

    /// Appends an entry; it is on disk when this returns.
    pub(crate) fn append(&self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(&line).and_then(|()| file.sync_data()) {
            // Part of a line may stand there: without an end the next one would be lost with it.
            end_torn_line(&self.path, &mut file).ok();
            return Err(error);
        }
        Ok(())
    }

    /// Returns the entries from a time on, oldest first. Lines that a crash tore are passed over.
    pub(crate) fn since(&self, time: u64) -> io::Result<Vec<Entry>> {
        let mut lines = BufReader::new(File::open(&self.path)?).split(b'\n');
        let mut found = Vec::new();
        lines.try_for_each(|line| {
            let line = line?;
            match serde_json::from_slice::<Entry>(&line) {
                Ok(entry) if entry.time >= time => found.push(entry),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "a line of the audit trail can't be read");
                }
            }
            io::Result::Ok(())
        })?;
        Ok(found)
    }
}

/// Ends a last line that was torn by a crash, so that the next one stands on its own.
fn end_torn_line(path: &Path, file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "the last line of the audit trail was torn by a crash, and is kept as it is");
    file.write_all(b"\n")?;
    file.sync_data()
}

/// Makes the name of a new file durable. Systems that can't open folders have nothing to sync here.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !cfg!(windows) && !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

fn write_id<S: Serializer>(id: &NodeId, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(id)
}

fn read_id<'de, D: Deserializer<'de>>(from: D) -> Result<NodeId, D::Error> {
    let text = String::deserialize(from)?;
    NodeId::from_hex(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no id")))
}

#[expect(clippy::ref_option, reason = "serde hands the field over like this")]
fn write_digest<S: Serializer>(digest: &Option<Digest>, to: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => to.collect_str(digest),
        None => to.serialize_none(),
    }
}

fn read_digest<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Digest>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    Digest::from_hex(&text).map(Some).ok_or_else(|| D::Error::custom(format!("{text:?} is no digest")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn entry(time: u64) -> Entry {
        Entry {
            time,
            client: "buyer".to_owned(),
            id: NodeId::new(Digest::from_bytes([7; 32])),
            disclosure: "minimal".to_owned(),
            tree_size: 9,
            digest: time.is_multiple_of(2).then(|| Digest::from_bytes([8; 32])),
            request_id: "r".to_owned(),
            outcome: "made".to_owned(),
        }
    }

    #[test]
    fn what_is_appended_is_read_again_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let trail = Trail::open(&path).unwrap();
        (1..=3).for_each(|time| trail.append(&entry(time)).unwrap());
        drop(trail);
        let trail = Trail::open(&path).unwrap();
        trail.append(&entry(4)).unwrap();
        assert_eq!(trail.since(0).unwrap(), [entry(1), entry(2), entry(3), entry(4)]);
        assert_eq!(trail.since(3).unwrap(), [entry(3), entry(4)]);
        assert!(fs::read_to_string(&path).unwrap().starts_with("{\"time\":1,\"client\":\"buyer\",\"id\":\"070707"));
    }

    #[test]
    fn a_torn_last_line_costs_itself_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let trail = Trail::open(&path).unwrap();
        trail.append(&entry(1)).unwrap();
        trail.append(&entry(2)).unwrap();
        drop(trail);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 20]).unwrap();
        let trail = Trail::open(&path).unwrap();
        trail.append(&entry(3)).unwrap();
        assert_eq!(trail.since(0).unwrap(), [entry(1), entry(3)]);
        assert!(fs::read(&path).unwrap().starts_with(&whole[..whole.len() - 20]), "nothing is rewritten");
    }

    #[cfg(unix)]
    #[test]
    fn the_trail_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        Trail::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
