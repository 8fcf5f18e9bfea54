//! What a client that is held to some names costs.

use core::time::Duration;
use std::time::Instant;

use griptrace_core::{
    cbor::encode,
    details::slot,
    digest::Digest,
    node::{Core, DigestStrength, Held, Kind, Origin},
    value::Value,
};
use griptrace_store::record::NodeRecord;

use super::world::World;
use crate::{
    access::{Caller, Role},
    scope::check_scope,
};

/// Each node was looked for among all others, before the signature was checked: one commit of many nodes, signed by
/// nobody, kept one of the threads that take commits busy for hours.
#[test]
fn a_commit_of_many_nodes_is_looked_through_once() {
    let world = World::new();
    let prefixes = vec!["north/".to_owned()];
    let caller = Caller { name: "north".to_owned(), roles: vec![Role::Commit], prefixes, sees_details: true };
    let value = encode(&Value::text("north/camera"));
    let node = |number: u64| {
        let mut core = Core::new(Kind::Dataset, world.store.home(), [0; 16], Digest::ZERO);
        (core.origin, core.held) = (Some(Origin::Collected), Some(Held::Here));
        core.strength = Some(DigestStrength::None);
        core.nonce[..8].copy_from_slice(&number.to_le_bytes());
        let values = [(slot(Kind::Dataset, "name").unwrap(), value.clone())].into();
        NodeRecord::bare(encode(&core), values, None, None)
    };
    let nodes: Vec<NodeRecord> = (0..100_000).map(node).collect();
    let begun = Instant::now();
    check_scope(&world.store, &caller, &nodes).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15), "it took {:?}", begun.elapsed());
}
