//! The log over HTTP, for the world: exactly the resources of C2SP tlog-tiles, and three for those who
//! run the service. Nodes are never served.

mod newest;
mod readers;
mod resources;
mod serve;

pub(crate) use readers::READERS_MAX;
pub(crate) use resources::{Site, router};
pub(crate) use serve::serve;
