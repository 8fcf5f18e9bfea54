//! The clients and committers of one configuration.

use std::sync::Arc;

use griptrace_core::{date::Date, id::KeyId, key::PublicKey};

use super::{
    Caller, KeyRefusal, Role,
    certificate::{CertificateName, Presented},
    token::{Period, Token, token_digest},
};

/// A client, and by what it is known.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) caller: Arc<Caller>,
    pub(crate) certificate: Option<CertificateName>,
    pub(crate) token: Option<Token>,
}

/// A committer, with all its keys.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    pub(crate) name: String,
    /// Who may send its commits; empty for every client that may commit.
    pub(crate) clients: Vec<String>,
    pub(crate) keys: Vec<RegisteredKey>,
}

/// A key of a committer, and when it counts.
#[derive(Clone, Debug)]
pub(crate) struct RegisteredKey {
    pub(crate) key: PublicKey,
    pub(crate) period: Period,
}

/// The clients and committers of one configuration.
#[derive(Clone, Default, Debug)]
pub(crate) struct Register {
    pub(crate) clients: Vec<Client>,
    pub(crate) committers: Vec<Committer>,
}

/// Why a caller is not let in. For the log alone: a caller is not told which of these it was.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Stranger {
    #[error("neither a certificate nor a token was given")]
    Nothing,
    #[error("the certificate is that of no client")]
    Certificate,
    #[error("the certificate is that of the clients {0} and {1}")]
    Ambiguous(String, String),
    #[error("the certificate of the client {0} does not count now")]
    CertificateDates(String),
    #[error("the token is that of no client")]
    Token,
    #[error("the token of the client {0} does not count today")]
    TokenDates(String),
    #[error("the certificate is that of the client {0}, and the token that of {1}")]
    Two(String, String),
}

/// Why a client is none for whom another server may hand in commits.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotNamed {
    /// There is none of this name.
    #[error("there is no client {0:?} here")]
    Nobody(String),
    /// It is known by its token alone, and that does not count today.
    #[error("the token of the client {0} does not count today")]
    TokenDates(String),
    /// What it may is too much to be had by naming it.
    #[error("the client {0} has the role admin, and commits at the server that writes alone")]
    Admin(String),
}

impl Register {
    /// Tells who calls, by the certificate of the connection and the token of the call. Where both are
    /// given, both have to be the same client's.
    pub(crate) fn caller(
        &self,
        certificate: Option<&Presented>,
        token: Option<&str>,
        now: u64,
    ) -> Result<Arc<Caller>, Stranger> {
        if self.clients.is_empty() {
            return Ok(Arc::new(local()));
        }
        let by_certificate = certificate.map(|certificate| self.by_certificate(certificate, now)).transpose()?;
        let by_token = token.map(|token| self.by_token(token, now)).transpose()?;
        match (by_certificate, by_token) {
            (Some(one), Some(other)) if one.caller.name != other.caller.name => {
                Err(Stranger::Two(one.caller.name.clone(), other.caller.name.clone()))
            }
            (Some(client), _) | (None, Some(client)) => Ok(Arc::clone(&client.caller)),
            (None, None) => Err(Stranger::Nothing),
        }
    }

    fn by_certificate(&self, presented: &Presented, now: u64) -> Result<&Client, Stranger> {
        let bears = |client: &&Client| client.certificate.as_ref().is_some_and(|name| presented.bears(name));
        let mut found = self.clients.iter().filter(bears);
        let client = found.next().ok_or(Stranger::Certificate)?;
        if let Some(other) = found.next() {
            return Err(Stranger::Ambiguous(client.caller.name.clone(), other.caller.name.clone()));
        }
        if presented.counts_at(now) { Ok(client) } else { Err(Stranger::CertificateDates(client.caller.name.clone())) }
    }

