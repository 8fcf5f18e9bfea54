//! `griptrace key rotate`, `change` and `record`: keys that follow one another.

use std::{
    fs,
    path::{Path, PathBuf},
};

use griptrace_core::{
    id::GenesisHash,
    key::{Algorithm, PublicKey, Signer},
    key_change::{KeyChange, KeyUse, SignedKeyChange},
    limits::ENTRY_BYTES_MAX,
    note::NoteSigner,
};
use griptrace_store::{Receipt, Store};
use serde_json::json;

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
    /// Which key
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
    /// Which key
    pub(crate) which: Which,
    /// The genesis hash of the log, as `griptrace init` and `griptrace log` show it
    #[arg(long, value_name = "HEX")]
    pub(crate) genesis: String,
    /// The key file that retires, where it is at hand
    #[arg(long, value_name = "FILE", required_unless_present = "by")]
    pub(crate) old: Option<PathBuf>,
    /// The public key that is revoked, in its place
    #[arg(long, value_name = "KEY", requires = "by", conflicts_with = "old")]
    pub(crate) revoke: Option<String>,
    /// The key file that revokes: a revoker of the log's genesis
    #[arg(long, value_name = "FILE", requires = "revoke")]
    pub(crate) by: Option<PathBuf>,
    /// Of a revoked committer's key: the leaf index from which on its commits do not count
    #[arg(long, value_name = "LEAF", requires = "by")]
    pub(crate) since: Option<u64>,
    /// The key file that follows
    #[arg(long, value_name = "FILE", required_unless_present = "by")]
    pub(crate) new: Option<PathBuf>,
    /// The name that those who sign give themselves
    #[arg(long, default_value = "key change")]
    pub(crate) issuer: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// What `record` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordArgs {
    /// The file that `griptrace key change` wrote
    pub(crate) file: PathBuf,
    /// Of a change of the log's own key: the key file that signs from then on
    #[arg(long, value_name = "FILE")]
    pub(crate) new: Option<PathBuf>,
}

impl Which {
    const fn of(self) -> KeyUse {
        match self {
            Self::Log => KeyUse::Log,
            Self::Committer => KeyUse::Committer,
        }
    }
}

fn local(workspace: &Workspace) -> Result<&Store, CommandError> {
    match &workspace.store {
        Log::Local(store) => Ok(store),
        Log::Remote(remote) => Err(CommandError::failed(format!("keys of the log of {} are changed there", remote.url()))
            .with_hint("sign the change here with `griptrace key change`, and have the operator record it with `griptrace key record`")),
    }
}

pub(crate) fn rotate(context: &Context, args: &RotateArgs) -> Result<Answer, CommandError> {
    let mut workspace = context.workspace_for_recording()?;
    local(&workspace)?;
    let new = next_key(&mut workspace, args)?;
    let old = match args.which {
        Which::Log => keyfile::read(&workspace.folder().join(log_path(&workspace)?))?.signer()?,
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
    let entry = change
        .sign(&[&old as &dyn Signer, &new.signer()?], &workspace.config.issuer)
        .map_err(|e| CommandError::because("cannot sign the key change", e))?;
    let signer = note_signer(&workspace, args.which, &new)?;
    let receipt = bring_in(local(&workspace)?, &entry, signer)?;
    let (keys, config) = (&mut workspace.config.keys, &mut workspace.config.committer);
    match args.which {
        Which::Log => keys.log = keys.next_log.take(),
        Which::Committer => {
            keys.committer = keys.next_committer.take().unwrap_or_default();
            *config = new.public()?.to_string();
        }
    }
    workspace.save_config()?;
    tell(context, &change, &receipt)?;
    context.output.talk("the old key file signs nothing any more; once every copy of the new one is safe, destroy it");
    Ok(Answer::YES)
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
        return keyfile::read(&workspace.folder().join(path));
    }
    let algorithm = match (args.which, args.p256) {
        (Which::Log, true) => return Err(CommandError::failed("a log's key must be an Ed25519 key")),
        (Which::Committer, true) => Algorithm::P256,
        (Which::Log | Which::Committer, false) => Algorithm::Ed25519,
    };
    let passphrase = if args.passphrase { Some(keyfile::passphrase("for the new key")?) } else { None };
    let key = PrivateKey::generate(algorithm)?;
    let path = free_name(workspace.folder(), args.which.of().word());
    keyfile::write(&workspace.folder().join(&path), &key, passphrase.as_deref().map(String::as_str))?;
    match args.which {
        Which::Log => workspace.config.keys.next_log = Some(path),
        Which::Committer => workspace.config.keys.next_committer = Some(path),
    }
    workspace.save_config()?;
    Ok(key)
}

