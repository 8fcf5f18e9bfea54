//! The clients: each job is a process with its own connections, which believes nothing it is told.

use core::time::Duration;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    id::GenesisHash,
    key::SecretKey,
    note::{Note, NoteVerifier},
    tree::{LeafIndex, Rfc9162, TreeSize, root_from_path},
};
use griptrace_proto::v1::{self, commit_stream_response::Outcome};
use griptrace_store::{record::NodeRecord, signed_commit};
use serde_json::{Value as Json, json};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    Failure,
    measure::number,
    serving::{asking, committing, connect, proving},
    world::{ISSUER, Maker, NOW, committer},
};

/// Commits of a stream that are made before they are sent.
const AHEAD: usize = 4;

/// What every client knows of the log.
#[derive(Debug)]
struct Known {
    home: GenesisHash,
    verifier: NoteVerifier,
    key: SecretKey,
    /// Checkpoints whose signature was verified.
    checkpoints: Mutex<HashMap<String, (u64, Digest)>>,
}

impl Known {
    /// Verifies that a commit is in the log.
    fn verify(&self, entry: &[u8], receipt: &v1::Receipt) -> Result<(), Failure> {
        let (size, root) = self.checkpoint(&receipt.checkpoint)?;
        let leaf = Rfc9162::leaf_hash(entry);
        let path = receipt.log_path.iter().map(digest).collect::<Result<Vec<_>, _>>()?;
        let computed = root_from_path(&Rfc9162, LeafIndex::new(receipt.index), TreeSize::new(size), &leaf, &path)?;
        if computed == root && size == receipt.tree_size { Ok(()) } else { Err("a receipt does not verify".into()) }
    }

    fn checkpoint(&self, text: &str) -> Result<(u64, Digest), Failure> {
        let mut known = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(text) {
            return Ok(*found);
        }
        let note = Note::parse(text.as_bytes())?;
        if note.verify(core::slice::from_ref(&self.verifier))?.is_empty() {
            return Err("a checkpoint is not signed by the log".into());
        }
        let checkpoint = Checkpoint::parse(note.text())?;
        // As many as there may be in flight.
        if known.len() > 1_000 {
            known.clear();
        }
        known.insert(text.to_owned(), (checkpoint.size, checkpoint.root));
        Ok((checkpoint.size, checkpoint.root))
    }

    fn request(&self, nodes: &[NodeRecord]) -> Result<v1::CommitRequest, Failure> {
        let entry = signed_commit(self.home, nodes, &|_| None, &self.key, ISSUER, NOW)?;
        let nodes = nodes.iter().map(|node| Bytes::from(node.to_bytes())).collect();
        Ok(v1::CommitRequest { entry: entry.into(), nodes })
    }
}

fn digest(bytes: &Bytes) -> Result<Digest, Failure> {
    Ok(Digest::from_bytes(bytes.as_ref().try_into()?))
}

/// Reads `ADDRESS CERTIFICATE` and the numbers after them.
fn read_words(words: &[String]) -> Result<(String, PathBuf, Vec<usize>), Failure> {
    let [address, certificate, rest @ ..] = words else { return Err("ADDRESS CERTIFICATE NUMBERS".into()) };
    let numbers = rest.iter().map(|word| word.parse()).collect::<Result<Vec<usize>, _>>()?;
    Ok((address.clone(), certificate.into(), numbers))
}

