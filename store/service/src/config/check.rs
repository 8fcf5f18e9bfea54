//! From what is written to what is in force: everything that does not fit is found, not only the first.

use core::net::SocketAddr;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use griptrace_core::{date::Date, digest::Digest, key::PublicKey, tlog_policy::TlogPolicy};
use toml::Value;
use tracing_subscriber::EnvFilter;

use super::{
    ConfigError, Forwarding, Problem, Settings, Sources, Witnessing,
    file::{ClientEntry, CommitterEntry, File, ForwardEntry, KeyEntry, WitnessesEntry},
    peer, resolve,
};
use crate::{
    access::{Caller, CertificateName, Client, Committer, Period, Register, RegisteredKey, Token},
    tls::{Tls, TlsFiles},
};

const LISTEN: &str = "127.0.0.1:7400";
const HTTP: &str = "127.0.0.1:7401";
const AUDIT: &str = "audit.jsonl";

/// Makes settings of what is written.
pub(super) fn check(sources: Sources, file: File) -> Result<Settings, ConfigError> {
    let place = sources.file.as_ref().map_or_else(|| "the settings".to_owned(), |path| path.display().to_string());
    let mut check = Check { place, problems: Vec::new() };
    let listen = check.address("listen", file.listen.as_deref().unwrap_or(LISTEN));
    let http = file.http.as_deref().unwrap_or(HTTP);
    let http = if http == "off" { Some(None) } else { check.address("http", http).map(Some) };
    let register = Register {
        clients: check.clients(&file.client),
        committers: check.committers(&file.committer, &file.client, &sources),
    };
    let (tls, files) = check.tls(&sources, &file, &register);
    if !sources.flags.is_open_to_everyone {
        check.guarded(listen, http.flatten(), file.tls.is_some(), !register.clients.is_empty());
    }
    if let (Some(listen), Some(Some(http))) = (listen, http)
        && listen == http
        && listen.port() != 0
    {
        check.wrong(format!("`listen` and `http` are both {listen}"));
    }
    check.rest(&file);
    let witnesses = file.witnesses.as_ref().and_then(|entry| check.witnesses(&sources, entry));
    let advertise = file.advertise.as_deref().and_then(|url| check.advertise(&sources, url));
    let forward = file.forward.as_ref().map(|entry| check.forward(&sources, entry));
    let audit = resolve(&sources, file.audit.as_deref().unwrap_or(Path::new(AUDIT)));
    check.audit(&audit);
    let (Some(listen), Some(http), true) = (listen, http, check.problems.is_empty()) else {
        return Err(ConfigError { problems: check.problems });
    };
    Ok(Settings {
        sources,
        listen,
        http,
        tls,
        register,
        limits: file.limits,
        connections: file.connections,
        log: file.log,
        trace: file.trace.otlp,
        audit,
        witnesses,
        advertise,
        forward,
        files,
    })
}

/// What was found to be wrong so far.
struct Check {
    place: String,
    problems: Vec<Problem>,
}

impl Check {
    fn wrong(&mut self, text: impl Into<String>) {
        self.problems.push(Problem { place: self.place.clone(), text: text.into(), hint: None });
    }

    fn wrong_with(&mut self, text: impl Into<String>, hint: impl Into<String>) {
        let hint = Some(hint.into());
        self.problems.push(Problem { place: self.place.clone(), text: text.into(), hint });
    }

    fn witnesses(&mut self, sources: &Sources, entry: &WitnessesEntry) -> Option<Witnessing> {
        if [entry.every_seconds, entry.deadline_seconds, entry.renew_seconds].contains(&0) {
            self.wrong("`every_seconds`, `deadline_seconds` and `renew_seconds` of `witnesses` are 1 at least");
        }
        let path = resolve(sources, &entry.policy);
        let policy = match std::fs::read(&path) {
            Ok(policy) => policy,
            Err(error) => {
                self.wrong(format!("`witnesses.policy` {} cannot be read: {error}", path.display()));
                return None;
            }
        };
        if let Err(error) = TlogPolicy::parse(&policy) {
            self.wrong(format!("`witnesses.policy` {}: {error}", path.display()));
        }
        let seconds = core::time::Duration::from_secs;
        let (every, deadline) = (seconds(entry.every_seconds), seconds(entry.deadline_seconds));
        let renew = seconds(entry.renew_seconds);
        Some(Witnessing { file: path, policy, maps: entry.maps.clone(), every, deadline, renew })
    }

