//! Committing to a log on a server: signed here, sent until it is answered, and the receipt checked.

use core::{cell::RefCell, time::Duration};
use std::time::Instant;

use griptrace_core::{
    digest::Digest,
    id::{NodeId, StatusKey},
    key::Signer,
    tree::Rfc9162,
};
use griptrace_proto::v1::{self, commit_service_client::CommitServiceClient};
use griptrace_store::{Receipt, record::NodeRecord, signed_commit};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use super::{
    Remote,
    check::{digests, status_key},
    connection::{busy_for, client},
    lie::Lie,
    trouble::{is_lost, trouble},
};
use crate::{clock, error::CommandError};

/// How long one try may take: the server answers when the commit is under a checkpoint.
const TRY_MAX: Duration = Duration::from_secs(120);
/// How long a commit is tried anew after the first answer was lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first pause; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

impl Remote {
    /// Commits nodes, all at once, under the committer's key.
    pub(crate) fn commit(
        &self,
        records: &[NodeRecord],
        signer: &dyn Signer,
        issuer: &str,
    ) -> Result<Receipt, CommandError> {
        let failed = RefCell::new(None);
        let marked = |id: &NodeId| -> Option<StatusKey> {
            let node = self.node(id).unwrap_or_else(|error| {
                failed.borrow_mut().get_or_insert(error);
                None
            });
            node.map(|node| status_key(*id, &node.core))
        };
        let entry = signed_commit(self.home(), records, &marked, signer, issuer, clock::now());
        // Without the marked node nobody knows under which key its mark stands.
        if let Some(error) = failed.into_inner() {
            return Err(error);
        }
        let entry = entry.map_err(|e| CommandError::because("cannot commit", e))?;
        let message = v1::CommitRequest {
            entry: entry.clone().into(),
            nodes: records.iter().map(|record| record.to_bytes().into()).collect(),
        };
        let answer = self.send(&message).map_err(|status| self.refused(signer, &status))?;
        let receipt = answer.receipt.ok_or_else(|| Lie::malformed("the receipt", "there is none"))?;
        let may_be = "it may be in the log all the same: griptrace log shows; recording the same again is safe";
        self.check_receipt(&entry, &receipt).map_err(|error| error.with_hint(may_be))?;
        Ok(Receipt {
            index: receipt.index,
            ids: records.iter().map(NodeRecord::id).collect(),
            inclusion: digests("a receipt", &receipt.log_path)?,
            checkpoint: receipt.checkpoint,
            size: receipt.tree_size,
            is_old: receipt.already_recorded,
        })
    }

    /// Sends a commit until it is answered: the same bytes are the same commit, however often they come.
    fn send(&self, message: &v1::CommitRequest) -> Result<v1::CommitResponse, Status> {
        let (mut lost, mut pause, mut busy) = (None, PAUSE, 0_u32);
        loop {
            let answer = self.connection.call(TRY_MAX, async {
                let mut request = Request::new(message.clone());
                request.set_timeout(TRY_MAX);
                Ok(client!(CommitServiceClient, self.connection.caller()).commit(request).await?.into_inner())
            });
            let status = match answer {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            if let Some(pause) = busy_for(&status, busy) {
                busy = busy.saturating_add(1);
                self.connection.pause(pause);
                continue;
            }
            let since = lost.get_or_insert_with(Instant::now);
            if !is_lost(&status) || since.elapsed().saturating_add(pause) >= PATIENCE {
                return Err(status);
            }
            self.connection.pause(pause);
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    /// Says why a commit is not in the log, or that nobody knows.
    fn refused(&self, signer: &dyn Signer, status: &Status) -> CommandError {
        let error = trouble(self.url(), status).while_doing("cannot commit");
        if is_lost(status) {
            return error
                .with_hint("it may be in the log all the same: griptrace log shows; recording the same again is safe");
        }
        let details = status.get_error_details();
        let reason = details.error_info().map_or("", |info| info.reason.as_str());
        if reason == "KEY_RETIRED" {
            return error
                .with_hint("put the key that followed it into the settings of this folder: `committer` and `[keys]`");
        }
        if reason == "KEY_UNKNOWN" {
            return error
                .with_hint(format!("the operator registers committers; your public key is {}", signer.public_key()));
        }
        error
    }

    /// Checks that a receipt proves this entry, under a checkpoint of the history that was seen.
    fn check_receipt(&self, entry: &[u8], receipt: &v1::Receipt) -> Result<(), CommandError> {
        let sent = Rfc9162::leaf_hash(entry);
        if *receipt.commit_digest != *sent.as_bytes() {
            let found = Digest::from_slice(&receipt.commit_digest);
            let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
            return Err(Lie::Receipt { sent, found }.into());
        }
        let under = self.checkpoint(&receipt.checkpoint)?;
        under.at(receipt.tree_size)?;
        under.holds("the commit", entry, receipt.index, &receipt.log_path)?;
        self.connection.ask_beyond(under.size.max(self.pinned.size));
        self.check_history(&under)?;
        self.keep(&under)
    }
}
