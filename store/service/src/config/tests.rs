use std::fs;

use griptrace_core::key::{Algorithm, SecretKey, Signer as _};
use tempfile::TempDir;

use super::*;
use crate::access::{CertificateName, Role};

fn key(seed: u8) -> PublicKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &[seed; 32]).unwrap().public_key()
}

/// A folder with a `serve.toml` of this text.
fn sources(text: &str) -> (TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("serve.toml");
    fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        folder: dir.path().to_path_buf(),
        environment: Vec::new(),
        flags: Flags::default(),
        own_committer: OwnCommitter { name: "Gripper Maker".to_owned(), key: key(1) },
        has_log_key: true,
        clock: || 1_775_044_800,
    };
    (dir, sources)
}

fn loaded(text: &str) -> Result<Settings, Vec<String>> {
    let (_dir, sources) = sources(text);
    Settings::load(sources).map_err(texts)
}

fn texts(error: ConfigError) -> Vec<String> {
    error.problems.into_iter().map(|problem| problem.text).collect()
}

const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn client(name: &str, rest: &str) -> String {
    format!("[[client]]\nname = \"{name}\"\nroles = [\"read\"]\n{rest}\n")
}

#[test]
fn nothing_said_is_this_machine_alone_with_the_stores_own_committer() {
    let settings = loaded("").unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:7400");
    assert_eq!(settings.http.unwrap().to_string(), "127.0.0.1:7401");
    assert!(settings.tls.is_none() && settings.register.clients.is_empty() && settings.trace.is_none());
    let committer = &settings.register.committers[0];
    assert_eq!((committer.name.as_str(), &committer.keys[0].key), ("Gripper Maker", &key(1)));
    assert!(settings.audit.ends_with("audit.jsonl"));
}

#[test]
fn everything_that_can_be_said_is_read() {
    let text = format!(
        "listen = '127.0.0.1:0'\nhttp = 'off'\naudit = 'who.jsonl'\n[log]\nformat = 'json'\nfilter = 'warn,griptrace=debug'\n\
         [trace]\notlp = 'http://127.0.0.1:4317'\n[limits]\nmessage_bytes_max = 1000\n[connections]\nopen_max = 9\n\
         [[client]]\nname = 'robot'\ntoken = '{DIGEST}'\ntoken_from = 2026-01-01\ntoken_to = '2026-12-31'\n\
         roles = ['commit', 'prove']\nprefix = ['plant-7/']\ndetails = false\n\
         [[committer]]\nname = 'Plant 7'\nclients = ['robot']\n[[committer.key]]\nkey = '{}'\nto = 2026-03-31\n\
         [[committer.key]]\nkey = '{}'\nfrom = 2026-04-01\n",
        key(2),
        key(3)
    );
    let settings = loaded(&text).unwrap();
    assert_eq!((settings.http, settings.connections.open_max, settings.connections.streams_max), (None, 9, 128));
    assert_eq!(settings.log, Log { format: LogFormat::Json, filter: "warn,griptrace=debug".to_owned() });
    assert_eq!((settings.trace.as_deref(), settings.limits.message_bytes_max), (Some("http://127.0.0.1:4317"), 1000));
    let robot = &settings.register.clients[0];
    assert_eq!(robot.caller.roles, [Role::Commit, Role::Prove]);
    assert_eq!(
        (robot.caller.prefixes.as_slice(), robot.caller.sees_details),
        (["plant-7/".to_owned()].as_slice(), false)
    );
    assert_eq!(robot.token.as_ref().unwrap().period.to_string(), " from 2026-01-01 to 2026-12-31");
    let keys: Vec<String> = settings.register.committers[0].keys.iter().map(|key| key.period.to_string()).collect();
    assert_eq!(keys, [" to 2026-03-31", " from 2026-04-01"]);
    assert!(settings.lines().iter().all(|line| !line.contains("00112233")), "what is shown holds no digest of a token");
}

#[test]
fn what_concerns_other_servers_is_read_and_no_token_is_shown() {
    let (dir, sources) = sources(
        "advertise = 'https://log-1.example:7400'\n[forward]\nto = ['https://log-2.example:7400']\nca = 'ca.pem'\ntoken_file = 'token'\n",
    );
    fs::write(dir.path().join("ca.pem"), "an authority").unwrap();
    fs::write(dir.path().join("token"), "hush\n").unwrap();
    let settings = Settings::load(sources).unwrap();
    assert_eq!(settings.advertised(), "https://log-1.example:7400");
    let forward = settings.forward.as_ref().unwrap();
    assert_eq!((forward.token.as_deref(), forward.authority.as_deref()), (Some("hush"), Some(&b"an authority"[..])));
    assert_eq!(forward.to, ["https://log-2.example:7400"]);
    assert!(!format!("{:?}", settings.forward).contains("hush"));
    assert!(settings.lines().iter().all(|line| !line.contains("hush")));
    assert_eq!(loaded("").unwrap().advertised(), "");

    for (text, problem) in [
        ("advertise = 'http://log-1.example:7400'", "in plain text"),
        ("advertise = 'log-1.example:7400'", "should begin with https://"),
        ("advertise = \"https://a\\nb\"", "nothing else"),
        ("[forward]\nca = 'serve.toml'", "`forward.to` names no server"),
        ("[forward]\nto = []", "`forward.to` names no server"),
        (
            "[forward]\nto = ['http://log-2.example:7400']",
            "`forward.to` has \"http://log-2.example:7400\", and would be",
        ),
        ("[forward]\nto = ['https://log-2.example/']", "nothing else"),
        ("[forward]\ntoken_file = 'nowhere'", "cannot be read"),
        ("[forward]\ncert = 'serve.toml'", "belong together"),
    ] {
        let found = loaded(text).unwrap_err();
        assert!(found.iter().any(|found| found.contains(problem)), "{text}: {found:?}");
    }
}