    /// Others than this machine are called over TLS only.
    fn advertise(&mut self, sources: &Sources, url: &str) -> Option<String> {
        match peer::check_url(url, sources.flags.is_open_to_everyone) {
            Ok(()) => Some(url.to_owned()),
            Err(why) => {
                self.wrong(format!("`advertise` is {url:?}, and {why}"));
                None
            }
        }
    }

    fn forward(&mut self, sources: &Sources, entry: &ForwardEntry) -> Forwarding {
        if entry.to.is_empty() {
            self.wrong_with(
                "`forward.to` names no server that commits are handed in to",
                "it lists what the other servers have as `advertise`: commits, and what this server shows, go nowhere else",
            );
        }
        for url in &entry.to {
            if let Err(why) = peer::check_url(url, sources.flags.is_open_to_everyone) {
                self.wrong(format!("`forward.to` has {url:?}, and {why}"));
            }
        }
        let mut read = |key: &str, path: &Option<PathBuf>| {
            let path = resolve(sources, path.as_ref()?);
            let read = std::fs::read(&path);
            read.map_err(|e| self.wrong(format!("`forward.{key}` {} cannot be read: {e}", path.display()))).ok()
        };
        let (authority, token) = (read("ca", &entry.ca), read("token_file", &entry.token_file));
        let identity = read("cert", &entry.cert).zip(read("key", &entry.key));
        if entry.cert.is_some() != entry.key.is_some() {
            self.wrong("`forward.cert` and `forward.key` belong together, and there is only one of them");
        }
        let token = token.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        if token.as_ref().is_some_and(|token| token.is_empty() || token.contains(char::is_whitespace)) {
            self.wrong_with("`forward.token_file` holds no token", "griptrace key token -o FILE makes one");
        }
        Forwarding { to: entry.to.clone(), authority, identity, token }
    }

    fn address(&mut self, key: &str, text: &str) -> Option<SocketAddr> {
        let found = text.parse().ok();
        if found.is_none() {
            let hint = if key == "http" { ", or off" } else { "" };
            self.wrong(format!("`{key}` is {text:?}, and should be an address with a port, such as {LISTEN}{hint}"));
        }
        found
    }

    /// Others than this machine are served with TLS and by name only.
    fn guarded(&mut self, listen: Option<SocketAddr>, http: Option<SocketAddr>, tls: bool, knows: bool) {
        let is_reached = |address: &SocketAddr| !address.ip().is_loopback();
        let lacks = match (tls, knows) {
            (true, true) => None,
            (false, false) => Some("there is neither [tls] nor a [[client]]"),
            (false, true) => Some("there is no [tls]"),
            (true, false) => Some("there is no [[client]]"),
        };
        if let Some((listen, lacks)) = listen.filter(is_reached).zip(lacks) {
            self.wrong_with(
                format!("`listen` is {listen}, which others than this machine reach, and {lacks}"),
                "set [tls] and a [[client]], or give --insecure-open-to-everyone",
            );
        }
        if let Some(http) = http.filter(is_reached).filter(|_| !tls) {
            self.wrong_with(
                format!("`http` is {http}, which others than this machine reach, and there is no [tls]"),
                "set [tls], or give --insecure-open-to-everyone",
            );
        }
    }

    fn clients(&mut self, entries: &[ClientEntry]) -> Vec<Client> {
        let mut once = Once::default();
        entries.iter().map(|entry| self.client(entry, &mut once)).collect()
    }

