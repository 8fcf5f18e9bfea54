//! The commands, one a file: an `Args` whose doc comments are the help text, and `run`.

pub(crate) mod add;
pub(crate) mod adopt;
pub(crate) mod assess;
pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod fsck;
pub(crate) mod impact;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod inventory;
pub(crate) mod key;
mod key_change;
mod key_record;
pub(crate) mod log;
pub(crate) mod mark;
pub(crate) mod policy;
pub(crate) mod prove;
pub(crate) mod record;
pub(crate) mod serve;
pub(crate) mod ship;
pub(crate) mod show;
pub(crate) mod trace;
pub(crate) mod trust;
pub(crate) mod verify;
pub(crate) mod witness;
