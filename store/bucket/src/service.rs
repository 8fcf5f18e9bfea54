//! The service behind an address: what is asked, signed and understood is `object_store`'s.

use std::{io, sync::Arc};

use object_store::{
    ClientConfigKey, ObjectStore,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    list::PaginatedListStore,
};

use crate::{
    address::{Address, Kind},
    options::Options,
    wire::Wire,
};

/// A bucket's two faces.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) names: Arc<dyn PaginatedListStore>,
}

impl Service {
    pub(crate) fn new(address: &Address, options: &Options, wire: &Wire) -> io::Result<Self> {
        let made = match address.kind {
            Kind::S3 => amazon(address, options, wire),
            Kind::Google => google(address, options, wire),
            Kind::Azure => azure(address, options, wire),
        };
        made.map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("cannot make sense of how to reach {address}: {error}"))
        })
    }

    fn of<S: ObjectStore + PaginatedListStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { objects: Arc::<S>::clone(&store), names: store }
    }
}

fn amazon(address: &Address, options: &Options, wire: &Wire) -> object_store::Result<Service> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in options.settings().filter(|(name, _)| name.starts_with("aws_")) {
        if let Ok(key) = name.parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let builder = builder
        .with_bucket_name(&address.bucket)
        .with_checksum_algorithm(Checksum::SHA256)
        // Not every kin of S3 removes many at once.
        .with_disable_bulk_delete(true)
        .with_retry(options.limits.tries())
        .with_http_connector(wire.clone());
    Ok(Service::of(builder.build()?))
}

fn google(address: &Address, options: &Options, wire: &Wire) -> object_store::Result<Service> {
    let mut builder = GoogleCloudStorageBuilder::new();
    for (name, value) in options.settings().filter(|(name, _)| name.starts_with("google_")) {
        if let Ok(key) = name.parse::<GoogleConfigKey>() {
            builder = builder.with_config(key, value);
        } else if name == "google_allow_http" {
            builder = builder.with_config(GoogleConfigKey::Client(ClientConfigKey::AllowHttp), value);
        }
    }
    let builder =
        builder.with_bucket_name(&address.bucket).with_retry(options.limits.tries()).with_http_connector(wire.clone());
    Ok(Service::of(builder.build()?))
}

fn azure(address: &Address, options: &Options, wire: &Wire) -> object_store::Result<Service> {
    let mut builder = MicrosoftAzureBuilder::new();
    for (name, value) in options.settings().filter(|(name, _)| name.starts_with("azure_")) {
        if let Ok(key) = name.parse::<AzureConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let builder = builder
        .with_container_name(&address.bucket)
        .with_retry(options.limits.tries())
        .with_http_connector(wire.clone());
    Ok(Service::of(builder.build()?))
}

impl core::fmt::Debug for Service {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The other face is the same store.
        f.debug_tuple("Service").field(&self.objects.to_string()).finish()
    }
}
