//! Which server, and how to get in: flags before the environment, and that before the settings.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{environment, error::CommandError};

/// A server in place of a store on this machine
#[derive(Clone, Default, Debug, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Use the log of this server [or `GRIPTRACE_SERVER`]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The certificate of who signed the server's [or `GRIPTRACE_CA`; default: the system's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The certificate to show to the server [or `GRIPTRACE_CLIENT_CERT`]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) client_cert: Option<PathBuf>,
    /// The key of that certificate [or `GRIPTRACE_CLIENT_KEY`]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) client_key: Option<PathBuf>,
    /// A file with the token to show to the server [or the token itself in `GRIPTRACE_TOKEN`]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Call http:// on another machine: whoever is on the way reads everything, the token too
    #[arg(long, global = true)]
    pub(crate) plain_http: bool,
    /// Whether a store was named, so that the environment names no server.
    #[arg(skip)]
    pub(crate) is_store_named: bool,
}

/// The server of a client's folder, as its settings name it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerConfig {
    /// Its address.
    pub(crate) url: String,
    /// The key of its log, as it was pinned.
    pub(crate) log: String,
    /// Who signed its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
    /// The certificate to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_cert: Option<PathBuf>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_key: Option<PathBuf>,
    /// Where the token is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    /// Whether http:// to another machine is meant.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) plain_http: bool,
}

/// A server to call.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) client_cert: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) token: Option<Zeroizing<String>>,
    /// The log's key that the settings pin.
    pub(crate) log: Option<String>,
}

impl ServerArgs {
    /// Returns the server's address, if one was named.
    pub(crate) fn url(&self) -> Option<String> {
        let elsewhere = || if self.is_store_named { None } else { environment::server() };
        self.server.clone().or_else(elsewhere).map(|url| url.trim_end_matches('/').to_owned())
    }

    /// Returns the server that is meant: the one named, or that of the settings.
    pub(crate) fn target(&self, config: Option<&ServerConfig>) -> Result<Option<Target>, CommandError> {
        let named = self.url();
        // What the settings say of one server, its token above all, is not for another.
        let config = config.filter(|config| named.as_ref().is_none_or(|url| *url == config.url));
        let Some(url) = named.or_else(|| config.map(|config| config.url.clone())) else { return Ok(None) };
        let plain = self.plain_http || config.is_some_and(|config| config.plain_http);
        check_url(&url, plain)?;
        let path = |flag: &Option<PathBuf>, name, of: fn(&ServerConfig) -> Option<PathBuf>| {
            flag.clone().or_else(|| environment::path(name)).or_else(|| config.and_then(of))
        };
        let token = match (&self.token_file, environment::token(), config.and_then(|config| config.token_file.as_ref()))
        {
            (Some(path), _, _) | (None, None, Some(path)) => Some(read_token(path)?),
            (None, token, _) => token,
        };
        Ok(Some(Target {
            ca: path(&self.ca, "GRIPTRACE_CA", |config| config.ca.clone()),
            client_cert: path(&self.client_cert, "GRIPTRACE_CLIENT_CERT", |config| config.client_cert.clone()),
            client_key: path(&self.client_key, "GRIPTRACE_CLIENT_KEY", |config| config.client_key.clone()),
            token,
            log: config.map(|config| config.log.clone()),
            url,
        }))
    }
}

/// Reads the token to show to a server.
pub(crate) fn read_token(path: &Path) -> Result<Zeroizing<String>, CommandError> {
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|e| CommandError::file("read the token", path, e))?);
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(CommandError::failed(format!("{} holds no token", path.display()))
            .with_hint("a token file is one line, as `griptrace key token` writes it"));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

/// Refuses what is no address of a server, and plain http over a network.
pub(crate) fn check_url(url: &str, plain: bool) -> Result<(), CommandError> {
    let wrong = |why: &str| CommandError::failed(format!("{url:?} is no address of a server: {why}"));
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it has no https:// or http://"))?;
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() || authority != rest || authority.contains('@') {
        return Err(wrong("after the scheme come a host and a port, and nothing else"));
    }
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(host, _)| host);
    let host = bracketed.unwrap_or_else(|| authority.split(':').next().unwrap_or_default());
    let is_loopback = host == "localhost" || host.parse().is_ok_and(|ip: core::net::IpAddr| ip.is_loopback());
    match scheme {
        "https" => Ok(()),
        "http" if is_loopback || plain => Ok(()),
        "http" => Err(CommandError::failed(format!("{url} would be called in plain text over the network"))
            .with_hint("https:// is meant, or the server is reached through a tunnel to this machine")
            .with_hint("--plain-http calls it all the same: whoever is on the way reads everything")),
        _ => Err(wrong("its scheme is neither https nor http")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ServerConfig {
        ServerConfig {
            url: "https://log.example:7400".to_owned(),
            log: "log.example+00000000+AAAA".to_owned(),
            ca: Some("ca.pem".into()),
            client_cert: None,
            client_key: None,
            token_file: None,
            plain_http: false,
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in ["http://127.0.0.1:1", "http://localhost:7400", "http://[::1]:7400", "https://log.example"] {
            assert!(check_url(good, false).is_ok(), "{good}");
        }
        for bad in
            ["log.example:7400", "ftp://x", "https://", "https://a/b", "https://a@b", "http://127.0.0.1.example:1"]
        {
            assert!(check_url(bad, false).is_err(), "{bad}");
        }
        assert!(check_url("http://log.example:7400", false).is_err());
        assert!(check_url("http://log.example:7400", true).is_ok());
    }

    #[test]
    fn the_settings_of_one_server_are_not_for_another() {
        let own = ServerArgs::default().target(Some(&config())).unwrap().unwrap();
        assert_eq!((own.url.as_str(), own.log.is_some()), ("https://log.example:7400", true));
        let other = ServerArgs { server: Some("https://other.example/".to_owned()), ..ServerArgs::default() };
        let target = other.target(Some(&config())).unwrap().unwrap();
        assert_eq!((target.url.as_str(), target.ca, target.log), ("https://other.example", None, None));
    }
}
