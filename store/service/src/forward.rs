//! Handing commits in to the server that writes: as they came, signed by their committer, in the name of the client that
//! sent them.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use griptrace_core::{digest::Digest, tree::Rfc9162};
use griptrace_proto::v1::{self, commit_service_client::CommitServiceClient};
use griptrace_store::{Receipt, Store};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_types::StatusExt as _;

use crate::{
    access::Role,
    call::Call,
    config::Forwarding,
    layer::MIN_SIZE,
    status::{self, FORWARD_REFUSED, broken, chain},
};

/// The header that names the client for whom another server hands in a commit. Names have any letters, and headers whose own names
/// end like this have any bytes.
pub(crate) const ON_BEHALF_OF: &str = "griptrace-on-behalf-of-bin";
/// The reason of a commit that could not be handed in.
const FORWARD_FAILED: &str = "FORWARD_FAILED";
/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// After which silence, while a commit waits, the other one has to show that it is there; and how long it has for that.
const ALIVE: Duration = Duration::from_secs(1);
/// How long is waited before a commit that brought no answer is sent again, unless the standing changes before.
pub(crate) const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Why a commit is not decided.
#[derive(Debug)]
pub(crate) struct Undecided(pub(crate) Status);

/// Hands in commits.
#[derive(Debug)]
pub(crate) struct Forwarder {
    settings: Forwarding,
    /// The connection to who wrote last.
    way: Mutex<Option<(String, Channel)>>,
}

impl Forwarder {
    pub(crate) const fn new(settings: Forwarding) -> Self {
        Self { settings, way: Mutex::new(None) }
    }

    /// Hands in a commit at an address, in the name of its sender. An answer that the writer gave for good comes back as it is.
    ///
    /// # Errors
    /// [`Undecided`] if there was no such answer: the commit may be in the log or not, and may be sent again.
    pub(crate) async fn send(
        &self,
        address: &str,
        call: &Call,
        commit: v1::CommitRequest,
    ) -> Result<Result<v1::Receipt, Status>, Undecided> {
        // The bucket says so, and nobody signed it.
        if !self.settings.to.iter().any(|to| to == address) {
            tracing::error!(
                address,
                "the address of the server that writes is not in `forward.to`: nothing is sent there"
            );
            return Ok(Err(not_listed(address)));
        }
        let way = self.way(address).map_err(Undecided)?;
        let request = self.request(call, commit).map_err(Undecided)?;
        let mut client = CommitServiceClient::new(way).max_encoding_message_size(usize::MAX);
        match client.commit(request).await {
            Ok(answer) => match answer.into_inner().receipt {
                Some(receipt) => Ok(Ok(receipt)),
                None => Err(Undecided(broken(format!("{address} answered without a receipt")))),
            },
            Err(answer) if is_final(&answer) => Ok(Err(as_it_came(&answer))),
            Err(answer) if is_about_us(&answer) => Ok(Err(not_let_in(address, &answer))),
            Err(answer) => Err(Undecided(no_answer(address, &answer))),
        }
    }

    fn request(&self, call: &Call, commit: v1::CommitRequest) -> Result<Request<v1::CommitRequest>, Status> {
        let mut request = Request::new(commit);
        let headers = request.metadata_mut();
        headers.insert_bin(ON_BEHALF_OF, MetadataValue::from_bytes(call.caller.name.as_bytes()));
        if let Ok(id) = call.id.parse::<MetadataValue<Ascii>>() {
            headers.insert("x-request-id", id);
        }
        headers.insert(MIN_SIZE, call.min_size.into());
        if let Some(token) = &self.settings.token {
            let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(broken)?;
            value.set_sensitive(true);
            headers.insert("authorization", value);
        }
        Ok(request)
    }

    /// Returns the connection to an address, which is made when it is first used.
    fn way(&self, address: &str) -> Result<Channel, Status> {
        let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, channel)) = way.as_ref().filter(|(known, _)| known == address) {
            return Ok(channel.clone());
        }
        let channel = self.connect(address)?;
        *way = Some((address.to_owned(), channel.clone()));
        Ok(channel)
    }

    fn connect(&self, address: &str) -> Result<Channel, Status> {
        let wrong = |why: String| {
            tracing::error!(address, why, "the server that writes cannot be called");
            let text = format!("the server that writes, {address}, cannot be called from this one");
            status::status(Code::Unavailable, FORWARD_FAILED, text)
        };
        let mut endpoint = Endpoint::from_shared(address.to_owned()).map_err(|e| wrong(chain(&e)))?;
        endpoint = endpoint.connect_timeout(CONNECT_MAX).tcp_nodelay(true);
        endpoint = endpoint.http2_keep_alive_interval(ALIVE).keep_alive_timeout(ALIVE);
        if address.starts_with("https:") {
            endpoint = endpoint.tls_config(self.tls()).map_err(|e| wrong(chain(&e)))?;
        }
        Ok(endpoint.connect_lazy())
    }

    fn tls(&self) -> ClientTlsConfig {
        let config = match &self.settings.authority {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match &self.settings.identity {
            Some((cert, key)) => config.identity(Identity::from_pem(cert, key)),
            None => config,
        }
    }
}

