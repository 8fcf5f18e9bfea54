//! `griptrace init`.

use std::path::{Path, PathBuf};

use griptrace_core::{
    id::KeyId,
    key::{KeyError, PublicKey},
    word::is_note_name,
};
use serde_json::json;

use crate::{
    context::{Answer, Context},
    error::CommandError,
    keyfile,
    place::{BucketPlace, bucket_address},
    remote::{ServerConfig, Target},
    workspace::{Expected, Join, NewClient, NewLog, Workspace, party_of},
};

/// Make a store, a log key and a committer key; with --server, only a committer key for the log there
///
/// With --store `s3://BUCKET/FOLDER` (or gs://, az://) the log is in that bucket, and this folder has its keys and settings. What lets one
/// in is taken from the environment (AWS_..., GOOGLE_..., AZURE_...) and kept nowhere.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to make .griptrace
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// The name of the log, like a URL without its scheme: lineage.example.com/2026
    #[arg(long, conflicts_with = "server")]
    pub(crate) origin: Option<String>,
    /// Who commits [default: the origin up to its first slash]
    #[arg(long, visible_alias = "issuer", value_name = "PARTY")]
    pub(crate) name: Option<String>,
    /// Encrypt the keys with the passphrase in `GRIPTRACE_PASSPHRASE`
    #[arg(long)]
    pub(crate) passphrase: bool,
    /// A public key that may one day revoke a key of this log that was lost or stolen (can be repeated); keep its
    /// secret half apart
    #[arg(long, value_name = "KEY", conflicts_with = "server")]
    pub(crate) revoker: Vec<String>,
    /// With --server or --join: refuse any log but the one with this key (vkey), as the operator told you
    #[arg(long, value_name = "VKEY", conflicts_with = "origin")]
    pub(crate) log: Option<String>,
    /// With --server or --join: commit with this key file, which stays where it is
    #[arg(long, value_name = "FILE", conflicts_with_all = ["origin", "passphrase"])]
    pub(crate) committer_key: Option<PathBuf>,
    /// With --store `s3://BUCKET/FOLDER`: use the log that is there already
    #[arg(long, requires = "store", conflicts_with_all = ["server", "revoker"])]
    pub(crate) join: bool,
    /// With --join: write the log with this copy of its key, which stays where it is; without it the log is only read
    #[arg(long, value_name = "FILE", requires = "join")]
    pub(crate) log_key: Option<PathBuf>,
    /// With --join: refuse any log but the one with this genesis
    #[arg(long, value_name = "HASH", requires = "join")]
    pub(crate) genesis: Option<String>,
    /// Where the service of the bucket is, kept in the settings [default: the cloud's own, or what the environment says]
    #[arg(long, value_name = "URL", requires = "store")]
    pub(crate) endpoint: Option<String>,
    /// Where the bucket is, kept in the settings [default: what the environment says]
    #[arg(long, value_name = "NAME", requires = "store")]
    pub(crate) region: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let bucket = bucket(context, args)?;
    match (&args.origin, bucket) {
        (_, Some(bucket)) if args.join => tell_store(context, args, &join(context, args, bucket)?),
        (Some(origin), bucket) => tell_store(context, args, &create(args, origin, bucket)?),
        (None, Some(bucket)) => Err(CommandError::failed("nothing says which log is meant").with_hint(format!(
            "--origin ORIGIN makes a new log in {}; --join uses the one that is there",
            bucket.address
        ))),
        (None, None) => match context.server.target(None)? {
            Some(target) => tell_client(context, &create_client(context, args, target)?),
            None => Err(CommandError::failed("nothing says which log is meant")
                .with_hint("--origin ORIGIN makes a new log on this machine; --server URL uses that of a server")),
        },
    }
}

/// Returns the bucket that was named.
fn bucket(context: &Context, args: &Args) -> Result<Option<BucketPlace>, CommandError> {
    let Some(named) = context.named_store() else { return Ok(None) };
    let address = bucket_address(named).ok_or_else(|| {
        CommandError::failed(format!("{} is not the address of a bucket", named.display()))
            .with_hint("--store s3://BUCKET/FOLDER names a bucket; griptrace init DIR makes a store in a folder")
    })?;
    if address.starts_with("gs://") && (args.endpoint.is_some() || args.region.is_some()) {
        return Err(CommandError::failed("a bucket of Google's has neither --endpoint nor --region"));
    }
    let (endpoint, region) = (args.endpoint.clone(), args.region.clone());
    Ok(Some(BucketPlace { address: address.trim_end_matches('/').to_owned(), endpoint, region }))
}

