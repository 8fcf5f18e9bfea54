//! A log's bucket in S3 and its kin: [`Bucket`](griptrace_store::bucket::Bucket) over HTTP.
//!
//! `object_store` knows the services' requests, signatures and credentials; what carries them is our own
//! (`wire`), because it counts, waits as long as we say, and keeps what a service said when it refused, of which
//! `said` makes a sentence that tells what to do.
//!
//! **Tries.** A request that met 5xx, 408, 429, a broken connection or silence is sent again, with growing pauses
//! that are drawn by lot, as [`Limits`] allow. That goes for conditional writes too. So a write whose answer was lost is
//! refused at its second try, by its own first one: [`Put::Refused`](griptrace_store::bucket::Put::Refused) says that
//! what is there has to be compared with what was wanted. 409 on a conditional write (S3: another write was
//! under way) is tried again as well, and is an error if it stays.
#![forbid(unsafe_code)]

mod address;
mod calls;
mod counted;
mod object;
mod options;
mod probe;
mod said;
mod service;
mod wire;

#[cfg(test)]
mod tests;

pub use self::{
    calls::is_within_a_call,
    object::BucketStore,
    options::{Limits, Options},
    probe::probe,
};