/// Checks that what a writer gave for a commit proves that it is in the log: whoever sent it believes this server no more than
/// that, and this one the other no more.
///
/// # Errors
/// [`Undecided`] if it does not, or not as far as the log is known here.
pub(crate) fn check_receipt(
    store: &Store,
    address: &str,
    entry: &[u8],
    receipt: &v1::Receipt,
) -> Result<(), Undecided> {
    proven(store, entry, receipt).map_err(|why| {
        tracing::error!(address, why, "the server that writes gave a receipt that does not prove the commit");
        let text = format!(
            "the server that writes, {address}, gave a receipt that does not prove the commit; sending this again is safe"
        );
        Undecided(status::soon(Code::Unavailable, FORWARD_FAILED, text))
    })
}

fn proven(store: &Store, entry: &[u8], receipt: &v1::Receipt) -> Result<(), String> {
    if *receipt.commit_digest != *Rfc9162::leaf_hash(entry).as_bytes() {
        return Err("it is the receipt of another commit".to_owned());
    }
    let path = receipt.log_path.iter().map(|hash| Digest::from_slice(hash));
    let inclusion = path.collect::<Option<_>>().ok_or("its path has a hash that is none")?;
    let receipt = Receipt {
        index: receipt.index,
        ids: Vec::new(),
        inclusion,
        checkpoint: receipt.checkpoint.clone(),
        size: receipt.tree_size,
        is_old: receipt.already_recorded,
    };
    store.check_receipt(entry, &receipt).map_err(|error| chain(&error))
}

/// Tells whether an answer is the writer's, and about the commit: of which it won't say anything else when it is sent again.
fn is_final(answer: &Status) -> bool {
    let details = answer.get_error_details();
    let is_ours = details.error_info().is_some_and(|info| info.domain == status::DOMAIN);
    let is_open = matches!(answer.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Internal);
    is_ours && !is_open && !is_about_us(answer)
}

/// Tells whether the writer does not let this server hand in commits, which is not the sender's fault.
fn is_about_us(answer: &Status) -> bool {
    let details = answer.get_error_details();
    let is_refused = details.error_info().is_some_and(|info| info.reason == FORWARD_REFUSED);
    is_refused || answer.code() == Code::Unauthenticated
}

/// Returns what the writer told, without what belongs to its connection.
fn as_it_came(answer: &Status) -> Status {
    Status::with_details(answer.code(), answer.message(), answer.details().to_vec().into())
}

fn not_listed(address: &str) -> Status {
    let text = format!("the server that writes, {address}, is none of those that this one hands commits in to");
    status::soon(Code::Unavailable, FORWARD_FAILED, text)
}

/// Waiting helps nobody here: the operators have to do something. It is not the sender's fault.
fn not_let_in(address: &str, answer: &Status) -> Status {
    let why = answer.message();
    tracing::error!(address, why, "the server that writes does not take commits that this one hands in");
    let text = format!(
        "the server that writes, {address}, takes no commit that this one hands in: {why}; until its operator gives this server the role {} there, commits go to it directly",
        Role::Forward
    );
    status::status(Code::FailedPrecondition, FORWARD_REFUSED, text)
}

/// Returns what a try is counted as: `receipt`, `refused` with what is wrong with the commit, `denied` where nothing may be handed
/// in or is sent, `unanswered`.
pub(crate) fn outcome(sent: &Result<Result<v1::Receipt, Status>, Undecided>) -> &'static str {
    let is_denied = |answer: &Status| {
        let details = answer.get_error_details();
        details.error_info().is_some_and(|info| [FORWARD_REFUSED, FORWARD_FAILED].contains(&info.reason.as_str()))
    };
    match sent {
        Ok(Ok(_)) => "receipt",
        Ok(Err(answer)) if is_denied(answer) => "denied",
        Ok(Err(_)) => "refused",
        Err(_) => "unanswered",
    }
}

fn no_answer(address: &str, answer: &Status) -> Status {
    let why = core::error::Error::source(answer).map_or_else(|| answer.message().to_owned(), chain);
    tracing::warn!(address, code = ?answer.code(), why, "the server that writes did not decide on a commit");
    let text = format!("the server that writes, {address}, did not answer; sending this again is safe");
    status::soon(Code::Unavailable, FORWARD_FAILED, text)
}