    fn client(&mut self, entry: &ClientEntry, once: &mut Once) -> Client {
        let what = format!("client {:?}", entry.name);
        if entry.name.is_empty() {
            self.wrong("a client has the empty `name`");
        }
        if once.was_there("name", &entry.name, &what).is_some() {
            self.wrong(format!("two clients have the name {:?}", entry.name));
        }
        if entry.roles.is_empty() {
            self.wrong(format!("{what} has no `roles`: read, commit, prove, forward or admin"));
        }
        if entry.prefix.as_ref().is_some_and(|all| all.is_empty() || all.iter().any(String::is_empty)) {
            self.wrong(format!("{what} has an empty `prefix`, which would be all names: leave it out for that"));
        }
        let certificate = entry.certificate.as_deref().and_then(|text| self.certificate(&what, text));
        let token = self.token(&what, entry);
        if entry.certificate.is_none() && entry.token.is_none() {
            self.wrong(format!("{what} has neither `certificate` nor `token`"));
        }
        let by =
            [("certificate", certificate.as_ref().map(|name| format!("{name:?}"))), ("token", hex_of(token.as_ref()))];
        for (key, value) in by {
            let Some(value) = value else { continue };
            if let Some(other) = once.was_there(key, &value, &what) {
                self.wrong(format!("{other} and {what} have the same `{key}`"));
            }
        }
        let caller = Caller {
            name: entry.name.clone(),
            roles: entry.roles.clone(),
            prefixes: entry.prefix.clone().unwrap_or_default(),
            sees_details: entry.details,
        };
        Client { caller: Arc::new(caller), certificate, token }
    }

    fn certificate(&mut self, what: &str, text: &str) -> Option<CertificateName> {
        let found = match text.split_once(':') {
            Some(("sha256", hex)) => digest(hex).map(CertificateName::Digest),
            Some(("cn", name)) if !name.is_empty() => Some(CertificateName::CommonName(name.to_owned())),
            Some(("san", name)) if !name.is_empty() => Some(CertificateName::AlternativeName(name.to_owned())),
            Some(_) | None => None,
        };
        if found.is_none() {
            self.wrong(format!(
                "{what} has the `certificate` {text:?}, and should have sha256:HEX of 64 digits, cn:NAME or san:NAME"
            ));
        }
        found
    }

    fn token(&mut self, what: &str, entry: &ClientEntry) -> Option<Token> {
        let from = self.day(what, "token_from", entry.token_from.as_ref());
        let to = self.day(what, "token_to", entry.token_to.as_ref());
        let period = self.period(what, from, to);
        let Some(text) = &entry.token else {
            if entry.token_from.is_some() || entry.token_to.is_some() {
                self.wrong(format!("{what} has `token_from` or `token_to`, and no `token`"));
            }
            return None;
        };
        let found = text.strip_prefix("sha256:").and_then(digest);
        if found.is_none() {
            // What stands there may be the token itself, so it is not repeated.
            self.wrong_with(
                format!("{what} has a `token` of {} letters that is not sha256:HEX of 64 digits", text.len()),
                "griptrace key token -o FILE makes a token, and prints the line",
            );
        }
        found.map(|digest| Token { digest, period })
    }

    fn committers(&mut self, entries: &[CommitterEntry], clients: &[ClientEntry], sources: &Sources) -> Vec<Committer> {
        if entries.is_empty() {
            let own = &sources.own_committer;
            let key = RegisteredKey { key: own.key.clone(), period: Period::default() };
            return vec![Committer { name: own.name.clone(), clients: Vec::new(), keys: vec![key] }];
        }
        let mut once = Once::default();
        entries.iter().map(|entry| self.committer(entry, clients, &mut once)).collect()
    }

    fn committer(&mut self, entry: &CommitterEntry, clients: &[ClientEntry], once: &mut Once) -> Committer {
        let what = format!("committer {:?}", entry.name);
        if entry.name.is_empty() {
            self.wrong("a committer has the empty `name`");
        }
        if once.was_there("name", &entry.name, &what).is_some() {
            self.wrong(format!("two committers have the name {:?}", entry.name));
        }
        if entry.key.is_empty() {
            self.wrong(format!("{what} has no [[committer.key]]"));
        }
        for name in entry.clients.iter().filter(|name| !clients.iter().any(|client| client.name == **name)) {
            self.wrong(format!("{what} names the client {name:?}, and there is no such [[client]]"));
        }
        let keys = entry.key.iter().filter_map(|key| self.key(&what, key, once)).collect();
        Committer { name: entry.name.clone(), clients: entry.clients.clone(), keys }
    }

    fn key(&mut self, what: &str, entry: &KeyEntry, once: &mut Once) -> Option<RegisteredKey> {
        let from = self.day(what, "from", entry.from.as_ref());
        let to = self.day(what, "to", entry.to.as_ref());
        let period = self.period(what, from, to);
        match PublicKey::parse(&entry.key) {
            Ok(key) => {
                if let Some(other) = once.was_there("key", &key.to_string(), what) {
                    self.wrong(format!("{other} and {what} have the same key {key}; a key is registered once"));
                }
                Some(RegisteredKey { key, period })
            }
            Err(error) => {
                self.wrong(format!("{what} has the `key` {:?}: {error}", entry.key));
                None
            }
        }
    }