    fn by_token(&self, token: &str, now: u64) -> Result<&Client, Stranger> {
        let digest = token_digest(token);
        // All are compared, so that the time says nothing of where one was found.
        let is = |client: &&Client| client.token.as_ref().is_some_and(|token| token.is(&digest));
        let client = self.clients.iter().rfold(None, |found, client| Some(client).filter(is).or(found));
        let client = client.ok_or(Stranger::Token)?;
        let counts = client.token.as_ref().is_some_and(|token| token.period.holds(Date::from_unix(now)));
        if counts { Ok(client) } else { Err(Stranger::TokenDates(client.caller.name.clone())) }
    }

    /// Returns the client of a name, for whom another server calls. Whether its certificate is within its dates only that
    /// server sees.
    pub(crate) fn named(&self, name: &str, now: u64) -> Result<Arc<Caller>, NotNamed> {
        let nobody = || NotNamed::Nobody(name.to_owned());
        if self.clients.is_empty() {
            return Some(Arc::new(local())).filter(|local| local.name == name).ok_or_else(nobody);
        }
        let client = self.clients.iter().find(|client| client.caller.name == name).ok_or_else(nobody)?;
        if client.caller.roles.contains(&Role::Admin) {
            return Err(NotNamed::Admin(name.to_owned()));
        }
        let today = Date::from_unix(now);
        let counts = client.token.as_ref().is_some_and(|token| token.period.holds(today));
        if client.certificate.is_none() && !counts {
            return Err(NotNamed::TokenDates(name.to_owned()));
        }
        Ok(Arc::clone(&client.caller))
    }

    /// Returns the key with this hash, if the caller may commit with it now.
    pub(crate) fn committer_key(&self, id: KeyId, caller: &Caller, now: u64) -> Result<PublicKey, KeyRefusal> {
        let keys = |committer: &'_ Committer| committer.keys.iter().find(|key| key.key.id() == id).cloned();
        let mut found = self.committers.iter().filter_map(|committer| Some((committer, keys(committer)?))).peekable();
        if found.peek().is_none() {
            return Err(KeyRefusal::Unknown { key: id });
        }
        let theirs = found.find(|(committer, _)| committer.takes_from(caller));
        let Some((_, registered)) = theirs else {
            return Err(KeyRefusal::NotTheirs { key: id, client: caller.name.clone() });
        };
        let today = Date::from_unix(now);
        if registered.period.holds(today) {
            return Ok(registered.key);
        }
        let end = |day: Option<Date>, open: &str| day.map_or_else(|| open.to_owned(), |day| day.to_string());
        Err(KeyRefusal::Retired {
            key: id,
            from: end(registered.period.from, "the beginning"),
            to: end(registered.period.to, "further notice"),
            today: today.to_string(),
        })
    }
}

impl Register {
    /// Says who may do what, a line each. Of tokens it says only that there is one.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.clients.iter().map(Client::line).collect();
        if lines.is_empty() {
            lines.push("client      local: everybody on this machine, with all roles".to_owned());
        }
        for committer in &self.committers {
            let clients = if committer.clients.is_empty() {
                "every client that may commit".to_owned()
            } else {
                committer.clients.join(", ")
            };
            lines.push(format!("committer   {}: sent by {clients}", committer.name));
            let key = |key: &RegisteredKey| format!("  key       {}{}", key.key, key.period);
            lines.extend(committer.keys.iter().map(key));
        }
        lines
    }
}

impl Client {
    fn line(&self) -> String {
        let roles: Vec<String> = self.caller.roles.iter().map(ToString::to_string).collect();
        let by_certificate = self.certificate.as_ref().map(ToString::to_string);
        let by_token = self.token.as_ref().map(|token| format!("a token{}", token.period));
        let by: Vec<String> = by_certificate.into_iter().chain(by_token).collect();
        let mut line = format!("client      {}: {} by {}", self.caller.name, roles.join(" "), by.join(" or "));
        if !self.caller.prefixes.is_empty() {
            line = format!("{line}, held to {}", self.caller.prefixes.join(" "));
        }
        if !self.caller.sees_details {
            line.push_str(", without details");
        }
        line
    }
}

