//! One log in a folder, in a bucket in memory and in a real one: the same entries, checkpoints, bundles and answers, to the byte.

use std::sync::Arc;

use griptrace_store::{
    OpenOptions, Store,
    bucket::{Bucket, MemoryBucket},
};
use griptrace_tests::skipped;
use tempfile::TempDir;

use super::{
    answers::Answers,
    factory::{NOW, genesis, log_signer},
    quiet,
    rich::{InFolder, Place, make_in},
};
use crate::{bucket, seaweed::Seaweed};

struct InBucket {
    bucket: Arc<dyn Bucket>,
    local: TempDir,
}

impl InBucket {
    fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self { bucket, local: tempfile::tempdir().unwrap() }
    }
}

impl Place for InBucket {
    fn begin(&self, nonce: u8) -> Store {
        Store::init_in(Arc::clone(&self.bucket), self.local.path(), &genesis(nonce), log_signer(), NOW).unwrap()
    }

    fn again(&self) -> Store {
        let options = OpenOptions { signer: Some(log_signer()), ..OpenOptions::default() };
        let store = Store::open_in(Arc::clone(&self.bucket), self.local.path(), options).unwrap();
        store.merge_segments().unwrap();
        store
    }
}

/// Makes the log in a bucket, and asks everything of its writer, and of another machine that only reads.
fn assert_alike(bucket: Arc<dyn Bucket>) {
    let (in_folder, questions) = make_in(&mut InFolder::new());
    let expected = Answers::of(&in_folder, &questions);
    let mut place = InBucket::new(Arc::clone(&bucket));
    let (writer, questions) = make_in(&mut place);
    writer.merge_segments().unwrap();
    assert_ne!(bucket.list("blocks", None, 1).unwrap(), [""; 0], "a block was filled");
    let found = Answers::of(&writer, &questions);
    assert_eq!(expected.differing(&found), [""; 0], "asked of the writer");
    drop(writer);
    let elsewhere = tempfile::tempdir().unwrap();
    let reader = Store::open_in(bucket, elsewhere.path(), OpenOptions::default()).unwrap();
    assert_eq!(expected.differing(&Answers::of(&reader, &questions)), [""; 0], "asked of a reader");
    assert!(reader.check_snapshot().unwrap());
    let report = reader.fsck(&quiet).unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
}

#[test]
fn a_log_is_the_same_in_a_folder_and_in_a_bucket() {
    assert_alike(Arc::new(MemoryBucket::default()));
}

#[test]
fn a_log_is_the_same_in_a_real_bucket() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    assert_alike(Arc::new(bucket::open(&seaweed, "same")));
}
