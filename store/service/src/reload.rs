//! Clients, committers and certificates, put in force again whenever their files change.

use core::time::Duration;
use std::{fs, path::PathBuf, sync::Arc};

use sha2::{Digest as _, Sha256};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    access::Gate,
    config::{ConfigError, Settings, Sources},
    metrics::Metrics,
    tls::{CurrentTls, Tls},
};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// The TLS settings of both listeners.
#[derive(Clone, Debug)]
pub(crate) struct CurrentPair {
    pub(crate) grpc: CurrentTls,
    pub(crate) http: CurrentTls,
}

impl CurrentPair {
    pub(crate) fn new(tls: &Tls) -> Self {
        Self { grpc: CurrentTls::new(Arc::clone(&tls.grpc)), http: CurrentTls::new(Arc::clone(&tls.http)) }
    }

    fn replace(&self, tls: &Tls) {
        self.grpc.replace(Arc::clone(&tls.grpc));
        self.http.replace(Arc::clone(&tls.http));
    }
}

/// Looks at the files.
#[derive(Debug)]
pub(crate) struct Reloader {
    in_force: Settings,
    gate: Arc<Gate>,
    tls: Option<CurrentPair>,
    metrics: Arc<Metrics>,
    /// What the files held when they were looked at last.
    seen: Option<[u8; 32]>,
    /// Why what they hold is not in force.
    refused: Option<String>,
}

impl Reloader {
    /// Begins to look at the files that these settings came from.
    pub(crate) fn new(in_force: Settings, gate: Arc<Gate>, tls: Option<CurrentPair>, metrics: Arc<Metrics>) -> Self {
        Self { in_force, gate, tls, metrics, seen: None, refused: None }
    }

    /// Looks at the files for ever.
    pub(crate) async fn run(mut self) {
        loop {
            sleep(EVERY).await;
            let (files, sources) = (self.in_force.files.clone(), self.in_force.sources.clone());
            // After a refusal other files may matter than those that were read before.
            let seen = self.seen.filter(|_| self.refused.is_none());
            match spawn_blocking(move || look(&files, sources, seen)).await {
                Ok(Look::Same) => {}
                Ok(Look::Changed(seen, loaded)) => {
                    // The first look is for what changed while the store was being opened.
                    let is_first = self.seen.replace(seen).is_none();
                    self.take(*loaded, is_first);
                }
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, loaded: Result<Settings, ConfigError>, is_first: bool) {
        let taken = loaded.map_err(|error| error.to_string()).and_then(|settings| self.put_in_force(settings));
        match taken {
            Ok(()) => {
                if !is_first {
                    tracing::info!("clients, committers and certificates are in force as the files have them now");
                }
                self.refused = None;
                self.metrics.reloaded(true);
            }
            Err(why) if self.refused.as_ref() == Some(&why) => {}
            Err(why) => {
                tracing::error!(why, "the changed configuration is refused, and the one before it stays in force");
                self.refused = Some(why);
                self.metrics.reloaded(false);
            }
        }
    }

    fn put_in_force(&mut self, settings: Settings) -> Result<(), String> {
        let (old, new) = (&self.in_force, &settings);
        // Whether clients have to be known was judged by the addresses: those that are listened at, and
        // not others.
        let addresses = (old.listen, old.http, old.tls.is_some()) != (new.listen, new.http, new.tls.is_some());
        if addresses {
            return Err("`listen`, `http` or whether there is [tls] changed, which takes a new start".to_owned());
        }
        let rest = [
            ("limits", old.limits != new.limits),
            ("connections", old.connections != new.connections),
            ("log", old.log != new.log),
            ("trace", old.trace != new.trace),
            ("audit", old.audit != new.audit),
            ("advertise", old.advertise != new.advertise),
            ("forward", old.forward != new.forward),
        ];
        for (key, _) in rest.iter().filter(|(_, differs)| *differs) {
            tracing::warn!(key, "this changed, and takes effect at the next start");
        }
        self.gate.replace(settings.register.clone());
        if let (Some(current), Some(tls)) = (&self.tls, &settings.tls) {
            current.replace(tls);
        }
        self.in_force.register = settings.register;
        self.in_force.files = settings.files;
        Ok(())
    }
}

/// What a look at the files shows.
enum Look {
    Same,
    Changed([u8; 32], Box<Result<Settings, ConfigError>>),
}

fn look(files: &[PathBuf], sources: Sources, seen: Option<[u8; 32]>) -> Look {
    let found = digest(files);
    if seen == Some(found) { Look::Same } else { Look::Changed(found, Box::new(Settings::load(sources))) }
}

/// Returns a digest of what files hold; one that can't be read holds something else than any file.
fn digest(files: &[PathBuf]) -> [u8; 32] {
    let mut all = Sha256::new();
    for file in files {
        match fs::read(file) {
            Ok(bytes) => all.update(Sha256::digest(&bytes)),
            Err(_) => all.update(b"unread"),
        }
    }
    all.finalize().into()
}
