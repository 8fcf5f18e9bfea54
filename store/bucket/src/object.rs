//! Whole objects by name, over HTTP.

use core::{future::Future, ops::Range, time::Duration};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use griptrace_store::bucket::{Bucket, Part, Put, Requests, Version, When};
use object_store::{
    Error, GetOptions, GetRange, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload,
    PutResult, UpdateVersion, list::PaginatedListOptions, path,
};
use tokio::task::spawn_blocking;

use crate::{
    address::{Address, Kind},
    calls::{Failure, Outcome, Waiter},
    options::Options,
    said::{Context, Doing},
    service::Service,
    wire::Wire,
};

/// Names on a page that every service gives.
const PAGE: usize = 1000;
/// The largest number that every service takes for the end of a range.
const LAST: u64 = u64::MAX >> 1;
/// Parts of which an object may be written at most.
const PARTS_MAX: u64 = 10_000;
/// What S3 answers 409 with when another conditional write is under way: neither yes nor no.
const UNDECIDED: [&str; 2] = ["ConditionalRequestConflict", "OperationAborted"];
/// What is answered where not the object is missing, but all that it would be in.
const NO_BUCKET: [&str; 2] = ["NoSuchBucket", "ContainerNotFound"];

/// A bucket of S3 or its kin. It has two threads of its own; its calls wait, on whatever thread they are made.
#[derive(Debug)]
pub struct BucketStore {
    address: Address,
    options: Options,
    service: Service,
    wire: Wire,
    waiter: Waiter,
}

impl BucketStore {
    /// Takes the bucket at an address: `s3://BUCKET/FOLDER`, `gs://BUCKET/FOLDER` or `az://CONTAINER/FOLDER`. Nothing is
    /// asked of it yet: [`probe`](crate::probe()) finds out whether it is fit for a log.
    ///
    /// # Errors
    /// If the address or an option can't be understood, or the file in `AWS_CA_BUNDLE` not be read.
    pub fn open(address: &str, options: Options) -> io::Result<Self> {
        let address = Address::parse(address)?;
        options.check_urls()?;
        let mut authorities = options.authorities.clone();
        if let Some(file) = options.setting(&["aws_ca_bundle"]) {
            let read = fs::read(file).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot read {file}, which AWS_CA_BUNDLE names: {error}"))
            });
            authorities.extend(read?);
        }
        let wire = Wire::new(&authorities, options.limits.clone())?;
        let service = Service::new(&address, &options, &wire)?;
        Ok(Self { address, options, service, wire, waiter: Waiter::new()? })
    }

    fn place(&self, name: &str) -> io::Result<path::Path> {
        let key = self.address.key(name)?;
        path::Path::parse(&key).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))
    }

    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> io::Result<Outcome<T>> {
        self.waiter.wait(work)
    }

    fn failed(&self, doing: Doing, name: &str, error: &Error, failure: Option<&Failure>) -> io::Error {
        Context { doing, address: &self.address, name, options: &self.options }.error(error, failure)
    }

    /// Returns what names an object's bytes at this service.
    fn version(&self, e_tag: Option<String>, version: Option<String>) -> io::Result<Version> {
        // What Google compares is a number of its own; with others `version` is one of many that are kept.
        let found = if self.address.kind == Kind::Google { version } else { e_tag };
        found.map(Version).ok_or_else(|| io::Error::other(format!("{} gives no ETag", self.address)))
    }

    fn part(&self, bytes: Vec<u8>, meta: ObjectMeta) -> io::Result<Part> {
        Ok(Part { bytes, length: meta.size, version: self.version(meta.e_tag, meta.version)? })
    }

    /// Reads what an object is, of which no byte was asked for that it has.
    fn head(&self, name: &str, from: u64) -> io::Result<Option<Part>> {
        let (objects, place) = (self.service.objects.clone(), self.place(name)?);
        match self.wait(async move { objects.head(&place).await })? {
            Ok(meta) if meta.size <= from => self.part(Vec::new(), meta).map(Some),
            Ok(meta) => {
                let length = meta.size;
                let said = format!("{}/{name} has {length} bytes, and can't be read from {from}", self.address);
                Err(io::Error::new(io::ErrorKind::InvalidData, said))
            }
            Err((error, failure)) => self.missing(name, Doing::Reading, &error, failure.as_ref()).map(|()| None),
        }
    }

    /// Returns if the object is missing, and nothing else.
    fn missing(&self, name: &str, doing: Doing, error: &Error, failure: Option<&Failure>) -> io::Result<()> {
        let is_missing = matches!(error, Error::NotFound { .. }) && !is_one_of(failure, &NO_BUCKET);
        if is_missing { Ok(()) } else { Err(self.failed(doing, name, error, failure)) }
    }

    fn mode(&self, when: &When) -> PutMode {
        match when {
            When::Always => PutMode::Overwrite,
            When::Absent => PutMode::Create,
            When::Is(Version(version)) => {
                let version = version.clone();
                PutMode::Update(match self.address.kind {
                    Kind::Google => UpdateVersion { e_tag: None, version: Some(version) },
                    Kind::S3 | Kind::Azure => UpdateVersion { e_tag: Some(version), version: None },
                })
            }
        }
    }

    fn put_once(&self, place: &path::Path, bytes: &PutPayload, mode: &PutMode) -> io::Result<Outcome<PutResult>> {
        let (objects, place, bytes) = (self.service.objects.clone(), place.clone(), bytes.clone());
        let how = mode.clone().into();
        self.wait(async move { objects.put_opts(&place, bytes, how).await })
    }

    /// Returns the names of a page in a folder, and what asks for the next one.
    fn page(
        &self,
        inside: &str,
        after: Option<&str>,
        keys: usize,
        token: Option<String>,
    ) -> io::Result<Outcome<(Vec<String>, Option<String>)>> {
        let names = self.service.names.clone();
        let inside = inside.to_owned();
        let asked = PaginatedListOptions {
            offset: after.map(|after| format!("{inside}{after}")),
            delimiter: Some("/".into()),
            max_keys: Some(keys),
            page_token: token,
            ..PaginatedListOptions::default()
        };
        self.wait(async move {
            let prefix = (!inside.is_empty()).then_some(inside.as_str());
            let page = names.list_paginated(prefix, asked).await?;
            let objects = page.result.objects.iter().map(|object| object.location.as_ref());
            let found = objects.chain(page.result.common_prefixes.iter().map(AsRef::as_ref));
            let found = found.filter_map(|key| key.strip_prefix(inside.as_str())).map(str::to_owned);
            Ok((found.collect(), page.page_token))
        })
    }
}