    fn day(&mut self, what: &str, key: &str, value: Option<&Value>) -> Option<Date> {
        let value = value?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let day = Date::parse(&text);
        if day.is_none() {
            self.wrong(format!("{what} has `{key}` = {text}, and should have a day, such as 2026-03-31"));
        }
        day
    }

    fn period(&mut self, what: &str, from: Option<Date>, to: Option<Date>) -> Period {
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            self.wrong(format!("{what} has something that counts from {from} to {to}, which is never"));
        }
        Period { from, to }
    }

    fn tls(&mut self, sources: &Sources, file: &File, register: &Register) -> (Option<Tls>, Vec<PathBuf>) {
        let mut files: Vec<PathBuf> = sources.file.iter().cloned().collect();
        let with_certificate = register.clients.iter().find(|client| client.certificate.is_some());
        if let Some(client) = with_certificate
            && file.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none())
        {
            let name = &client.caller.name;
            self.wrong(format!(
                "client {name:?} has a `certificate`, and [tls] has no `client_ca` to verify it against"
            ));
        }
        let Some(paths) = &file.tls else { return (None, files) };
        let paths = TlsFiles {
            cert: resolve(sources, &paths.cert),
            key: resolve(sources, &paths.key),
            client_ca: paths.client_ca.as_ref().map(|path| resolve(sources, path)),
        };
        files.extend([paths.cert.clone(), paths.key.clone()]);
        files.extend(paths.client_ca.clone());
        // Who has a token alone has no certificate to show.
        let may_lack_one = register.clients.iter().any(|client| client.certificate.is_none());
        let tls = Tls::load(&paths, may_lack_one).map_err(|error| self.wrong(format!("[tls]: {error}"))).ok();
        (tls, files)
    }

    fn rest(&mut self, file: &File) {
        let (connections, limits) = (&file.connections, &file.limits);
        let streams = usize::try_from(connections.streams_max).unwrap_or(usize::MAX);
        for (key, value) in [
            ("connections.open_max", connections.open_max),
            ("connections.streams_max", streams),
            ("limits.message_bytes_max", limits.message_bytes_max),
            ("limits.commits_at_once", limits.commits_at_once),
            ("limits.questions_at_once", limits.questions_at_once),
            ("limits.questions_per_client", limits.questions_per_client),
            ("limits.proofs_at_once", limits.proofs_at_once),
            ("limits.commits_mebibytes_max", usize::try_from(limits.commits_mebibytes_max).unwrap_or(usize::MAX)),
            ("limits.bundles_mebibytes_max", usize::try_from(limits.bundles_mebibytes_max).unwrap_or(usize::MAX)),
        ] {
            if value == 0 {
                self.wrong(format!("`{key}` is 0, and should be 1 at least"));
            }
        }
        if let Err(error) = EnvFilter::try_new(&file.log.filter) {
            self.wrong(format!("`log.filter` is {:?}: {error}", file.log.filter));
        }
        if let Some(otlp) = file.trace.otlp.as_deref().filter(|otlp| !otlp.starts_with("http://")) {
            self.wrong_with(
                format!("`trace.otlp` is {otlp:?}, and should begin with http://"),
                "spans go to a collector on this machine; let that one speak to others",
            );
        }
    }

    fn audit(&mut self, path: &Path) {
        let folder = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        if !folder.is_some_and(Path::is_dir) || path.is_dir() {
            self.wrong(format!("`audit` leads to {}, which is no file in a folder that is there", path.display()));
        }
    }
}

/// What was there before, by kind and value.
#[derive(Default)]
struct Once(HashMap<(&'static str, String), String>);

impl Once {
    /// Returns who had this value before, and remembers it.
    fn was_there(&mut self, kind: &'static str, value: &str, who: &str) -> Option<String> {
        self.0.insert((kind, value.to_owned()), who.to_owned())
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    Digest::from_hex(hex).map(|digest| *digest.as_bytes())
}

fn hex_of(token: Option<&Token>) -> Option<String> {
    token.map(|token| Digest::from_bytes(token.digest).to_string())
}
