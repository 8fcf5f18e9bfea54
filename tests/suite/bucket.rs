//! A log's bucket: what every bucket does, and a real service with S3's interface.

mod conformance;
mod copies;
mod erasing;
mod loss;
mod operations;
mod program;
mod real;

use core::time::Duration;

use griptrace_bucket::{BucketStore, Limits, Options};

use crate::seaweed::{BUCKET, KEY, SECRET, Seaweed};

/// Opens a folder of the service's bucket.
pub(crate) fn open(seaweed: &Seaweed, folder: &str) -> BucketStore {
    BucketStore::open(&format!("s3://{BUCKET}/{folder}"), options(seaweed)).unwrap()
}

/// Waits for a machine that does much besides.
fn options(seaweed: &Seaweed) -> Options {
    let mut options = Options::default();
    let long = Duration::from_secs(60);
    options.limits = Limits { request: long, patience: long, retries: 100, ..Limits::default() };
    options
        .with("AWS_ENDPOINT_URL", &seaweed.endpoint())
        .with("AWS_ALLOW_HTTP", "true")
        .with("AWS_ACCESS_KEY_ID", KEY)
        .with("AWS_SECRET_ACCESS_KEY", SECRET)
}
