//! `griptrace key rotate` and `change`: keys that follow one another.

use std::path::{Path, PathBuf};

use griptrace_core::{
    id::GenesisHash,
    key::{Algorithm, PublicKey, Signer},
    key_change::{KeyChange, KeyUse},
    note::NoteSigner,
};
use griptrace_store::Store;
use serde_json::{Value as Json, json};

use crate::{
    clock,
    context::{Answer, Context, write_output},
    error::CommandError,
    keyfile::{self, PrivateKey, fingerprint},
    log_source::Log,
    workspace::Workspace,
};

/// The first bytes of a key change: an array of two, and its number among entries.
const KEY_CHANGE_BEGINS: &[u8] = &[0x82, 0x01];

/// Which key is meant
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Which {
    /// The key that signs the log's checkpoints
    Log,
    /// The key that signs commits
    Committer,
}

/// What `rotate` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RotateArgs {
    /// Whose key: the log's, which signs checkpoints, or the committer's, which signs commits
    pub(crate) which: Which,
    /// Make an ECDSA P-256 key for the committer
    #[arg(long)]
    pub(crate) p256: bool,
    /// Encrypt the new key with the passphrase in `GRIPTRACE_PASSPHRASE` or on standard input
    #[arg(long)]
    pub(crate) passphrase: bool,
}

/// What `change` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangeArgs {
    /// Whose key ends: the log's, which signs checkpoints, or a committer's, which signs commits
    pub(crate) which: Which,
    /// The genesis hash of the log that has the key, as `griptrace log` shows it
    #[arg(long, value_name = "HEX")]
    pub(crate) genesis: String,
    /// Rotation: the file of the key that ends
    #[arg(long, value_name = "KEYFILE", required_unless_present = "by")]
    pub(crate) old: Option<PathBuf>,
    /// Revocation: the public key that ends, since its file is lost or stolen (ed25519:... or p256:...)
    #[arg(long, value_name = "KEY", requires = "by", conflicts_with = "old")]
    pub(crate) revoke: Option<String>,
    /// Revocation: the file of a key that was named by `griptrace init --revoker` when the log was made
    #[arg(long, value_name = "KEYFILE", requires = "revoke")]
    pub(crate) by: Option<PathBuf>,
    /// Revocation of a committer's key: the first leaf that a thief may have signed, as `griptrace log` shows it; commits
    /// with the key count before it, and not from there on
    #[arg(long, value_name = "LEAF", requires = "by")]
    pub(crate) since: Option<u64>,
    /// The file of the key that follows, which signs too; only a revoked committer's key may have none
    #[arg(long, value_name = "KEYFILE", required_unless_present = "by")]
    pub(crate) new: Option<PathBuf>,
    /// The name that those who sign give themselves
    #[arg(long, default_value = "key change")]
    pub(crate) issuer: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

impl Which {
    const fn of(self) -> KeyUse {
        match self {
            Self::Log => KeyUse::Log,
            Self::Committer => KeyUse::Committer,
        }
    }
}

pub(super) fn local(workspace: &Workspace) -> Result<&Store, CommandError> {
    match &workspace.store {
        Log::Local(store) => Ok(store),
        Log::Remote(remote) => Err(CommandError::failed(format!("keys of the log of {} are changed there", remote.url()))
            .with_hint("sign the change here with `griptrace key change`, and have the operator record it with `griptrace key record`")),
    }
}

pub(crate) fn rotate(context: &Context, args: &RotateArgs) -> Result<Answer, CommandError> {
    let mut workspace = context.workspace_for_recording()?;
    local(&workspace)?;
    if args.which == Which::Committer {
        refuse_ended(&workspace)?;
    }
    let new = next_key(&mut workspace, args)?;
    let old = match args.which {
        Which::Log => workspace.own_key(&log_path(&workspace)?)?.signer()?,
        Which::Committer => workspace.committer_key()?,
    };
    let change = KeyChange {
        home: workspace.home(),
        of: args.which.of(),
        retired: old.public_key(),
        successor: Some(new.public()?),
        revoker: None,
        since: None,
        time: clock::now(),
    };
    let next = new.signer()?;
    let signers: [&dyn Signer; 2] = [&old, &next];
    let entry = change
        .sign(&signers, &workspace.config.issuer)
        .map_err(|e| CommandError::because("cannot sign the key change", e))?;
    let signer = note_signer(&workspace, args.which, &new)?;
    let receipt = local(&workspace)?.change_key(&entry, signer, clock::now());
    let receipt = receipt.map_err(|e| CommandError::because("the key was not changed", e))?;
    let keys = &mut workspace.config.keys;
    match args.which {
        Which::Log => keys.log = keys.next_log.take(),
        Which::Committer => {
            keys.committer = keys.next_committer.take().unwrap_or_default();
            workspace.config.put_committer(&new.public()?);
        }
    }
    workspace.save_config()?;
    let (object, lines) = told(&change, Placed { index: receipt.index, size: receipt.size, is_old: false });
    context.output.either(&object, &lines)?;
    context.output.talk("the old key file signs nothing any more; once every copy of the new one is safe, destroy it");
    Ok(Answer::YES)
}