async fn known(address: &str, certificate: &Path) -> Result<Arc<Known>, Failure> {
    let mut proofs = proving(connect(address, certificate).await?);
    let log = proofs.get_log(v1::GetLogRequest {}).await?.into_inner();
    let verifier = NoteVerifier::parse(&log.vkey)?;
    let home = griptrace_core::entry::genesis_hash(&log.genesis);
    Ok(Arc::new(Known { home, verifier, key: committer(0)?, checkpoints: Mutex::default() }))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// The job `service-commits ADDRESS CERTIFICATE CLIENTS SECONDS RESENT`: each client, over a connection of its own, makes, signs
/// and commits one node after the other, and verifies every receipt; or, if RESENT is 1, sends the same commit again and again.
pub(crate) fn commits(words: &[String]) -> Result<Json, Failure> {
    let (address, certificate, numbers) = read_words(words)?;
    let [clients, seconds, resent] = numbers.as_slice() else { return Err("CLIENTS SECONDS RESENT".into()) };
    let is_resent = *resent == 1;
    let time = Duration::from_secs(u64::try_from(*seconds)?);
    runtime()?.block_on(async {
        let known = known(&address, &certificate).await?;
        let mut tasks = Vec::new();
        let start = Arc::new(tokio::sync::Barrier::new(*clients));
        for client in 0..*clients {
            let connection = connect(&address, &certificate).await?;
            let (known, start) = (Arc::clone(&known), Arc::clone(&start));
            tasks.push(tokio::spawn(async move {
                let mut client_of = committing(connection);
                let mut maker = Maker::for_client(known.home, client);
                let mut micros = Vec::new();
                start.wait().await;
                let begun = Instant::now();
                let first = known.request(&[maker.dataset(None)?])?;
                while begun.elapsed() < time {
                    let request = if is_resent { first.clone() } else { known.request(&[maker.dataset(None)?])? };
                    let entry = request.entry.clone();
                    let sent = Instant::now();
                    let answer = client_of.commit(request).await?.into_inner();
                    micros.push(u32::try_from(sent.elapsed().as_micros())?);
                    known.verify(&entry, answer.receipt.as_ref().ok_or("no receipt")?)?;
                }
                Ok::<_, Failure>((micros, begun.elapsed().as_secs_f64()))
            }));
        }
        let (mut micros, mut longest) = (Vec::new(), 0.0_f64);
        for task in tasks {
            let (of_one, seconds) = task.await??;
            micros.extend(of_one);
            longest = longest.max(seconds);
        }
        micros.sort_unstable();
        let at = |share: usize| micros.get(micros.len().saturating_sub(1) * share / 1000).copied().unwrap_or(0);
        let rate = number(micros.len()) / longest;
        Ok(json!({ "commits": micros.len(), "rate": rate, "p50": at(500), "p99": at(990), "max": at(1000) }))
    })
}

/// The job `service-wire ADDRESS CERTIFICATE CLIENTS SECONDS`: each client, over a connection of its own, asks whether the service
/// lives, again and again: what the wire alone takes.
pub(crate) fn wire(words: &[String]) -> Result<Json, Failure> {
    let (address, certificate, numbers) = read_words(words)?;
    let [clients, seconds] = numbers.as_slice() else { return Err("CLIENTS SECONDS".into()) };
    let time = Duration::from_secs(u64::try_from(*seconds)?);
    runtime()?.block_on(async {
        let mut tasks = Vec::new();
        let start = Arc::new(tokio::sync::Barrier::new(*clients));
        for _ in 0..*clients {
            let mut client = HealthClient::new(connect(&address, &certificate).await?);
            let start = Arc::clone(&start);
            tasks.push(tokio::spawn(async move {
                start.wait().await;
                let begun = Instant::now();
                let mut calls = 0_usize;
                while begun.elapsed() < time {
                    client.check(HealthCheckRequest::default()).await?;
                    calls += 1;
                }
                Ok::<_, Failure>((calls, begun.elapsed().as_secs_f64()))
            }));
        }
        let (mut calls, mut longest) = (0, 0.0_f64);
        for task in tasks {
            let (of_one, seconds) = task.await??;
            calls += of_one;
            longest = longest.max(seconds);
        }
        Ok(json!({ "rate": number(calls) / longest }))
    })
}

/// The job `service-bulk ADDRESS CERTIFICATE STREAMS COMMITS EACH`: streams of commits of many nodes, made, signed and verified on the
/// way.
pub(crate) fn bulk(words: &[String]) -> Result<Json, Failure> {
    let (address, certificate, numbers) = read_words(words)?;
    let [streams, commits, each] = numbers.as_slice() else { return Err("STREAMS COMMITS EACH".into()) };
    runtime()?.block_on(async {
        let known = known(&address, &certificate).await?;
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for stream in 0..*streams {
            let connection = connect(&address, &certificate).await?;
            tasks.push(tokio::spawn(send_all(Arc::clone(&known), connection, stream, *commits, *each)));
        }
        for task in tasks {
            task.await??;
        }
        let seconds = begun.elapsed().as_secs_f64();
        Ok(json!({ "rate": number(*streams * *commits * *each) / seconds, "seconds": seconds }))
    })
}

async fn send_all(
    known: Arc<Known>,
    connection: crate::serving::Connection,
    stream: usize,
    commits: usize,
    each: usize,
) -> Result<(), Failure> {
    let (sender, receiver) = tokio::sync::mpsc::channel(AHEAD);
    let (entries, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let making = Arc::clone(&known);
    let maker = tokio::task::spawn_blocking(move || {
        let mut maker = Maker::for_client(making.home, stream);
        for _ in 0..commits {
            let nodes = (0..each).map(|_| maker.dataset(None)).collect::<Result<Vec<_>, _>>()?;
            let request = making.request(&nodes)?;
            entries.send(request.entry.clone())?;
            sender.blocking_send(request)?;
        }
        Ok::<_, Failure>(())
    });
    let mut answers = committing(connection).commit_stream(ReceiverStream::new(receiver)).await?.into_inner();
    let mut receipts = 0;
    while let Some(answer) = answers.next().await {
        let entry = sent.recv().await.ok_or("an answer to nothing")?;
        match answer?.outcome.ok_or("no outcome")? {
            Outcome::Receipt(receipt) => known.verify(&entry, &receipt)?,
            Outcome::Refused(refused) => return Err(refused.message.into()),
        }
        receipts += 1;
    }
    maker.await??;
    if receipts == commits { Ok(()) } else { Err(format!("{receipts} receipts for {commits} commits").into()) }
}

/// The job `service-ask ADDRESS CERTIFICATE ancestors|descendants|impact ID`: asks, and tells when the first and the last message came.
pub(crate) fn ask(words: &[String]) -> Result<Json, Failure> {
    let [address, certificate, what, id] = words else { return Err("ADDRESS CERTIFICATE WHAT ID".into()) };
    let id = griptrace_core::id::NodeId::from_hex(id).ok_or("no id")?;
    let id = Bytes::copy_from_slice(id.as_bytes());
    runtime()?.block_on(async {
        let mut client = asking(connect(address, certificate.as_ref()).await?);
        let begun = Instant::now();
        let (mut first, mut found, mut messages) = (None, 0_usize, 0_usize);
        let mut take = |nodes: Vec<v1::Found>| {
            messages += 1;
            found += nodes.len();
            if !nodes.is_empty() {
                first.get_or_insert_with(|| begun.elapsed().as_secs_f64());
            }
        };
        match what.as_str() {
            "ancestors" => {
                let mut stream =
                    client.ancestors(v1::AncestorsRequest { id, ..Default::default() }).await?.into_inner();
                while let Some(answer) = stream.next().await {
                    take(answer?.nodes);
                }
            }
            "descendants" => {
                let asked = v1::DescendantsRequest { id, ..Default::default() };
                let mut stream = client.descendants(asked).await?.into_inner();
                while let Some(answer) = stream.next().await {
                    take(answer?.nodes);
                }
            }
            _ => {
                let mut stream = client.impact(v1::ImpactRequest { id, ..Default::default() }).await?.into_inner();
                while let Some(answer) = stream.next().await {
                    take(answer?.nodes);
                }
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        Ok(json!({ "first": first, "seconds": seconds, "found": found, "messages": messages }))
    })
}