impl Committer {
    /// Tells whether a client may send this committer's commits.
    fn takes_from(&self, caller: &Caller) -> bool {
        if self.clients.is_empty() { caller.may(Role::Commit) } else { self.clients.contains(&caller.name) }
    }
}

/// Who calls where no client is named: a user of this machine.
fn local() -> Caller {
    let roles = vec![Role::Read, Role::Commit, Role::Prove, Role::Admin];
    Caller { name: "local".to_owned(), roles, prefixes: Vec::new(), sees_details: true }
}

#[cfg(test)]
mod tests {
    use griptrace_core::key::{Algorithm, SecretKey, Signer as _};

    use super::*;

    const NOON: u64 = 1_775_044_800; // 2026-04-01T12:00:00Z

    fn client(name: &str, certificate: Option<&str>, token: Option<(&str, Option<&str>, Option<&str>)>) -> Client {
        let day = |text: Option<&str>| text.map(|text| Date::parse(text).unwrap());
        Client {
            caller: Arc::new(Caller {
                name: name.to_owned(),
                roles: vec![Role::Commit],
                prefixes: Vec::new(),
                sees_details: true,
            }),
            certificate: certificate.map(|name| CertificateName::CommonName(name.to_owned())),
            token: token.map(|(token, from, to)| Token {
                digest: token_digest(token),
                period: Period { from: day(from), to: day(to) },
            }),
        }
    }

    fn presented(name: &str) -> Presented {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        Presented::read(certificate.der()).unwrap()
    }

    fn register() -> Register {
        let clients = vec![
            client("robot", Some("robot"), None),
            client("trainer", Some("trainer"), Some(("t", None, None))),
            client("past", None, Some(("past", None, Some("2026-03-31")))),
            client("future", None, Some(("future", Some("2026-04-02"), None))),
            client("today", None, Some(("today", Some("2026-04-01"), Some("2026-04-01")))),
            client("robot again", Some("twins"), None),
            client("robot once more", Some("twins"), None),
        ];
        Register { clients, committers: Vec::new() }
    }

    #[test]
    fn who_calls_is_told_by_certificate_and_token() {
        let name = |certificate: Option<&str>, token: Option<&str>| {
            let certificate = certificate.map(presented);
            register().caller(certificate.as_ref(), token, NOON).map(|caller| caller.name.clone())
        };
        assert_eq!(name(Some("robot"), None), Ok("robot".to_owned()));
        assert_eq!(name(None, Some("t")), Ok("trainer".to_owned()));
        assert_eq!(name(Some("trainer"), Some("t")), Ok("trainer".to_owned()));
        assert_eq!(name(None, Some("today")), Ok("today".to_owned()));
        assert_eq!(name(None, None), Err(Stranger::Nothing));
        assert_eq!(name(Some("nobody"), None), Err(Stranger::Certificate));
        assert_eq!(name(Some("nobody"), Some("t")), Err(Stranger::Certificate));
        assert_eq!(name(Some("robot"), Some("t")), Err(Stranger::Two("robot".to_owned(), "trainer".to_owned())));
        assert_eq!(name(Some("robot"), Some("wrong")), Err(Stranger::Token));
        assert_eq!(name(None, Some("past")), Err(Stranger::TokenDates("past".to_owned())));
        assert_eq!(name(None, Some("future")), Err(Stranger::TokenDates("future".to_owned())));
        // rcgen's certificates end with the year 4096.
        let late = register().caller(Some(&presented("robot")), None, 70_000_000_000).map(|caller| caller.name.clone());
        assert_eq!(late, Err(Stranger::CertificateDates("robot".to_owned())));
        let twins = Stranger::Ambiguous("robot again".to_owned(), "robot once more".to_owned());
        assert_eq!(name(Some("twins"), None), Err(twins));
    }

