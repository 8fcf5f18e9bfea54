//! Google's and Microsoft's buckets: the same calls, in their words.

use griptrace_store::bucket::{Bucket, Put, Version, When};

use super::{
    fake::{Does, Fake, error},
    hasty,
};
use crate::BucketStore;

const GOOGLES: &str = "ETag: \"e\"\r\nx-goog-generation: 7\r\nLast-Modified: Sat, 28 Nov 2026 12:00:00 GMT\r\n";
const AZURES: &str = "ETag: \"e\"\r\nLast-Modified: Sat, 28 Nov 2026 12:00:00 GMT\r\n";

fn google(fake: &Fake) -> BucketStore {
    let options = hasty()
        .with("GOOGLE_BASE_URL", &fake.endpoint())
        .with("GOOGLE_BEARER_TOKEN", "token")
        .with("GOOGLE_ALLOW_HTTP", "true");
    BucketStore::open("gs://logs/maker", options).unwrap()
}

fn azure(fake: &Fake) -> BucketStore {
    let options = hasty()
        .with("AZURE_STORAGE_ACCOUNT_NAME", "maker")
        .with("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
        .with("AZURE_ENDPOINT", &fake.endpoint())
        .with("AZURE_ALLOW_HTTP", "true");
    BucketStore::open("az://logs/maker", options).unwrap()
}

#[test]
fn google_compares_generations() {
    let fake = Fake::new(|number, _| match number {
        0 | 1 => Does::Says(200, GOOGLES, String::new()),
        2 => error(412, "PreconditionFailed", ""),
        _ => error(403, "AccessDenied", ""),
    });
    let bucket = google(&fake);
    let version = Version("7".into());
    assert_eq!(bucket.put("head", b"x", &When::Absent).unwrap(), Put::Done(version.clone()));
    assert_eq!(bucket.get("head", None).unwrap().unwrap().version, version);
    assert_eq!(bucket.put("head", b"y", &When::Is(version)).unwrap(), Put::Refused);
    let said = bucket.remove("head").unwrap_err().to_string();
    assert!(said.ends_with("grant the key storage.objects.delete on it"), "{said}");
    let conditions: Vec<Option<String>> =
        fake.asked().iter().map(|asked| asked.header("x-goog-if-generation-match").map(str::to_owned)).collect();
    assert_eq!(conditions, [Some("0".into()), None, Some("7".into()), None]);
}

#[test]
fn azure_compares_etags() {
    let fake = Fake::new(|number, _| match number {
        0 | 1 => Does::Says(201, AZURES, String::new()),
        2 => error(409, "BlobAlreadyExists", ""),
        3 => error(412, "ConditionNotMet", ""),
        _ => error(403, "AuthorizationPermissionMismatch", ""),
    });
    let bucket = azure(&fake);
    let version = Version("\"e\"".into());
    assert_eq!(bucket.put("head", b"x", &When::Absent).unwrap(), Put::Done(version.clone()));
    assert_eq!(bucket.get("head", None).unwrap().unwrap().version, version);
    assert_eq!(bucket.put("head", b"y", &When::Absent).unwrap(), Put::Refused);
    assert_eq!(bucket.put("head", b"y", &When::Is(version)).unwrap(), Put::Refused);
    let said = bucket.list("head", None, 2).unwrap_err().to_string();
    assert!(said.ends_with("grant the key the role Storage Blob Data Contributor on the container"), "{said}");
    let asked = fake.asked();
    let conditions: Vec<_> =
        asked.iter().map(|asked| (asked.header("if-none-match"), asked.header("if-match"))).collect();
    assert_eq!(conditions, [(Some("*"), None), (None, None), (Some("*"), None), (None, Some("\"e\"")), (None, None)]);
    assert_eq!(bucket.requests().unwrap().lists, 1);
}