fn tell_store(context: &Context, args: &Args, workspace: &Workspace) -> Result<Answer, CommandError> {
    let log = workspace.log_vkey()?;
    let committer = workspace.committer()?;
    let folder = workspace.folder().display().to_string();
    let mut object = json!({
        "folder": folder, "origin": workspace.config.origin, "home": workspace.home().to_string(),
        "vkey": log, "committer": committer.to_string(), "committer_id": committer.id().to_string(),
    });
    let place = workspace.config.bucket().map_or_else(|| folder.clone(), |bucket| bucket.address);
    if place != folder
        && let Some(object) = object.as_object_mut()
    {
        object.insert("store".to_owned(), json!(place));
    }
    let lines = [
        format!("store      {place}"),
        format!("origin     {}", workspace.config.origin),
        format!("genesis    {}", workspace.home()),
        format!("log key    {log}"),
        format!("committer  {committer} ({})", workspace.config.issuer),
    ];
    context.output.either(&object, &lines)?;
    if args.join {
        context.output.talk("compare the genesis and the log key with what `griptrace log` shows on the other machine");
    } else {
        context.output.talk("keep a copy of the folder `keys` in another place; nobody can make these keys again");
    }
    Ok(Answer::YES)
}

fn tell_client(context: &Context, workspace: &Workspace) -> Result<Answer, CommandError> {
    let log = workspace.log_vkey()?;
    let committer = workspace.committer()?;
    let folder = workspace.folder().display().to_string();
    let url = workspace.config.server.as_ref().map(|server| server.url.clone()).unwrap_or_default();
    let object = json!({
        "folder": folder, "server": url, "origin": workspace.config.origin, "home": workspace.home().to_string(),
        "vkey": log, "committer": committer.to_string(), "committer_id": committer.id().to_string(),
    });
    let lines = [
        format!("folder     {folder}"),
        format!("server     {url}"),
        format!("origin     {}", workspace.config.origin),
        format!("genesis    {}", workspace.home()),
        format!("log key    {log}"),
        format!("committer  {committer} ({})", workspace.config.issuer),
    ];
    context.output.either(&object, &lines)?;
    context.output.talk("give the committer's public key to the operator, who registers it; the secret one stays here");
    Ok(Answer::YES)
}

/// Makes the store.
fn create(args: &Args, origin: &str, bucket: Option<BucketPlace>) -> Result<Workspace, CommandError> {
    if !is_note_name(origin) {
        return Err(CommandError::failed(format!("{origin:?} can't name a log"))
            .with_hint("an origin is 1 to 255 bytes without white space, control characters or `+`"));
    }
    let issuer = args.name.clone().unwrap_or_else(|| party_of(origin));
    let passphrase = if args.passphrase { Some(keyfile::passphrase("for the new keys")?) } else { None };
    let malformed = |e: KeyError| {
        CommandError::because("a revoker's key is malformed", e)
            .with_hint("a public key is ed25519:BASE64 or p256:BASE64; `griptrace key new` makes one and shows it")
    };
    let revokers: Result<Vec<KeyId>, _> = args.revoker.iter().map(|key| Ok(PublicKey::parse(key)?.id())).collect();
    let mut revokers = revokers.map_err(malformed)?;
    revokers.sort_unstable();
    revokers.dedup();
    let passphrase = passphrase.as_deref().map(String::as_str);
    Workspace::create(&args.dir, NewLog { origin, issuer: &issuer, revokers, passphrase, bucket })
}

/// Makes a folder for a log that is in a bucket.
fn join(context: &Context, args: &Args, bucket: BucketPlace) -> Result<Workspace, CommandError> {
    let whole = |path: &Option<PathBuf>| path.as_deref().map(absolute).transpose();
    let passphrase = if args.passphrase { Some(keyfile::passphrase("for the new key")?) } else { None };
    let expected =
        Expected { origin: args.origin.as_deref(), genesis: args.genesis.as_deref(), vkey: args.log.as_deref() };
    let join = Join {
        bucket,
        name: args.name.clone(),
        log_key: whole(&args.log_key)?,
        committer_key: whole(&args.committer_key)?,
        passphrase: passphrase.as_deref().map(String::as_str),
        expected,
    };
    Workspace::join_bucket(&context.output, &args.dir, join)
}

/// Makes a folder for the log of a server.
fn create_client(context: &Context, args: &Args, mut target: Target) -> Result<Workspace, CommandError> {
    let issuer = args.name.clone().ok_or_else(|| {
        CommandError::failed("nothing says who commits").with_hint("add --issuer NAME, the name that commits will bear")
    })?;
    let whole = |path: &Option<PathBuf>| path.as_deref().map(absolute).transpose();
    let server = ServerConfig {
        url: target.url.clone(),
        log: String::new(),
        ca: whole(&target.ca)?,
        client_cert: whole(&target.client_cert)?,
        client_key: whole(&target.client_key)?,
        token_file: whole(&context.server.token_file)?,
        plain_http: context.server.plain_http,
    };
    target.log.clone_from(&args.log);
    let committer_key = whole(&args.committer_key)?;
    let passphrase = if args.passphrase { Some(keyfile::passphrase("for the new key")?) } else { None };
    let client = NewClient { target, server, issuer, committer_key };
    Workspace::create_client(&context.output, &args.dir, client, passphrase.as_deref().map(String::as_str))
}

/// Settings are used from any folder, so that their paths have to say where they begin.
fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    std::path::absolute(path).map_err(|e| CommandError::file("find", path, e))
}
