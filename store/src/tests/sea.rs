//! A disk that keeps apart what programs see and what would be left after a power cut, and that fails
//! when it is told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::disk::{Disk, DiskFile};

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

/// How the disk fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The write does nothing and says so.
    Lost,
    /// The write says that it failed, and was done all the same.
    Persisted,
    /// Half of the write is done.
    Torn,
    /// From then on there is no room.
    Full,
    /// From then on nothing works: the process is gone.
    Crash,
}

#[derive(Debug, Default)]
struct Waters {
    files: Vec<Contents>,
    live: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    /// Changes so far: writes, syncs, names.
    changes: u64,
    fault: Option<(u64, Fault)>,
    /// Whether nothing can be looked for.
    is_blind: bool,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    live: Vec<u8>,
    durable: Vec<u8>,
}

/// The disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Sea(Arc<Mutex<Waters>>);

#[derive(Debug)]
struct SeaFile {
    sea: Sea,
    file: usize,
}

impl Sea {
    fn waters(&self) -> MutexGuard<'_, Waters> {
        self.0.lock().unwrap()
    }

    /// Returns how many changes were asked for so far.
    pub(super) fn changes(&self) -> u64 {
        self.waters().changes
    }

    /// Fails at the `at`-th change from now on, 0 being the next one.
    pub(super) fn fail(&self, at: u64, fault: Fault) {
        let mut waters = self.waters();
        let at = waters.changes + at;
        waters.fault = Some((at, fault));
    }

    /// Can't tell any more what there is.
    pub(super) fn go_blind(&self) {
        self.waters().is_blind = true;
    }

    /// Works again; tells whether the fault was met.
    pub(super) fn mend(&self) -> bool {
        let mut waters = self.waters();
        let changes = waters.changes;
        waters.fault.take().is_some_and(|(at, _)| changes > at)
    }

    /// Returns what every file holds, as programs see it.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let waters = self.waters();
        waters.live.iter().map(|(name, file)| (name.clone(), waters.files[*file].live.clone())).collect()
    }

    /// Returns another disk with the same contents.
    pub(super) fn copy(&self) -> Self {
        let waters = self.waters();
        let (files, live, durable) = (waters.files.clone(), waters.live.clone(), waters.durable.clone());
        Self(Arc::new(Mutex::new(Waters { files, live, durable, ..Waters::default() })))
    }

    /// Returns what a power cut leaves: what was synced, and of the rest what `chance` says.
    pub(super) fn power_cut(&self, mut chance: impl FnMut() -> bool) -> Self {
        let waters = self.waters();
        let files: Vec<Vec<u8>> = waters.files.iter().map(|file| file.cut(&mut chance)).collect();
        let mut names = waters.durable.clone();
        let touched: BTreeSet<&String> = waters.live.keys().chain(waters.durable.keys()).collect();
        for name in touched {
            if waters.live.get(name) != waters.durable.get(name) && chance() {
                match waters.live.get(name) {
                    Some(file) => names.insert(name.clone(), *file),
                    None => names.remove(name),
                };
            }
        }
        let files = files.into_iter().map(|bytes| Contents { live: bytes.clone(), durable: bytes }).collect();
        Self(Arc::new(Mutex::new(Waters { files, live: names.clone(), durable: names, ..Waters::default() })))
    }

    /// Asks for a change: `Ok(share)` of it is to be done, `Err` is to be said.
    fn change(&self) -> (MutexGuard<'_, Waters>, Share, Option<io::Error>) {
        let mut waters = self.waters();
        let now = waters.changes;
        waters.changes += 1;
        let (share, error) = match waters.fault {
            Some((at, Fault::Lost)) if at == now => (Share::None, Some(io::Error::other("injected"))),
            Some((at, Fault::Persisted)) if at == now => (Share::All, Some(io::Error::other("injected"))),
            Some((at, Fault::Torn)) if at == now => (Share::Half, Some(io::Error::other("injected"))),
            Some((at, Fault::Full)) if at <= now => (Share::None, Some(io::ErrorKind::StorageFull.into())),
            Some((at, Fault::Crash)) if at <= now => (Share::None, Some(io::Error::other("injected"))),
            _ => (Share::All, None),
        };
        (waters, share, error)
    }

    fn file(&self, file: usize) -> Arc<dyn DiskFile> {
        Arc::new(SeaFile { sea: self.clone(), file })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    None,
    Half,
    All,
}

