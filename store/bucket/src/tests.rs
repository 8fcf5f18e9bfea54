//! The bucket against a service that says what a test wants.

mod answers;
mod conditions;
mod fake;
mod fitness;
mod kin;
mod network;

use core::time::Duration;

use crate::{BucketStore, Limits, Options, tests::fake::Fake};

/// Opens `s3://logs/maker` at a service, with little patience.
fn open(fake: &Fake) -> BucketStore {
    BucketStore::open("s3://logs/maker", options(&fake.endpoint())).unwrap()
}

fn options(endpoint: &str) -> Options {
    hasty()
        .with("AWS_ENDPOINT_URL", endpoint)
        .with("AWS_ALLOW_HTTP", "true")
        .with("AWS_ACCESS_KEY_ID", "id")
        .with("AWS_SECRET_ACCESS_KEY", "secret")
        .with("AWS_REGION", "us-east-1")
}

/// Without a key.
fn hasty() -> Options {
    let mut options = Options::default();
    options.limits = Limits {
        connect: Duration::from_secs(1),
        request: Duration::from_secs(1),
        retries: 2,
        patience: Duration::from_secs(2),
        part: 1000,
        ..Limits::default()
    };
    options
}
