//! `griptrace witness`.

use core::net::SocketAddr;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use griptrace_core::{note::KeyKind, word::is_note_name};
use griptrace_witness::{
    Cosigners, Desk, Recounts, Witness,
    fetch::Fetcher,
    log::{self, LogError},
    serve,
    shelf::Folder,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{net::TcpListener, runtime};

use super::serve::asked_to_end;
use crate::{
    clock,
    context::{Answer, Context, write_file},
    error::CommandError,
    keyfile::{self, PrivateKey},
};

const CONFIG: &str = "witness.toml";

/// Run a witness: it cosigns the checkpoints of logs that only grow
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Args {
    /// Make a witness: its folder and its keys
    Init {
        /// Where to make it; a folder that is not there
        dir: PathBuf,
        /// The name of its keys, like a URL without its scheme: witness.example.org
        #[arg(long)]
        name: String,
        /// Cosign with an ML-DSA-44 key too
        #[arg(long)]
        ml_dsa: bool,
        /// Recompute the logs' status maps, and vouch for them with a key of its own
        #[arg(long)]
        map: bool,
        /// Encrypt the keys with the passphrase in `GRIPTRACE_PASSPHRASE`
        #[arg(long)]
        passphrase: bool,
    },
    /// Witness a log, or believe another key of one
    AddLog {
        /// The witness' folder
        dir: PathBuf,
        /// The log's key
        vkey: String,
        /// Where the log's tiles are, an address or a folder: for recomputing its status map
        #[arg(long)]
        url: Option<String>,
    },
    /// Serve it over HTTP
    Serve {
        /// The witness' folder
        dir: PathBuf,
        /// Where to listen
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7402")]
        listen: SocketAddr,
        /// Write the address into this file, as JSON, once it is listened at
        #[arg(long, value_name = "FILE")]
        ready_file: Option<PathBuf>,
    },
    /// Show its keys, its logs, what it cosigned last and what it holds against them
    Show {
        /// The witness' folder
        dir: PathBuf,
    },
}

/// The settings of a witness.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    name: String,
    /// The keys, all but the secret half.
    vkeys: Vec<String>,
    ml_dsa: bool,
    map: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    match args {
        Args::Init { dir, name, ml_dsa, map, passphrase } => init(context, dir, name, (*ml_dsa, *map), *passphrase),
        Args::AddLog { dir, vkey, url } => add_log(context, dir, vkey, url.as_deref()),
        Args::Serve { dir, listen, ready_file } => run_server(dir, *listen, ready_file.as_deref()),
        Args::Show { dir } => show(context, dir),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum may grow; a witness has no other kinds")]
fn key_file(dir: &Path, kind: KeyKind) -> PathBuf {
    dir.join("keys").join(match kind {
        KeyKind::SubtreeV1 => "ml-dsa-44.key",
        KeyKind::StatusMapV1 => "status-map.key",
        _ => "cosigner.key",
    })
}

fn init(
    context: &Context,
    dir: &Path,
    name: &str,
    (ml_dsa, map): (bool, bool),
    passphrase: bool,
) -> Result<Answer, CommandError> {
    if !is_note_name(name) {
        return Err(CommandError::failed(format!("{name:?} can't name a witness"))
            .with_hint("a name is 1 to 255 bytes without white space, control characters or `+`"));
    }
    if dir.join(CONFIG).exists() {
        return Err(CommandError::failed(format!("{} holds a witness already", dir.display())));
    }
    let passphrase = if passphrase { Some(keyfile::passphrase("for the new keys")?) } else { None };
    fs::create_dir_all(dir.join("keys")).map_err(|e| CommandError::file("create", dir, e))?;
    let mut config = Config { name: name.to_owned(), vkeys: Vec::new(), ml_dsa, map };
    for kind in config.kinds() {
        let key = if kind == KeyKind::SubtreeV1 {
            PrivateKey::generate_ml_dsa()?
        } else {
            PrivateKey::generate(griptrace_core::key::Algorithm::Ed25519)?
        };
        config.vkeys.push(key.cosigner(name, kind)?.verifier().to_vkey());
        keyfile::write(&key_file(dir, kind), &key, passphrase.as_deref().map(String::as_str))?;
    }
    let text = toml::to_string(&config).map_err(|e| CommandError::because("cannot write the settings", e))?;
    write_file(&dir.join(CONFIG), text.as_bytes())?;
    let lines: Vec<String> = config.vkeys.iter().map(|vkey| format!("vkey  {vkey}")).collect();
    context.output.either(&json!({ "name": name, "vkeys": config.vkeys }), &lines)?;
    context
        .output
        .talk("never put an older copy of this folder back: a witness that forgot begins anew, with new keys");
    Ok(Answer::YES)
}

impl Config {
    fn read(dir: &Path) -> Result<Self, CommandError> {
        let path = dir.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(|e| {
            CommandError::file("read", &path, e).with_hint("griptrace witness init DIR --name NAME makes a witness")
        })?;
        toml::from_str(&text).map_err(|e| CommandError::because(format!("{} is wrong", path.display()), e))
    }

    fn kinds(&self) -> Vec<KeyKind> {
        let subtree = self.ml_dsa.then_some(KeyKind::SubtreeV1);
        let map = self.map.then_some(KeyKind::StatusMapV1);
        [KeyKind::CosignatureV1].into_iter().chain(subtree).chain(map).collect()
    }

    fn cosigners(&self, dir: &Path) -> Result<Cosigners, CommandError> {
        let mut cosigners = Cosigners { plain: Vec::new(), map: None };
        for kind in self.kinds() {
            let cosigner = keyfile::read(&key_file(dir, kind))?.cosigner(&self.name, kind)?;
            if kind == KeyKind::StatusMapV1 {
                cosigners.map = Some(cosigner);
            } else {
                cosigners.plain.push(cosigner);
            }
        }
        Ok(cosigners)
    }
}

fn add_log(context: &Context, dir: &Path, vkey: &str, url: Option<&str>) -> Result<Answer, CommandError> {
    let config = Config::read(dir)?;
    let shelf = Folder::open(dir);
    let known = log::names(&shelf).map_err(damaged)?;
    let log = log::add(&shelf, vkey, url).map_err(|e| CommandError::because("cannot add the log", e))?;
    let was_known = known.contains(&log::origin_hash(&log.origin));
    let count = log.keys.len();
    let line = format!("log  {}  {count} {}", log.origin, if count == 1 { "key" } else { "keys" });
    let object = json!({ "origin": log.origin, "keys": count, "url": log.url, "restart": was_known });
    context.output.either(&object, &[line])?;
    if was_known {
        context.output.talk("a witness that runs knows this log as it was: start it again");
    }
    if config.map && log.url.is_none() {
        context.output.warn(
            "without --url this witness can't read the log's entries, and does not vouch for its status maps: name an \
             address that serves them, or a folder",
        );
    }
    Ok(Answer::YES)
}

fn run_server(dir: &Path, listen: SocketAddr, ready: Option<&Path>) -> Result<Answer, CommandError> {
    griptrace_service::log_to_stderr();
    let config = Config::read(dir)?;
    let shelf = Folder::lock(dir).map_err(|e| CommandError::file("open", dir, e))?;
    let witness = Witness::open(Box::new(shelf), config.cosigners(dir)?).map_err(damaged)?;
    let witness = Arc::new(witness);
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CommandError::because("cannot start the threads of the witness", e))?;
    let recounts = if config.map {
        let fetcher = Fetcher::new().map_err(|e| CommandError::because("cannot use TLS", e))?;
        Some(Arc::new(Recounts::new(Arc::clone(&witness), fetcher)))
    } else {
        None
    };
    let served = runtime.block_on(async {
        let shutdown = asked_to_end()?;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|e| CommandError::because(format!("cannot listen at {listen}"), e))?;
        if let Some(path) = ready {
            let address = listener.local_addr()?;
            let temporary = path.with_extension("new");
            write_file(&temporary, format!("{}\n", json!({ "http": address.to_string() })).as_bytes())?;
            fs::rename(&temporary, path).map_err(|e| CommandError::file("write", path, e))?;
        }
        serve(Desk::new(witness, recounts, clock::now), listener, shutdown).await;
        Ok::<_, CommandError>(())
    });
    if let Some(path) = ready {
        fs::remove_file(path).ok();
    }
    runtime.shutdown_timeout(core::time::Duration::from_secs(1));
    served.map(|()| Answer::YES)
}

