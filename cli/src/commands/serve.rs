//! `griptrace serve`.

use core::time::Duration;
use std::path::PathBuf;

use griptrace_service::{
    Opening,
    config::{ConfigError, Flags, OwnCommitter, Settings, Sources},
};
use griptrace_store::Store;
use tokio::runtime;

use crate::{
    clock,
    context::{Answer, Context},
    environment,
    error::CommandError,
    workspace::{Config, Joining, Workspace},
};

/// What the settings of a service are called where they lie beside the store.
const FILE: &str = "serve.toml";
/// How long what still runs at the end may take to notice it.
const LAST_WORK_MAX: Duration = Duration::from_secs(5);

/// Serve the store: gRPC to those who commit and ask, the log over HTTP to the world
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to serve gRPC [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Where to serve the log over HTTP, or `off` [default: 127.0.0.1:7401]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// The settings [default: serve.toml beside the store's own, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Show what would be in force, and all that is wrong, and serve nothing
    #[arg(long)]
    pub(crate) check_config: bool,
    /// Serve others than this machine without TLS, or without knowing who they are
    #[arg(long)]
    pub(crate) insecure_open_to_everyone: bool,
    /// Follow a log in a bucket and answer whatever reads, and never write
    #[arg(long)]
    pub(crate) replica: bool,
    /// Write the two addresses into this file, as JSON, once both are listened at
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let folder = context.store_folder()?;
    let own = Config::read(&folder)?;
    let sources = sources(args, folder, &own)?;
    if args.check_config {
        let settings = Settings::load(sources).map_err(|error| refused(&error))?;
        let lines = settings.lines();
        context.output.either(&serde_json::json!({ "in_force": lines }), &lines)?;
        return Ok(Answer::YES);
    }
    let settings = Settings::load(sources).map_err(|error| refused(&error))?;
    let log = Found::of(context, args, &own, &settings)?;
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(settings.blocking_threads_max())
        .build()
        .map_err(|e| CommandError::because("cannot start the threads of the service", e))?;
    let served = runtime.block_on(async {
        let shutdown = asked_to_end()?;
        let served = match log {
            Found::Open(store) => griptrace_service::run(store, settings, shutdown).await,
            Found::Away(opening) => griptrace_service::run_when_open(opening, settings, shutdown).await,
        };
        served.map_err(|e| CommandError::because("cannot serve", e))
    });
    runtime.shutdown_timeout(LAST_WORK_MAX);
    served.map(|()| Answer::YES)
}

/// The log that is served.
enum Found {
    Open(Store),
    /// Its bucket does not answer: it is tried again.
    Away(Opening),
}

impl Found {
    fn of(context: &Context, args: &Args, own: &Config, settings: &Settings) -> Result<Self, CommandError> {
        if own.bucket().is_none() {
            return if args.replica {
                Err(CommandError::failed("a replica follows a log in a bucket, and this one is in a folder")
                    .with_hint("griptrace serve without --replica serves a folder; it is the only one that does"))
            } else {
                Workspace::local_store(context, true).map(Self::Open)
            };
        }
        let joining = Joining::new(context, settings.advertised(), args.replica)?;
        match joining.open() {
            Ok(store) => Ok(Self::Open(store)),
            Err(error) if error.is_away() => Ok(Self::Away(Box::new(move || {
                joining.open().map_err(|error| {
                    error.lines().into_iter().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
                })
            }))),
            Err(error) => Err(error),
        }
    }
}

fn sources(args: &Args, folder: PathBuf, own: &Config) -> Result<Sources, CommandError> {
    let beside = Some(folder.join(FILE)).filter(|file| file.is_file());
    Ok(Sources {
        file: args.config.clone().or(beside),
        folder,
        environment: environment::serve(),
        flags: Flags {
            listen: args.listen.clone(),
            http: args.http.clone(),
            is_open_to_everyone: args.insecure_open_to_everyone,
            is_replica: args.replica,
            ready_file: args.ready_file.clone(),
        },
        own_committer: OwnCommitter { name: own.issuer.clone(), key: own.committer_key()? },
        has_log_key: own.bucket().is_none() || own.keys.log.is_some(),
        clock: clock::now,
    })
}

/// Makes an error of all that is wrong, a line each.
fn refused(error: &ConfigError) -> CommandError {
    let mut problems = error.problems.iter();
    let first = problems.next().map(ToString::to_string).unwrap_or_default();
    let text = problems.fold(first, |text, problem| format!("{text}\nerror: {problem}"));
    let hints = error.problems.iter().filter_map(|problem| problem.hint.clone());
    hints.fold(CommandError::failed(text), CommandError::with_hint)
}

/// Returns what is over when somebody asks the program to end.
#[cfg(unix)]
pub(super) fn asked_to_end() -> Result<impl Future<Output = ()> + Send, CommandError> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    })
}

/// Returns what is over when somebody asks the program to end.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "where there are signals, asking for them may fail")]
pub(super) fn asked_to_end() -> Result<impl Future<Output = ()> + Send, CommandError> {
    Ok(async {
        tokio::signal::ctrl_c().await.ok();
    })
}