#[test]
fn whatever_waits_for_the_store_leaves_threads_to_what_tends_it() {
    for (questions, watchers, proofs) in [(256, 256, 2), (1000, 10, 3), (1, 4000, 1)] {
        let text = format!(
            "[limits]\nquestions_at_once = {questions}\nwatchers_max = {watchers}\nproofs_at_once = {proofs}\n"
        );
        let threads = loaded(&text).unwrap().blocking_threads_max();
        assert!(threads >= questions + watchers + proofs + http::READERS_MAX + 10, "{threads}");
    }
}

/// No prefix is all names: a list that was emptied by mistake must not come to mean that.
#[test]
fn an_empty_prefix_is_refused() {
    for empty in ["[]", "['']", "['plant-7/', '']"] {
        let found = loaded(&client("robot", &format!("token = '{DIGEST}'\nprefix = {empty}"))).unwrap_err();
        assert!(found.iter().any(|text| text.contains("empty `prefix`")), "{empty}: {found:?}");
    }
}

#[test]
fn certificates_are_named_in_three_ways() {
    let (_dir, sources) = sources("");
    let named = |certificate: &str| {
        let text = client("robot", &format!("certificate = \"{certificate}\""));
        let mut file: file::File = toml::from_str(&text).unwrap();
        file.listen = Some("127.0.0.1:1".to_owned());
        let found = texts(check::check(sources.clone(), file).unwrap_err());
        assert!(found.last().unwrap().contains("`client_ca`"), "{found:?}");
        found.len()
    };
    for good in [DIGEST, "cn:robot 7", "san:spiffe://example/robot"] {
        assert_eq!(named(good), 1, "{good}");
    }
    let in_words = [CertificateName::CommonName("a".to_owned()), CertificateName::AlternativeName("b".to_owned())];
    assert_eq!(in_words.map(|name| name.to_string()), ["cn:a", "san:b"]);
}

