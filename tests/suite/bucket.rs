//! A log's bucket: what every bucket does, and a real service with S3's interface.

mod conformance;
mod real;

use griptrace_bucket::{BucketStore, Options};

use crate::seaweed::{BUCKET, KEY, SECRET, Seaweed};

/// Opens a folder of the service's bucket.
fn open(seaweed: &Seaweed, folder: &str) -> BucketStore {
    BucketStore::open(&format!("s3://{BUCKET}/{folder}"), options(seaweed)).unwrap()
}

fn options(seaweed: &Seaweed) -> Options {
    Options::default()
        .with("AWS_ENDPOINT_URL", &seaweed.endpoint())
        .with("AWS_ALLOW_HTTP", "true")
        .with("AWS_ACCESS_KEY_ID", KEY)
        .with("AWS_SECRET_ACCESS_KEY", SECRET)
}
