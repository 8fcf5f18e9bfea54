//! Who may not, may not: each refusal by its code and its reason, and nothing is written.

mod bytes;
mod callers;
mod commits;
mod requests;
mod roles;
mod tenants;

use core::fmt::Write as _;
use std::fs;

use griptrace_core::{
    digest::Digest,
    id::NodeId,
    key::{Algorithm, SecretKey, Signer as _},
};
use griptrace_proto::v1;
use griptrace_tests::seed::{Rng, Seed};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use crate::{
    holding::factory::committer,
    served::{Authority, Client, Counts, Desk, Endpoints, Lineage, Maker, Server, committer_lines, reason, with},
};

/// What stands in details of the south, and what nobody else is ever told.
const SECRET: &str = "south/press-line-9";
/// A client with a certificate, and without bounds.
const MAKER: &str = "maker";
/// Clients with tokens: name, roles, and the rest of their settings. A token is the name and this.
const CLIENTS: &[(&str, &str, &str)] = &[
    ("north", "\"read\", \"commit\", \"prove\"", "prefix = [\"north/\"]"),
    ("south", "\"read\", \"commit\", \"prove\"", "prefix = [\"south/\"]"),
    ("reader", "\"read\"", ""),
    ("writer", "\"commit\"", ""),
    ("prover", "\"prove\"", ""),
    ("owner", "\"admin\"", ""),
    ("blind", "\"read\", \"prove\"", "details = false"),
    ("past", "\"admin\"", "token_to = 2020-01-31"),
    ("future", "\"admin\"", "token_from = 2100-01-01"),
];

fn token(client: &str) -> String {
    format!("{client}-has-this-token")
}

/// A service with TLS that knows several clients, and a lineage of the south's in it.
struct Town {
    desk: Desk,
    server: Server,
    authority: Authority,
    lineage: Lineage,
    /// A source with the name that nobody else is told.
    secret: NodeId,
    maker: Maker,
}

/// Keys beside the factory's: of nobody, of the south, one that was given up, one for later.
fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &[number; 32]).unwrap()
}
const NOBODYS: u8 = 50;
const SOUTHS: u8 = 51;
const RETIRED: u8 = 52;
const FUTURE: u8 = 53;

impl Town {
    async fn new(rng: Rng) -> Self {
        Self::with_limits(rng, "").await
    }

    async fn with_limits(mut rng: Rng, limits: &str) -> Self {
        let (desk, authority) = (Desk::new(), Authority::new());
        let (certificate, key) = authority.sign("the server", &["localhost"], Counts::Now);
        for (name, text) in [("server.pem", certificate), ("server.key", key), ("ca.pem", authority.pem())] {
            fs::write(desk.folder().join(name), text).unwrap();
        }
        let server = desk.serve(&settings(limits));
        let maker = Maker::new(&desk, Seed::from_number(rng.next_u64()).rng());
        let (secret, lineage) = (NodeId::new(Digest::ZERO), Lineage::default());
        let mut town = Self { desk, server, authority, lineage, secret, maker };
        let client = town.maker_client().await;
        town.lineage = Lineage::commit_named(&client, &mut town.maker, "south/").await;
        let secret = town.maker.nodes.source(SECRET);
        town.maker.commit(&client, core::slice::from_ref(&secret)).await;
        town.secret = secret.id();
        town
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints::plain(self.server.grpc).tls(self.authority.client())
    }

    /// Connects as one of the clients that have tokens.
    async fn client(&self, name: &str) -> Client {
        self.endpoints().token(&token(name)).connect().await.unwrap()
    }

    /// Connects as the one that has a certificate.
    async fn maker_client(&self) -> Client {
        let identity = self.authority.sign(MAKER, &[], Counts::Now);
        let tls = with(self.authority.client(), &identity);
        Endpoints::plain(self.server.grpc).tls(tls).connect().await.unwrap()
    }

    /// Returns the size of the log.
    async fn size(&self) -> u64 {
        let asked = v1::GetCheckpointRequest::default();
        self.client("owner").await.proofs.get_checkpoint(asked).await.unwrap().into_inner().tree_size
    }

    /// Checks why something was refused, and that the refusal says nothing that is not the caller's business.
    fn check(&self, what: &str, refused: &Status, code: Code, why: &str) {
        assert_eq!(reason(refused), (code, why.to_owned()), "{what}: {refused:?}");
        let folder = self.desk.folder().to_str().unwrap();
        for secret in [folder, ".griptrace", SECRET, "press-line", "-has-this-token"] {
            let said = format!("{refused:?}");
            assert!(!said.contains(secret), "{what}: the refusal says {secret}: {said}");
        }
    }
}

fn settings(limits: &str) -> String {
    let mut text = format!(
        "[tls]\ncert = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"ca.pem\"\n[limits]\n{limits}\n\
         [[client]]\nname = \"{MAKER}\"\ncertificate = \"cn:{MAKER}\"\nroles = [\"read\", \"commit\", \"prove\"]\n"
    );
    for (name, roles, rest) in CLIENTS {
        let digest = Digest::from_bytes(Sha256::digest(token(name).as_bytes()).into());
        writeln!(text, "[[client]]\nname = \"{name}\"\ntoken = \"sha256:{digest}\"\nroles = [{roles}]\n{rest}")
            .unwrap();
    }
    text.push_str(&committer_lines("Maker", &committer().public_key(), &[]));
    text.push_str(&committer_lines("South", &key(SOUTHS).public_key(), &["south"]));
    text.push_str(&committer_lines("Retired", &key(RETIRED).public_key(), &[]));
    text.push_str("to = 2020-01-31\n");
    text.push_str(&committer_lines("Future", &key(FUTURE).public_key(), &[]));
    text.push_str("from = 2100-01-01\n");
    text
}