fn free_name(folder: &Path, word: &str) -> PathBuf {
    let name = |number: u32| PathBuf::from(format!("keys/{word}-{number}.key"));
    (2..u32::MAX).map(name).find(|path| !folder.join(path).exists()).unwrap_or_default()
}

fn note_signer(workspace: &Workspace, which: Which, key: &PrivateKey) -> Result<Option<NoteSigner>, CommandError> {
    match which {
        Which::Log => key.note_signer(&workspace.config.origin).map(Some),
        Which::Committer => Ok(None),
    }
}

fn bring_in(store: &Store, entry: &[u8], signer: Option<NoteSigner>) -> Result<Receipt, CommandError> {
    store.change_key(entry, signer, clock::now()).map_err(|e| CommandError::because("the key was not changed", e))
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
    let signers: Vec<&dyn Signer> = signers.iter().map(|signer| signer as &dyn Signer).collect();
    let entry =
        change.sign(&signers, &args.issuer).map_err(|e| CommandError::because("cannot sign the key change", e))?;
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

pub(crate) fn record(context: &Context, args: &RecordArgs) -> Result<Answer, CommandError> {
    let entry = fs::read(&args.file).map_err(|e| CommandError::file("read", &args.file, e))?;
    let malformed =
        |why: &dyn core::fmt::Display| CommandError::failed(format!("{} is no key change: {why}", args.file.display()));
    if entry.len() > ENTRY_BYTES_MAX {
        return Err(malformed(&format!("it has {} bytes, and one has {ENTRY_BYTES_MAX} at most", entry.len())));
    }
    let change = SignedKeyChange::parse(&entry).map_err(|e| malformed(&e))?.change;
    let mut workspace = context.workspace_for_recording()?;
    let new = args.new.as_deref().map(std::path::absolute).transpose()?;
    let signer = match (change.of, &new) {
        (KeyUse::Log, Some(path)) => Some(keyfile::read(path)?.note_signer(&workspace.config.origin)?),
        (KeyUse::Log, None) => {
            return Err(CommandError::failed("the change gives the log another key, and nothing signs with it")
                .with_hint("--new FILE names the key file that signs from then on"));
        }
        (KeyUse::Committer, _) => None,
    };
    if change.of == KeyUse::Log {
        workspace.config.keys.next_log.clone_from(&new);
        workspace.save_config()?;
    }
    let receipt = bring_in(local(&workspace)?, &entry, signer)?;
    if change.of == KeyUse::Log {
        workspace.config.keys.log = workspace.config.keys.next_log.take();
        workspace.save_config()?;
    }
    tell(context, &change, &receipt)?;
    Ok(Answer::YES)
}

fn tell(context: &Context, change: &KeyChange, receipt: &Receipt) -> Result<(), CommandError> {
    let print = |key: &PublicKey| fingerprint(&key.id());
    let object = json!({
        "of": change.of.word(), "retired": change.retired.to_string(),
        "successor": change.successor.as_ref().map(ToString::to_string), "since": change.since,
        "index": receipt.index, "size": receipt.size,
    });
    let mut lines = vec![
        format!("retired    {} key {}", change.of.word(), change.retired),
        format!("           {}", print(&change.retired)),
    ];
    if let Some(successor) = &change.successor {
        lines.push(format!("successor  {successor}"));
        lines.push(format!("           {}", print(successor)));
    }
    lines.push(format!("leaf       {}", receipt.index));
    context.output.either(&object, &lines)
}