    #[test]
    fn without_clients_everybody_is_local_and_may_do_all() {
        let caller = Register::default().caller(None, Some("anything"), NOON).unwrap();
        assert_eq!(caller.name, "local");
        assert!([Role::Read, Role::Commit, Role::Prove, Role::Admin].iter().all(|role| caller.may(*role)));
    }

    #[test]
    fn who_could_not_call_itself_and_who_may_do_all_is_named_by_nobody() {
        let mut register = register();
        register.clients.push(client("both", Some("both"), Some(("both", None, Some("2026-03-31")))));
        let mut boss = client("boss", Some("boss"), None);
        boss.caller = Arc::new(Caller { roles: vec![Role::Commit, Role::Admin], ..Caller::clone(&boss.caller) });
        register.clients.push(boss);
        let named = |name: &str| register.named(name, NOON).map(|caller| caller.name.clone());
        for name in ["robot", "trainer", "today", "both"] {
            assert_eq!(named(name), Ok(name.to_owned()));
        }
        for name in ["past", "future"] {
            assert_eq!(named(name), Err(NotNamed::TokenDates(name.to_owned())));
        }
        assert_eq!(register.named("past", NOON - 86_400).map(|caller| caller.name.clone()), Ok("past".to_owned()));
        assert_eq!(named("boss"), Err(NotNamed::Admin("boss".to_owned())));
        for name in ["nobody", "local", ""] {
            assert_eq!(named(name), Err(NotNamed::Nobody(name.to_owned())));
        }
        // Where nobody is known, everybody is this one.
        assert!(Register::default().named("local", NOON).is_ok() && Register::default().named("boss", NOON).is_err());
    }

    #[test]
    fn a_key_counts_for_its_clients_between_its_days() {
        let key = |seed: u8| SecretKey::from_bytes(Algorithm::Ed25519, &[seed; 32]).unwrap().public_key();
        let day = |text: &str| Some(Date::parse(text).unwrap());
        let registered = |seed, from, to| RegisteredKey { key: key(seed), period: Period { from, to } };
        let committers = vec![
            Committer {
                name: "Gripper Maker".to_owned(),
                clients: vec!["robot".to_owned()],
                keys: vec![registered(1, None, day("2026-03-31")), registered(2, day("2026-04-01"), None)],
            },
            Committer { name: "Anybody".to_owned(), clients: Vec::new(), keys: vec![registered(3, None, None)] },
        ];
        let register = Register { clients: register().clients, committers };
        let (robot, trainer) = (&register.clients[0].caller, &register.clients[1].caller);
        let reader = Caller { roles: vec![Role::Read], ..Caller::clone(trainer) };
        let ask = |seed, caller: &Caller, now| register.committer_key(key(seed).id(), caller, now);
        assert_eq!(ask(2, robot, NOON), Ok(key(2)));
        assert_eq!(ask(3, trainer, NOON), Ok(key(3)));
        assert_eq!(ask(1, robot, NOON - 86_400), Ok(key(1)), "the last day counts");
        let retired = ask(1, robot, NOON).unwrap_err().to_string();
        assert!(retired.ends_with("counts from the beginning to 2026-03-31, and today is 2026-04-01"), "{retired}");
        assert!(matches!(ask(2, robot, NOON - 86_400), Err(KeyRefusal::Retired { .. })), "the first day counts");
        let not_theirs = |seed| KeyRefusal::NotTheirs { key: key(seed).id(), client: "trainer".to_owned() };
        assert_eq!(ask(2, trainer, NOON), Err(not_theirs(2)));
        assert_eq!(ask(3, &reader, NOON), Err(not_theirs(3)), "only who may commit");
        assert_eq!(ask(4, robot, NOON), Err(KeyRefusal::Unknown { key: key(4).id() }));
    }
}