fn told(error: Option<io::Error>) -> io::Result<()> {
    error.map_or(Ok(()), Err)
}

impl Contents {
    fn cut(&self, chance: &mut impl FnMut() -> bool) -> Vec<u8> {
        let mut left = self.durable.clone();
        if self.live.len() != left.len() && chance() {
            left.resize(self.live.len(), 0);
        }
        for (at, sector) in self.live.chunks(SECTOR).enumerate() {
            let from = at * SECTOR;
            let to = (from + sector.len()).min(left.len());
            if from < to && left[from..to] != sector[..to - from] && chance() {
                left[from..to].copy_from_slice(&sector[..to - from]);
            }
        }
        left
    }
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl Disk for Sea {
    fn open(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        let found = self.waters().live.get(name).copied();
        Ok(found.map(|file| self.file(file)))
    }

    fn open_for_writing(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        self.open(name)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let (mut waters, share, error) = self.change();
        if share != Share::None {
            waters.files.push(Contents::default());
            let file = waters.files.len() - 1;
            waters.live.insert(name.to_owned(), file);
        }
        let file = waters.live.get(name).copied();
        drop(waters);
        told(error)?;
        Ok(self.file(file.expect("it was just made")))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (mut waters, share, error) = self.change();
        if share != Share::None {
            let file = waters.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
            waters.live.insert(to.to_owned(), file);
        }
        told(error)
    }

    fn sync_folder(&self, name: &str) -> io::Result<()> {
        let (mut waters, share, error) = self.change();
        if share != Share::None {
            let inside = |other: &String| folder(other) == folder(name);
            let fresh: Vec<(String, usize)> =
                waters.live.iter().filter(|(other, _)| inside(other)).map(|(n, f)| (n.clone(), *f)).collect();
            waters.durable.retain(|other, _| !inside(other));
            waters.durable.extend(fresh);
        }
        told(error)
    }

    fn make_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        let (mut waters, share, error) = self.change();
        if share != Share::None {
            waters.live.retain(|other, _| !other.starts_with(&format!("{name}/")));
        }
        told(error)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        let waters = self.waters();
        if waters.is_blind { Err(io::Error::other("injected")) } else { Ok(waters.live.contains_key(name)) }
    }

    fn list(&self, within: &str) -> io::Result<Vec<String>> {
        let waters = self.waters();
        let inside = waters.live.keys().filter(|name| folder(name) == within);
        Ok(inside.map(|name| name.rsplit('/').next().unwrap_or_default().to_owned()).collect())
    }
}

impl DiskFile for SeaFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let waters = self.sea.waters();
        let bytes = &waters.files[self.file].live;
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        let length = buffer.len().min(bytes.len() - from);
        buffer[..length].copy_from_slice(&bytes[from..from + length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut waters, share, error) = self.sea.change();
        let length = match share {
            Share::None => 0,
            Share::Half => bytes.len() / 2,
            Share::All => bytes.len(),
        };
        let from = usize::try_from(offset).unwrap();
        let file = &mut waters.files[self.file].live;
        if length > 0 {
            file.resize(file.len().max(from + length), 0);
            file[from..from + length].copy_from_slice(&bytes[..length]);
        }
        told(error)
    }

    fn sync(&self) -> io::Result<()> {
        let (mut waters, share, error) = self.sea.change();
        if share != Share::None {
            let file = &mut waters.files[self.file];
            file.durable = file.live.clone();
        }
        told(error)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.sea.waters().files[self.file].live.len()).unwrap())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let (mut waters, share, error) = self.sea.change();
        if share != Share::None {
            waters.files[self.file].live.resize(usize::try_from(length).unwrap(), 0);
        }
        told(error)
    }
}