fn is_one_of(failure: Option<&Failure>, codes: &[&str]) -> bool {
    matches!(failure, Some(Failure::Answer(refusal)) if codes.contains(&refusal.code.as_str()))
}

impl Bucket for BucketStore {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Option<Part>> {
        // HTTP has no word for a range of nothing.
        if range.as_ref().is_some_and(Range::is_empty) {
            return self.head(name, u64::MAX);
        }
        let (objects, place) = (self.service.objects.clone(), self.place(name)?);
        let bounds = range.clone().map(|range| GetRange::Bounded(range.start..range.end.min(LAST)));
        let asked = GetOptions { range: bounds, ..GetOptions::default() };
        let read = self.wait(async move {
            let found = objects.get_opts(&place, asked).await?;
            let meta = found.meta.clone();
            Ok((meta, found.bytes().await?))
        })?;
        match (read, range) {
            (Ok((meta, bytes)), _) => self.part(bytes.to_vec(), meta).map(Some),
            // Nothing of the range is in the object: 416, or the whole of an empty one.
            (Err((_, failure)), Some(range)) if is_beyond(failure.as_ref()) => self.head(name, range.start),
            (Err((error, failure)), _) => self.missing(name, Doing::Reading, &error, failure.as_ref()).map(|()| None),
        }
    }