/// A key that has ended names no successor: were it taken, the settings would name a key that no buyer believes.
fn refuse_ended(workspace: &Workspace) -> Result<(), CommandError> {
    let key = workspace.committer()?;
    let Some(since) = workspace.key_end(&key.id()) else { return Ok(()) };
    Err(CommandError::failed(format!(
        "the committer's key {key} does not count from leaf {since} on, and can't be rotated any more"
    ))
    .with_hint(workspace.how_to_go_on()?))
}

fn log_path(workspace: &Workspace) -> Result<PathBuf, CommandError> {
    workspace.config.keys.log.clone().ok_or_else(|| CommandError::failed("the settings name no log key"))
}

/// Makes the key that follows, and names it in the settings before anything else happens: were it cut off now, the log
/// tells which of the two counts. One that was made before, for a change that never came, is taken.
fn next_key(workspace: &mut Workspace, args: &RotateArgs) -> Result<PrivateKey, CommandError> {
    let next = match args.which {
        Which::Log => workspace.config.keys.next_log.clone(),
        Which::Committer => workspace.config.keys.next_committer.clone(),
    };
    if let Some(path) = next {
        return workspace.own_key(&path);
    }
    let algorithm = match (args.which, args.p256) {
        (Which::Log, true) => return Err(CommandError::failed("a log's key must be an Ed25519 key")),
        (Which::Committer, true) => Algorithm::P256,
        (Which::Log | Which::Committer, false) => Algorithm::Ed25519,
    };
    let passphrase = if args.passphrase { Some(keyfile::passphrase("for the new key")?) } else { None };
    let key = PrivateKey::generate(algorithm)?;
    let path = workspace.free_name(args.which.of().word());
    keyfile::write(&workspace.folder().join(&path), &key, passphrase.as_deref().map(String::as_str))?;
    match args.which {
        Which::Log => workspace.config.keys.next_log = Some(path),
        Which::Committer => workspace.config.keys.next_committer = Some(path),
    }
    workspace.save_config()?;
    Ok(key)
}

fn note_signer(workspace: &Workspace, which: Which, key: &PrivateKey) -> Result<Option<NoteSigner>, CommandError> {
    match which {
        Which::Log => key.note_signer(&workspace.config.origin).map(Some),
        Which::Committer => Ok(None),
    }
}

pub(crate) fn change(context: &Context, args: &ChangeArgs) -> Result<Answer, CommandError> {
    let home = GenesisHash::from_hex(&args.genesis).ok_or_else(|| {
        CommandError::failed(format!("{:?} is not a genesis hash: 64 hexadecimal digits", args.genesis))
    })?;
    let read = |path: &Option<PathBuf>| path.as_deref().map(keyfile::read).transpose();
    let (old, by, new) = (read(&args.old)?, read(&args.by)?, read(&args.new)?);
    let retired = match (&old, &args.revoke) {
        (Some(old), _) => old.public()?,
        (None, Some(text)) => {
            PublicKey::parse(text).map_err(|e| CommandError::because("the revoked key is malformed", e))?
        }
        (None, None) => return Err(CommandError::failed("nothing says which key retires")),
    };
    let change = KeyChange {
        home,
        of: args.which.of(),
        retired,
        successor: new.as_ref().map(PrivateKey::public).transpose()?,
        revoker: by.as_ref().map(PrivateKey::public).transpose()?,
        since: args.since,
        time: clock::now(),
    };
    let keys = [by.or(old), new].into_iter().flatten();
    let signers = keys.map(|key| key.signer()).collect::<Result<Vec<_>, _>>()?;
    let mut borrowed: Vec<&dyn Signer> = Vec::new();
    for signer in &signers {
        borrowed.push(signer);
    }
    let entry =
        change.sign(&borrowed, &args.issuer).map_err(|e| CommandError::because("cannot sign the key change", e))?;
    let inputs: Vec<&Path> = [&args.old, &args.by, &args.new].into_iter().filter_map(|path| path.as_deref()).collect();
    write_output(&args.output, &entry, ("key change", KEY_CHANGE_BEGINS), &inputs)?;
    let object = json!({
        "file": args.output.display().to_string(), "of": change.of.word(), "retired": change.retired.to_string(),
        "successor": change.successor.as_ref().map(ToString::to_string),
    });
    let line = format!("wrote {}: for the operator, who records it with griptrace key record", args.output.display());
    context.output.either(&object, &[line])?;
    Ok(Answer::YES)
}

/// Where a change stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Placed {
    /// The leaf index.
    pub(crate) index: u64,
    /// The log's size, as far as it is known to have it.
    pub(crate) size: u64,
    /// Whether it stood there before.
    pub(crate) is_old: bool,
}

/// Returns what is told of a change, as JSON and in lines.
pub(crate) fn told(change: &KeyChange, placed: Placed) -> (Json, Vec<String>) {
    let print = |key: &PublicKey| fingerprint(&key.id());
    let object = json!({
        "of": change.of.word(), "retired": change.retired.to_string(),
        "successor": change.successor.as_ref().map(ToString::to_string), "since": change.since,
        "index": placed.index, "size": placed.size, "already_recorded": placed.is_old,
    });
    let mut lines = vec![
        format!("retired    {} key {}", change.of.word(), change.retired),
        format!("           {}", print(&change.retired)),
    ];
    if let Some(successor) = &change.successor {
        lines.push(format!("successor  {successor}"));
        lines.push(format!("           {}", print(successor)));
    }
    let before = if placed.is_old { ", already recorded" } else { "" };
    lines.push(format!("leaf       {}{before}", placed.index));
    (object, lines)
}
