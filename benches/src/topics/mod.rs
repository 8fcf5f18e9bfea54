//! The topics, one a file, in the order in which they are measured.

mod audit;
mod cold;
mod commits;
mod disk;
mod fsck;
mod hash_large;
mod hash_many;
mod index;
mod mlmd;
mod proof_size;
mod prove;
mod scale;
mod service;
mod update_size;
mod verify;

use crate::{Failure, child::Job, report::Report, serving, setup::Setup};

/// A topic: its name, and what measures it.
pub(crate) type Topic = (&'static str, fn(&Setup, &mut Report) -> Result<(), Failure>);

pub(crate) const TOPICS: &[Topic] = &[
    ("hash-large", hash_large::measure),
    ("hash-many", hash_many::measure),
    ("commit-one", commits::one),
    ("commit-64", commits::many),
    ("commit-bulk", commits::bulk),
    ("index", index::measure),
    ("cold", cold::measure),
    ("prove", prove::measure),
    ("verify", verify::measure),
    ("proof-size", proof_size::measure),
    ("update-size", update_size::measure),
    ("disk", disk::measure),
    ("fsck", fsck::measure),
    ("audit", audit::measure),
    ("service", service::measure),
    ("scale", scale::measure),
    ("mlmd", mlmd::measure),
];

/// What is done in processes of their own.
pub(crate) const JOBS: &[Job] = &[
    ("load", index::load),
    ("index", index::fill),
    ("sled", index::sled_alone),
    ("ancestors", cold::ancestors),
    ("verify", verify::verified),
    ("fsck", fsck::checked),
    ("audit", audit::judged),
    ("scale-grow", scale::grown),
    ("scale-open", scale::opened),
    ("serve", serving::serve),
    ("service-commits", service::clients::commits),
    ("service-wire", service::clients::wire),
    ("service-bulk", service::clients::bulk),
    ("service-ask", service::clients::ask),
];