    fn put(&self, name: &str, bytes: &[u8], when: &When) -> io::Result<Put> {
        let (place, mode, bytes) = (self.place(name)?, self.mode(when), PutPayload::from(bytes.to_vec()));
        let mut left = self.options.limits.retries;
        loop {
            let (error, failure) = match self.put_once(&place, &bytes, &mode)? {
                Ok(done) => return self.version(done.e_tag, done.version).map(Put::Done),
                Err(failed) => failed,
            };
            let failure = failure.as_ref();
            let is_decided = matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. });
            if is_one_of(failure, &UNDECIDED) && left > 0 {
                left = left.saturating_sub(1);
                self.pause(pause());
            } else if is_decided && !is_one_of(failure, &UNDECIDED) && !is_one_of(failure, &NO_BUCKET) {
                return Ok(Put::Refused);
            } else {
                return Err(self.failed(Doing::Writing, name, &error, failure));
            }
        }
    }

    fn put_file(&self, name: &str, file: &Path) -> io::Result<()> {
        let mut from = File::open(file)?;
        let length = from.metadata()?.len();
        let part = part_length(self.options.limits.part, length);
        if length <= u64::try_from(part).unwrap_or(u64::MAX) {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes)?;
            return self.put(name, &bytes, &When::Always).map(|_| ());
        }
        let (objects, place) = (self.service.objects.clone(), self.place(name)?);
        let at_once = self.options.limits.parts_at_once.max(1);
        let done = self.wait(async move {
            let mut upload = objects.put_multipart(&place).await?;
            let sent = send_parts(&mut *upload, from, length, part, at_once).await;
            match sent {
                Ok(()) => upload.complete().await.map(|_| ()),
                Err(error) => {
                    // What is left behind costs, and is removed by the bucket's own rules if not here.
                    upload.abort().await.ok();
                    Err(error)
                }
            }
        })?;
        done.map_err(|(error, failure)| self.failed(Doing::Writing, name, &error, failure.as_ref()))
    }

    fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        let inside = match (folder, self.address.prefix.as_str()) {
            ("", "") => String::new(),
            ("", prefix) => format!("{prefix}/"),
            (folder, _) => format!("{}/", self.address.key(folder)?),
        };
        let mut found = Vec::new();
        let mut token = None;
        while found.len() < limit {
            // One more: a folder's name that ended the last page begins this one.
            let keys = limit.saturating_sub(found.len()).saturating_add(1).min(PAGE);
            let page = self.page(&inside, after, keys, token)?;
            let (names, next) =
                page.map_err(|(error, failure)| self.failed(Doing::Listing, folder, &error, failure.as_ref()))?;
            found.extend(names.into_iter().filter(|name| after.is_none_or(|after| name.as_str() > after)));
            token = next;
            if token.is_none() {
                break;
            }
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        Ok(found)
    }

    /// As a service counts and bills them: each try, each part of a file, each page of names. What was asked of a cloud about
    /// this machine's own identity is among them.
    fn requests(&self) -> Option<Requests> {
        Some(self.wire.counter.read())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (objects, place) = (self.service.objects.clone(), self.place(name)?);
        match self.wait(async move { objects.delete(&place).await })? {
            Ok(()) => Ok(()),
            Err((error, failure)) => self.missing(name, Doing::Removing, &error, failure.as_ref()),
        }
    }
}

/// Tells whether a range was refused as beyond the object's end; some services answer with the whole of an empty object.
fn is_beyond(failure: Option<&Failure>) -> bool {
    match failure {
        Some(Failure::Answer(refusal)) => refusal.status == 416,
        Some(Failure::Silence { .. }) => false,
        None => true,
    }
}

/// Returns a pause that differs between those who wait for the same object.
fn pause() -> Duration {
    let lot = getrandom::u32().unwrap_or_default() % 100;
    Duration::from_millis(u64::from(lot).saturating_add(20))
}

/// Returns how long parts have to be, so that they are not too many.
fn part_length(least: usize, length: u64) -> usize {
    usize::try_from(length.div_ceil(PARTS_MAX)).unwrap_or(usize::MAX).max(least)
}

/// Sends a file in parts, some at once.
async fn send_parts(
    upload: &mut dyn MultipartUpload,
    mut from: File,
    length: u64,
    part: usize,
    at_once: usize,
) -> object_store::Result<()> {
    let mut left = length;
    let mut on_their_way = FuturesUnordered::new();
    while left > 0 {
        let take = part.min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = spawn_blocking(move || {
            let mut bytes = vec![0; take];
            from.read_exact(&mut bytes).map(|()| (from, bytes))
        });
        let bytes;
        (from, bytes) = read.await.map_err(local)?.map_err(local)?;
        left = left.saturating_sub(u64::try_from(take).unwrap_or(u64::MAX));
        on_their_way.push(upload.put_part(bytes.into()));
        if on_their_way.len() >= at_once {
            on_their_way.next().await.transpose()?;
        }
    }
    while let Some(sent) = on_their_way.next().await {
        sent?;
    }
    Ok(())
}

fn local(error: impl core::error::Error + Send + Sync + 'static) -> Error {
    Error::Generic { store: "file", source: Box::new(error) }
}
