//! The service as its callers see it, over real connections.

mod ending;
mod secure;
mod site;
mod world;