#[test]
fn what_is_wrong_is_named_with_its_values() {
    let token = format!("token = \"{DIGEST}\"");
    let with_token = |name: &str| client(name, &token);
    let committer =
        |name: &str, key: &str| format!("[[committer]]\nname = \"{name}\"\n[[committer.key]]\nkey = \"{key}\"\n");
    for (text, expected) in [
        ("listen = 'here'".to_owned(), "`listen` is \"here\", and should be an address with a port"),
        ("listen = '127.0.0.1:5'\nhttp = '127.0.0.1:5'".to_owned(), "`listen` and `http` are both 127.0.0.1:5"),
        (
            "listen = '0.0.0.0:5'".to_owned(),
            "`listen` is 0.0.0.0:5, which others than this machine reach, and there is neither",
        ),
        (
            format!("listen = '[::]:5'\n{}", with_token("a")),
            "`listen` is [::]:5, which others than this machine reach, and there is no [tls]",
        ),
        (
            "http = '0.0.0.0:5'".to_owned(),
            "`http` is 0.0.0.0:5, which others than this machine reach, and there is no [tls]",
        ),
        (with_token("a") + &client("a", "token = \"sha256:11\""), "two clients have the name \"a\""),
        (with_token("a") + &with_token("b"), "client \"a\" and client \"b\" have the same `token`"),
        (client("a", ""), "client \"a\" has neither `certificate` nor `token`"),
        (client("a", "token = \"secret\""), "client \"a\" has a `token` of 6 letters that is not sha256:HEX"),
        (client("a", "certificate = \"robot\""), "client \"a\" has the `certificate` \"robot\", and should have"),
        (client("a", "certificate = \"cn:robot\""), "client \"a\" has a `certificate`, and [tls] has no `client_ca`"),
        (client("a", &format!("{token}\ntoken_to = 2026-13-01")), "serve.toml"),
        (
            client("a", &format!("{token}\ntoken_to = 'soon'")),
            "client \"a\" has `token_to` = soon, and should have a day",
        ),
        (
            client("a", &format!("{token}\ntoken_from = 2026-04-02\ntoken_to = 2026-04-01")),
            "counts from 2026-04-02 to 2026-04-01",
        ),
        (with_token("a").replace("[\"read\"]", "[]"), "client \"a\" has no `roles`"),
        (with_token("a").replace("read", "write"), "unknown variant `write`"),
        (committer("c", "rsa:1"), "committer \"c\" has the `key` \"rsa:1\""),
        ("[[committer]]\nname = 'c'".to_owned(), "committer \"c\" has no [[committer.key]]"),
        (
            committer("c", &key(1).to_string()) + &committer("d", &key(1).to_string()),
            "committer \"c\" and committer \"d\" have the same key",
        ),
        ("[[committer]]\nname = 'c'\nclients = ['x']".to_owned(), "committer \"c\" names the client \"x\""),
        ("[tls]\ncert = 'no.pem'\nkey = 'no.key'".to_owned(), "no.pem cannot be read"),
        ("[log]\nfilter = 'a=b=c'".to_owned(), "`log.filter` is \"a=b=c\""),
        ("[trace]\notlp = 'https://x'".to_owned(), "`trace.otlp` is \"https://x\", and should begin with http://"),
        ("[connections]\nstreams_max = 0".to_owned(), "`connections.streams_max` is 0, and should be 1 at least"),
        ("audit = 'no/such/folder'".to_owned(), "`audit` leads to "),
        ("lisen = '127.0.0.1:1'".to_owned(), "unknown field `lisen`"),
        ("[tls]\ncert = 'a'\nkey = 'b'\nca = 'c'".to_owned(), "unknown field `ca`"),
    ] {
        let (_dir, sources) = sources(&text);
        let error = Settings::load(sources).expect_err(&text).to_string();
        assert!(error.contains(expected), "{text}\ngave {error}\nand not {expected}");
        assert!(error.contains("serve.toml: "), "{error}");
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let problems = loaded("listen = 'x'\nhttp = 'y'\n[[client]]\nname = ''\nroles = []\n").unwrap_err();
    assert_eq!(problems.len(), 5, "{problems:?}");
}

#[test]
fn others_are_served_openly_only_when_it_is_said() {
    let (_dir, mut sources) = sources("listen = '0.0.0.0:7400'\nhttp = '0.0.0.0:7401'");
    assert_eq!(Settings::load(sources.clone()).unwrap_err().problems.len(), 2);
    sources.flags.is_open_to_everyone = true;
    assert_eq!(Settings::load(sources).unwrap().listen.to_string(), "0.0.0.0:7400");
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let (_dir, mut sources) =
        sources("listen = '127.0.0.1:1'\nhttp = '127.0.0.1:2'\naudit = 'a'\n[log]\nfilter = 'warn'");
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    sources.environment = vec![
        variable("LISTEN", "127.0.0.1:3"),
        variable("HTTP", "127.0.0.1:4"),
        variable("LOG__FILTER", "debug"),
        variable("CONNECTIONS__OPEN_MAX", "7"),
        variable("CLIENT", &format!("[{{ name = 'a', roles = ['read'], token = '{DIGEST}' }}]")),
    ];
    sources.flags.listen = Some("127.0.0.1:5".to_owned());
    let settings = Settings::load(sources).unwrap();
    assert_eq!((settings.listen.port(), settings.http.unwrap().port()), (5, 4));
    assert_eq!((settings.log.filter.as_str(), settings.connections.open_max), ("debug", 7));
    assert_eq!(settings.register.clients[0].caller.name, "a");
    assert!(settings.audit.ends_with("a"));
}

#[test]
fn a_variable_that_does_not_fit_is_named() {
    for (name, value, expected) in [
        ("LISEN", "x", "GRIPTRACE_SERVE__LISEN: "),
        ("CONNECTIONS__OPEN_MAX", "many", "GRIPTRACE_SERVE__CONNECTIONS__OPEN_MAX: "),
        ("LISTEN__PORT", "1", "GRIPTRACE_SERVE__LISTEN__PORT: `listen` is no table"),
        ("TLS__", "x", "GRIPTRACE_SERVE__TLS__: the name is no path of keys"),
        ("TLS__CA", "x", "GRIPTRACE_SERVE__TLS__CA: "),
    ] {
        let (_dir, mut sources) = sources("listen = '127.0.0.1:1'");
        sources.environment = vec![(name.to_owned(), value.to_owned())];
        let error = Settings::load(sources).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    // A second line in a value is no second key.
    let (_dir, mut sources) = sources("");
    sources.environment = vec![("LOG__FILTER".to_owned(), "1\nformat = 'json'".to_owned())];
    let error = Settings::load(sources).unwrap_err().to_string();
    assert!(error.contains("`log.filter` is \"1\\nformat"), "{error}");
}

/// It said that it writes when it is its turn, and never did.
#[test]
fn who_has_no_key_of_the_log_is_told_so() {
    let line = |has_log_key, is_replica| {
        let (_dir, mut sources) = sources("");
        sources.has_log_key = has_log_key;
        sources.flags.is_replica = is_replica;
        let settings = Settings::load(sources).unwrap();
        assert_eq!(settings.may_write(), has_log_key && !is_replica);
        settings.lines().into_iter().find_map(|line| line.strip_prefix("writes      ").map(str::to_owned)).unwrap()
    };
    assert_eq!(
        line(true, false),
        "when it is its turn, if the key that it has is the log's: that shows when it starts"
    );
    assert_eq!(line(false, true), "never: it is a replica");
    assert!(line(false, false).contains("no key of the log"));
}
