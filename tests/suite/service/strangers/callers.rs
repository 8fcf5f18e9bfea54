//! Who is not known gets no further than the door.

use griptrace_proto::v1;
use griptrace_tests::seed::Seed;
use tonic::Code;

use super::{MAKER, Town, token};
use crate::served::{Authority, Client, Counts, Endpoints, block_on, with};

async fn ask(mut client: Client) -> Result<u64, tonic::Status> {
    let asked = v1::GetCheckpointRequest::default();
    client.proofs.get_checkpoint(asked).await.map(|answer| answer.into_inner().tree_size)
}

#[test]
fn who_is_not_known_is_not_let_in() {
    block_on(async {
        let town = Town::new(Seed::for_test("not_let_in").rng()).await;
        let size = town.size().await;
        // So the doors open for whom they should.
        assert_eq!(ask(town.maker_client().await).await.unwrap(), size);
        let none = "neither a client certificate nor a bearer token was given";
        let other = "the credentials are not accepted";
        let tokens = [
            (None, none),
            (Some(String::from("no-token-of-anybody")), other),
            (Some(token("past")), other),
            (Some(token("future")), other),
            (Some(token("Reader")), other),
            (Some(format!("{} ", token("reader")).to_uppercase()), other),
        ];
        for (given, told) in tokens {
            let endpoints = town.endpoints();
            let endpoints = given.as_ref().map_or(endpoints.clone(), |token| endpoints.token(token));
            let refused = ask(endpoints.connect().await.unwrap()).await.unwrap_err();
            town.check(&format!("{given:?}"), &refused, Code::Unauthenticated, "");
            assert_eq!(refused.message(), told, "{given:?}");
        }
        // A certificate of ours, of nobody whom the settings name; and one beside another's token.
        let unknown = with(town.authority.client(), &town.authority.sign("nobody", &[], Counts::Now));
        let own = with(town.authority.client(), &town.authority.sign(MAKER, &[], Counts::Now));
        let plain = Endpoints::plain(town.server.grpc);
        for endpoints in [plain.clone().tls(unknown), plain.clone().tls(own).token(&token("north"))] {
            let refused = ask(endpoints.connect().await.unwrap()).await.unwrap_err();
            town.check("a certificate", &refused, Code::Unauthenticated, "");
            assert_eq!(refused.message(), other);
        }
        assert_eq!(town.size().await, size);
    });
}

/// A certificate that the authority did not sign, or that does not count today, ends the connection itself.
#[test]
fn a_certificate_of_a_stranger_ends_the_connection() {
    block_on(async {
        let town = Town::new(Seed::for_test("ends_the_connection").rng()).await;
        let identities = [
            ("of another authority", Authority::new().sign(MAKER, &[], Counts::Now)),
            ("of the past", town.authority.sign(MAKER, &[], Counts::Past)),
            ("of later", town.authority.sign(MAKER, &[], Counts::Later)),
        ];
        for (what, identity) in identities {
            let tls = with(town.authority.client(), &identity);
            let endpoints = Endpoints::plain(town.server.grpc).tls(tls).token(&token("owner"));
            // TLS 1.3 tells a client of it only after its first bytes.
            if let Ok(client) = endpoints.connect().await {
                let refused = ask(client).await.expect_err(what);
                let ended = [Code::Unknown, Code::Unavailable, Code::Cancelled];
                assert!(ended.contains(&refused.code()), "{what}: {refused:?}");
            }
        }
        let plain = Endpoints::plain(town.server.grpc).token(&token("owner"));
        let answered = match plain.connect().await {
            Ok(client) => ask(client).await.is_ok(),
            Err(_) => false,
        };
        assert!(!answered, "without TLS nobody is answered");
        assert!(ask(town.maker_client().await).await.is_ok());
    });
}
