//! A log inside another one's folder of a bucket, or around one: what belongs to which could not be told any more.

use std::{collections::VecDeque, sync::Arc};

use griptrace_store::bucket::Bucket;

use super::BucketPlace;
use crate::error::CommandError;

/// What only a log's own folder has, besides others.
const OF_A_LOG: [&str; 3] = ["head", "checkpoint", "genesis"];
/// Folders that are looked into for a log below a new one's, each by one request; and names that are read of each.
const FOLDERS_MAX: usize = 40;
const NAMES_MAX: usize = 200;

impl BucketPlace {
    /// Refuses a place inside another log's, or around one: the audit of the outer one would find what is none of its own, and from
    /// then on every place in it would be inside another log.
    pub(crate) fn refuse_nested(&self) -> Result<(), CommandError> {
        self.refuse_inside_another()?;
        self.refuse_around_another()
    }

    fn refuse_inside_another(&self) -> Result<(), CommandError> {
        let mut rest = self.address.as_str();
        while let Some((outer, _)) = rest.rsplit_once('/').filter(|(outer, _)| !outer.ends_with('/')) {
            rest = outer;
            let outer = Self { address: outer.to_owned(), ..self.clone() }.open()?;
            for found in ["head", "genesis"] {
                match outer.get(found, Some(0..1)) {
                    Ok(None) => {}
                    Ok(Some(_)) => return Err(self.is_inside(rest, found)),
                    // Who may not read there can't tell, and further up neither.
                    Err(_) => return Ok(()),
                }
            }
        }
        Ok(())
    }

    fn is_inside(&self, outer: &str, found: &str) -> CommandError {
        let text = format!("{} is inside {outer}, where another log is: {found} is there", self.address);
        let is_all = outer.split_once("://").is_some_and(|(_, path)| !path.contains('/'));
        CommandError::failed(text).with_hint(if is_all {
            format!("that log has all of the bucket: name another bucket; `griptrace migrate` moves that log to a folder of its own, after which what it left in {outer} can be removed")
        } else {
            format!("name a folder that is not in {outer}")
        })
    }

    /// Looks for a log in the folders below, the nearest first, as far as some requests tell.
    fn refuse_around_another(&self) -> Result<(), CommandError> {
        let bucket: Arc<dyn Bucket> = self.open()?;
        // Who may not list there can't tell.
        let list = |folder: &str| bucket.list(folder, None, NAMES_MAX).unwrap_or_default();
        let own = list("");
        if own.iter().any(|name| OF_A_LOG.contains(&name.as_str())) {
            // Whose log that is, is told by who opens it.
            return Ok(());
        }
        let mut folders: VecDeque<String> = own.into();
        for _ in 0..FOLDERS_MAX {
            let Some(folder) = folders.pop_front() else { break };
            let names = list(&folder);
            if let Some(found) = names.iter().find(|name| OF_A_LOG.contains(&name.as_str())) {
                let text = format!("{}/{folder} has a log already: {found} is there", self.address);
                return Err(CommandError::failed(text).with_hint(format!(
                    "name a folder of its own for each log, beside that one: {}/NAME",
                    self.address
                )));
            }
            folders.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
        }
        Ok(())
    }
}