fn damaged(error: LogError) -> CommandError {
    let hint = "a witness that can't tell what it cosigned must not cosign: begin a new one, with new keys";
    let is_damage = matches!(error, LogError::Damaged { .. });
    let error = CommandError::because("cannot open the witness", error);
    if is_damage { error.with_hint(hint) } else { error }
}

fn show(context: &Context, dir: &Path) -> Result<Answer, CommandError> {
    let config = Config::read(dir)?;
    let verifiers = config.vkeys.iter().map(|vkey| griptrace_core::note::NoteVerifier::parse(vkey));
    let own = verifiers.collect::<Result<Vec<_>, _>>();
    let own = own.map_err(|e| CommandError::because("the settings' keys are malformed", e))?;
    let shelf = Folder::open(dir);
    let mut lines: Vec<String> = config.vkeys.iter().map(|vkey| format!("vkey  {vkey}")).collect();
    let mut logs = Vec::new();
    for hash in log::names(&shelf).map_err(damaged)? {
        let Some(keys) = log::read_keys(&shelf, &hash).map_err(damaged)? else { continue };
        let last = log::read_state(&shelf, &keys, &own).map_err(damaged)?;
        let evidence = log::evidence(&shelf, &keys.origin).map_err(damaged)?;
        let size = last.as_ref().map(|last| last.checkpoint.size);
        let told = size.map_or_else(|| "never cosigned".to_owned(), |size| format!("cosigned at {size} entries"));
        lines.push(format!("log   {}  {told}", keys.origin));
        lines.extend(evidence.iter().map(|name| format!("      EVIDENCE logs/{hash}/evidence/{name}")));
        logs.push(json!({
            "origin": keys.origin, "size": size, "time": last.map(|last| last.time), "url": keys.url, "evidence": evidence,
        }));
    }
    context.output.either(&json!({ "name": config.name, "vkeys": config.vkeys, "logs": logs }), &lines)?;
    Ok(Answer::YES)
}
