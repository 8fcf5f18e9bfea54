//! The service as its callers see it, over real connections.

mod ending;
mod leaving;
mod secure;
mod several;
mod site;
mod tenant;
mod watcher;
mod world;
