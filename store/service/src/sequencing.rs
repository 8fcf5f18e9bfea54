//! One commit on its way to its receipt, whoever writes: taken in here, or handed in to the server that writes.
//!
//! A commit is signed by its committer and is in the log once, however often it comes. So whatever brings no answer is done
//! again with the same bytes, here or there, until there is a receipt, a refusal, or no time left.

use std::sync::Arc;

use griptrace_proto::v1;
use griptrace_store::Standing;
use prost::Message as _;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::Status;

use crate::{
    admission::Committing,
    call::Call,
    committing::{Answer, committer_key},
    forward::{AGAIN_AFTER, Forwarder, Undecided, check_receipt, outcome},
    shared::Shared,
    standing::Stand,
    status::{not_writer, silent},
};

/// A commit, until it has its answer.
struct OnItsWay<'a> {
    shared: &'a Shared,
    call: &'a Call,
    request: v1::CommitRequest,
    /// Held until the answer, and by whoever took the commit in.
    place: Arc<Committing>,
}

/// Takes one commit to its receipt.
pub(crate) async fn commit(shared: &Shared, call: &Call, request: v1::CommitRequest) -> Result<v1::Receipt, Status> {
    let place = Arc::new(call.in_time(shared.admission.commit(request.encoded_len())).await??);
    let commit = OnItsWay { shared, call, request, place };
    let end = call.end_of_one(&shared.limits);
    let mut stands = shared.post.stands();
    let mut why = not_writer("");
    loop {
        let stand = stands.borrow_and_update().clone();
        let tried = tokio::select! {
            tried = commit.once(&stand, end) => tried,
            // Whoever has it may not answer any more.
            Ok(()) = stands.changed() => continue,
            () = sleep_until(end) => return Err(why),
        };
        match tried {
            Ok(answer) => return answer,
            Err(Undecided(status)) => why = status,
        }
        tokio::select! {
            Ok(()) = stands.changed() => {}
            () = sleep(AGAIN_AFTER) => {}
            () = sleep_until(end) => return Err(why),
        }
    }
}

impl OnItsWay<'_> {
    /// Tries once.
    async fn once(&self, stand: &Stand, end: Instant) -> Result<Answer, Undecided> {
        let Stand { standing, is_silent } = stand;
        match (standing, &self.shared.forwarder) {
            // Somebody else may write by now, and here nobody would hear of it.
            (Standing::Writer, _) if *is_silent => Ok(Err(silent())),
            (Standing::Writer, _) => {
                if let Err(behind) = self.shared.at_least(self.call.min_size, end).await {
                    return Ok(Err(behind));
                }
                let (place, caller) = (Arc::clone(&self.place), Arc::clone(&self.call.caller));
                let taken = self.shared.committers.take(place, caller, self.request.clone()).await;
                self.unless_forwarded(taken)
            }
            (Standing::Reader(writer), _) if self.call.is_forwarded => Ok(Err(not_writer(writer))),
            (Standing::Reader(writer), _) if writer.is_empty() || *writer == self.shared.advertised => {
                if *is_silent {
                    Ok(Err(silent()))
                } else {
                    Err(Undecided(not_writer("")))
                }
            }
            (Standing::Reader(writer), None) => Ok(Err(not_writer(writer))),
            (Standing::Reader(writer), Some(forwarder)) => {
                let sent = self.forward(forwarder, writer).await;
                if *is_silent { sent.or_else(|Undecided(status)| Ok(Err(status))) } else { sent }
            }
        }
    }

    /// Who handed a commit in finds the next writer itself.
    fn unless_forwarded(&self, taken: Result<Answer, Undecided>) -> Result<Answer, Undecided> {
        if self.call.is_forwarded { Ok(taken.unwrap_or_else(|Undecided(status)| Err(status))) } else { taken }
    }

    async fn forward(&self, forwarder: &Forwarder, writer: &str) -> Result<Answer, Undecided> {
        let (shared, caller) = (self.shared, &self.call.caller);
        let now = (shared.clock)();
        if let Err(why) = shared.registry.named(&caller.name, now) {
            // The other one would refuse to take it in this client's name.
            tracing::info!(%why, writer, "a commit is not handed in");
            return Ok(Err(not_writer(writer)));
        }
        if let Err(refused) = committer_key(&shared.registry, caller, &self.request, now) {
            return Ok(Err(refused));
        }
        let mut sent = forwarder.send(writer, self.call, self.request.clone()).await;
        if let Ok(Ok(receipt)) = &sent {
            match check_receipt(&shared.store, writer, &self.request.entry, receipt) {
                Ok(()) => shared.post.hears_of(receipt.tree_size, &receipt.checkpoint),
                Err(undecided) => sent = Err(undecided),
            }
        }
        shared.metrics.forwarded(outcome(&sent));
        sent
    }
}
