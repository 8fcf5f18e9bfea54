//! Plants as they are: logs in buckets and logs on servers, of which one may go down at any time.

use core::{net::SocketAddr, time::Duration};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    thread,
    time::Instant,
};

use griptrace_tests::skipped;
use serde_json::Value as Json;
use tempfile::TempDir;

use super::forward::Forward;
use crate::{
    clients::let_in,
    process::{Running, program, said},
    seaweed::{BUCKET, KEY, SECRET, Seaweed},
    served::{Authority, Counts},
};

/// What each plant records, in the order in which one stands on the other.
const PLANTS: [(&str, &str); 3] = [
    ("camera", include_str!("../../support/fleet/camera.toml")),
    ("training", include_str!("../../support/fleet/training.toml")),
    ("packaging", include_str!("../../support/fleet/packaging.toml")),
];
/// All that is at the three plants in the end.
const ALL: [&str; 8] = [
    "camera backbone",
    "camera pretrain",
    "camera wrist",
    "packaging first",
    "packaging package",
    "packaging packed",
    "training grasp",
    "training train",
];
/// How long anything may take that is bound to happen.
const PATIENCE: Duration = Duration::from_secs(60);
const LISTEN: &str = "listen = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n";

/// Three plants, and the hub that knows them all.
struct Fleet {
    folder: TempDir,
    /// Which log is where, as `fleet.toml` says it.
    plants: BTreeMap<&'static str, String>,
    servers: BTreeMap<&'static str, Server>,
    /// Held as long as buckets are used.
    _seaweed: Option<Arc<Seaweed>>,
}

/// A plant's server, and the two addresses that lead to it.
struct Server {
    process: Option<Running>,
    grpc: Forward,
    http: Forward,
}

impl Fleet {
    fn new(seaweed: Option<Arc<Seaweed>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hub = folder.path().join("hub");
        fs::create_dir(&hub).unwrap();
        fs::write(hub.join("policy.toml"), include_str!("../../../policies/cn-industrial-reference.toml")).unwrap();
        Self { folder, plants: BTreeMap::new(), servers: BTreeMap::new(), _seaweed: seaweed }
    }

    fn at(&self, plant: &str) -> PathBuf {
        self.folder.path().join(plant)
    }

    fn command(&self, plant: &str, args: &str) -> Command {
        let args: Vec<&str> = args.split_whitespace().collect();
        let mut command = program(&self.at(plant), &args);
        command.env("AWS_ALLOW_HTTP", "true").env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    }

    fn run(&self, plant: &str, args: &str) -> Output {
        self.command(plant, args).output().unwrap()
    }

    #[track_caller]
    fn works(&self, plant: &str, args: &str) -> String {
        let finished = self.run(plant, args);
        assert!(finished.status.success(), "griptrace {args}\n{}", said(&finished));
        String::from_utf8(finished.stdout).unwrap()
    }

    /// Runs what ends with this code, and returns all that it says.
    #[track_caller]
    fn ends(&self, code: i32, plant: &str, args: &str) -> String {
        let finished = self.run(plant, args);
        assert_eq!(finished.status.code(), Some(code), "griptrace {args}\n{}", said(&finished));
        said(&finished)
    }

    /// Runs what ends with this code, and returns the objects that it writes.
    #[track_caller]
    fn objects(&self, code: i32, plant: &str, args: &str) -> Vec<Json> {
        let finished = self.run(plant, &format!("--json {args}"));
        assert_eq!(finished.status.code(), Some(code), "griptrace {args}\n{}", said(&finished));
        let text = String::from_utf8(finished.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Makes a plant's log, and tells the hub where it is: `place` stands in `fleet.toml`.
    fn begin(&mut self, plant: &'static str, store: &str, place: &str) {
        let folder = self.at(plant);
        fs::create_dir_all(folder.join("raw")).unwrap();
        fs::write(folder.join("raw/1.pgm"), "frame").unwrap();
        fs::write(folder.join("model.bin"), format!("weights of {plant}")).unwrap();
        self.works(plant, &format!("init --origin {plant}.example/1 --name {plant} {store}"));
        let trust = self.works(plant, "trust init");
        let vkey = trust.lines().find(|line| line.starts_with("vkey = ")).unwrap();
        self.plants.insert(plant, format!("[[plant]]\nname = \"{plant}\"\n{vkey}\n{place}\n"));
        let known = fs::read_to_string(self.at("hub").join("trust.toml")).unwrap_or_default();
        fs::write(self.at("hub").join("trust.toml"), known + &trust).unwrap();
        let plants: String = self.plants.values().map(String::as_str).collect();
        let settings = format!("trust = \"trust.toml\"\npolicy = \"policy.toml\"\n{plants}");
        fs::write(self.at("hub").join("fleet.toml"), settings).unwrap();
    }

    /// Serves the log of a plant at addresses that stay the same.
    fn serve(&mut self, plant: &'static str) {
        let (folder, ready) = (self.at(plant), self.at(plant).join("ready.json"));
        fs::remove_file(&ready).unwrap_or_default();
        let command = self.command(plant, "serve --config serve.toml --ready-file ready.json");
        let mut process = Running::start(command, &folder.join("serve.log"));
        let told = process.told(&ready);
        let address = |name: &str| -> SocketAddr { told[name].as_str().unwrap().parse().unwrap() };
        let server = self.servers.get_mut(plant).unwrap();
        server.lead(["grpc", "http"].map(address));
        server.process = Some(process);
    }

    /// Does something in the folder of a plant; its server, if it has one, is not there meanwhile.
    fn change(&mut self, plant: &'static str, args: &[&str]) {
        let is_served = self.servers.get_mut(plant).map(Server::end).is_some();
        args.iter().for_each(|args| drop(self.works(plant, args)));
        if is_served {
            self.serve(plant);
        }
    }

    /// Has each plant record what it does, of what it takes over from the one before, up to a shipment of the last.
    fn ship(&mut self) {
        let adopt = |node: &str| format!("fleet --fleet ../hub/fleet.toml adopt {node} --destination DE");
        let (backbone, grasp) = (adopt("model:backbone"), adopt("model:grasp --plant training"));
        let ship = "ship model:packed --to Buyer --country DE --serial S-1 --name first";
        let before = [vec![], vec![backbone.as_str()], vec![grasp.as_str()]];
        for ((plant, lineage), before) in PLANTS.into_iter().zip(before) {
            fs::write(self.at(plant).join("lineage.toml"), lineage).unwrap();
            let last = (plant == "packaging").then_some(ship);
            self.change(plant, &[before, vec!["record lineage.toml"], last.into_iter().collect()].concat());
        }
    }

    /// Asserts what the hub sees when every plant is there.
    #[track_caller]
    fn is_whole(&self) {
        let synced = self.objects(0, "hub", "fleet sync");
        assert!(synced.len() == 3 && synced.iter().all(|plant| plant["size"].as_u64() > Some(1)), "{synced:?}");
        let status = self.objects(0, "hub", "fleet status");
        assert!(status.iter().all(|plant| plant["standing"] == "consistent"), "{status:?}");
        let shown = &self.objects(0, "hub", "fleet show model:backbone")[0];
        assert_eq!((&shown["plant"], shown["used_by"][0]["plant"].as_str()), (&"camera".into(), Some("training")));
        assert_eq!(met(&self.objects(0, "hub", "fleet trace shipment")), ALL);
        assert_eq!(met(&self.objects(0, "hub", "fleet impact dataset:wrist")), ALL);
    }

    /// Asserts what the hub sees without the first plant, which `is_down` and comes back.
    #[track_caller]
    fn lacks_the_first(&self, sizes: &BTreeMap<String, u64>) {
        let synced = self.objects(2, "hub", "fleet sync");
        for plant in &synced {
            let (name, is_first) = (plant["plant"].as_str().unwrap(), plant["plant"] == "camera");
            assert_eq!(plant["error"].is_string(), is_first, "{plant}");
            assert!(is_first || plant["size"].as_u64() == Some(sizes[name]), "{plant}");
        }
        let status = self.objects(2, "hub", "fleet status");
        for plant in &status {
            let expected = if plant["plant"] == "camera" { "not reached" } else { "consistent" };
            assert_eq!(plant["standing"], expected, "{plant}");
            assert_eq!(
                plant["size"].as_u64(),
                Some(sizes[plant["plant"].as_str().unwrap()]),
                "what was mirrored stays"
            );
        }
        let down = self.objects(2, "hub", "fleet impact model:grasp");
        assert_eq!(met(&down), ALL.into_iter().filter(|name| !is_above_grasp(name)).collect::<Vec<_>>());
        assert!(gaps(&down).iter().all(|gap| gap.starts_with("not reachable: plant camera: ")), "{down:?}");
        let up = self.objects(2, "hub", "fleet trace model:packed --plant packaging");
        let expected = ["packaging package", "packaging packed", "training grasp", "training train"];
        assert_eq!(met(&up), expected);
        let told = gaps(&up).concat();
        assert!(told.contains("train came from") && told.contains("not reachable: plant camera"), "{up:?}");
    }

    fn sizes(&self) -> BTreeMap<String, u64> {
        let status = self.objects(0, "hub", "fleet status");
        let size = |plant: &Json| (plant["plant"].as_str().unwrap().to_owned(), plant["size"].as_u64().unwrap());
        status.iter().map(size).collect()
    }

    /// Has the first plant withdraw what all stands on; asserts that the last one is told so, and says so to its buyer.
    fn is_told_what_is_withdrawn(&mut self) {
        let prove = "prove first -o first.griptrace";
        let verify = "verify first.griptrace --trust ../hub/trust.toml --policy ../hub/policy.toml --destination DE --model model.bin";
        self.works("packaging", prove);
        let before = self.run("packaging", &format!("--json {verify}"));
        let before: Json = serde_json::from_slice(&before.stdout).unwrap();
        assert_eq!((&before["policy_met"], before["logs"].as_array().unwrap().len()), (&true.into(), 3), "{before}");
        self.change("camera", &["mark withdraw dataset:wrist --reason spoilt"]);
        let refreshed = self.ends(1, "packaging", "fleet --fleet ../hub/fleet.toml refresh --destination DE");
        assert!(refreshed.contains("withdrawn") && refreshed.contains("plant training: nothing new"), "{refreshed}");
        self.works("packaging", prove);
        assert!(self.ends(1, "packaging", verify).contains("WITHDRAWN"));
    }
}

impl Server {
    /// Lets nobody reach it; returns where it is.
    fn cut(&self) -> [SocketAddr; 2] {
        [self.grpc.cut(), self.http.cut()]
    }

    fn lead(&self, [grpc, http]: [SocketAddr; 2]) {
        self.grpc.lead(grpc);
        self.http.lead(http);
    }

    /// Asks it to end, and waits until it has.
    fn end(&mut self) {
        self.cut();
        assert_eq!(self.process.as_mut().unwrap().end(), Some(0));
    }
}

/// Returns the names that were met, each with its plant.
fn met(found: &[Json]) -> Vec<String> {
    let name = |node: &Json| Some(format!("{} {}", node["plant"].as_str()?, node["name"].as_str()?));
    let mut names: Vec<String> = found.iter().filter_map(name).collect();
    names.sort();
    names
}

/// Returns what is said not to be known.
fn gaps(found: &[Json]) -> Vec<String> {
    found.iter().filter_map(|object| Some(object["not_known"].as_str()?.to_owned())).collect()
}

fn is_above_grasp(name: &str) -> bool {
    name.starts_with("camera") || name == "training train"
}

/// Returns every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn plants_whose_logs_are_in_buckets_are_used_like_any_other() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let way = Forward::new();
    way.lead(seaweed.endpoint().trim_start_matches("http://").parse().unwrap());
    let (endpoint, address) = (seaweed.endpoint(), |plant: &str| format!("s3://{BUCKET}/fleet-{plant}"));
    let mut fleet = Fleet::new(Some(seaweed));
    // One by the bucket's address, one by a folder whose settings name the bucket, and one in a folder.
    let place = format!("log = \"{}\"\nendpoint = \"http://{}\"", address("camera"), way.address);
    fleet.begin("camera", &format!("--store {} --endpoint {endpoint}", address("camera")), &place);
    let store = format!("--store {} --endpoint {endpoint}", address("training"));
    fleet.begin("training", &store, "log = \"../training\"");
    fleet.begin("packaging", "", "log = \"../packaging\"");
    fleet.ship();
    let before = files(&fleet.at("training"));
    fleet.is_whole();
    assert!(before == files(&fleet.at("training")), "nothing is written at a plant that is asked");
    let sizes = fleet.sizes();
    let to = way.cut();
    fleet.lacks_the_first(&sizes);
    way.lead(to);
    fleet.is_whole();
    fleet.is_told_what_is_withdrawn();
}

/// A fleet of which the first plant is a server that asks who calls, over TLS, and the second one that does not.
fn served() -> Fleet {
    let mut fleet = Fleet::new(None);
    for plant in ["camera", "training"] {
        let (grpc, http) = (Forward::new(), Forward::new());
        let is_open = plant == "training";
        let scheme = if is_open { "http" } else { "https" };
        let way_in = if is_open { "" } else { "server = { ca = \"ca.pem\", token_file = \"camera.token\" }" };
        let place = format!("log = \"{scheme}://{}\"\ntiles = \"{scheme}://{}\"\n{way_in}", grpc.address, http.address);
        fleet.begin(plant, "", &place);
        let settings = if is_open { LISTEN.to_owned() } else { guarded(&fleet.at(plant), &fleet.at("hub")) };
        fs::write(fleet.at(plant).join("serve.toml"), settings).unwrap();
        fleet.servers.insert(plant, Server { process: None, grpc, http });
        fleet.serve(plant);
    }
    fleet.begin("packaging", "", "log = \"../packaging\"");
    fleet.ship();
    fleet
}

/// Lets the hub in with a token that lies beside its `fleet.toml`, and returns the settings of the server.
fn guarded(folder: &Path, hub: &Path) -> String {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("the server", &["localhost", "127.0.0.1"], Counts::Now);
    fs::write(hub.join("ca.pem"), authority.pem()).unwrap();
    fs::write(folder.join("server.pem"), certificate).unwrap();
    fs::write(folder.join("server.key"), key).unwrap();
    let clients = let_in(folder, "camera", "\"read\", \"prove\"");
    fs::copy(folder.join("camera.token"), hub.join("camera.token")).unwrap();
    format!("{LISTEN}[tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n{clients}")
}

#[test]
fn plants_that_are_servers_are_used_like_any_other() {
    let mut fleet = served();
    fleet.is_whole();
    let sizes = fleet.sizes();
    let ways = fleet.servers["camera"].cut();
    fleet.lacks_the_first(&sizes);
    fleet.servers["camera"].lead(ways);
    fleet.is_whole();
    fleet.is_told_what_is_withdrawn();
}

/// However much of a server's answers still comes: what the others know is told, and that this one was lost.
#[test]
fn a_server_that_goes_down_while_it_is_asked_is_said_to_be_gone_and_the_rest_is_answered() {
    let mut fleet = served();
    let (mut bytes, mut lost_on_the_way, mut whole) = (100_usize, 0, 0);
    while whole < 2 {
        let to = fleet.servers["training"].grpc.cut();
        for (question, of_others) in [("trace shipment", "packaging"), ("impact dataset:wrist", "camera")] {
            fleet.servers["training"].grpc.lead(to);
            fleet.servers["training"].grpc.cut_after(bytes);
            let finished = fleet.run("hub", &format!("--json fleet {question}"));
            let text = String::from_utf8(finished.stdout.clone()).unwrap();
            let found: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let known = ALL.into_iter().filter(|name| name.starts_with(of_others));
            assert!(known.clone().all(|name| met(&found).iter().any(|found| found == name)), "{question}: {found:?}");
            let told = gaps(&found).concat();
            match finished.status.code() {
                Some(0) => assert!(met(&found) == ALL && told.is_empty(), "{question}, {bytes}: {found:?}"),
                Some(2) => assert!(told.contains("not reachable: plant training: "), "{question}, {bytes}: {found:?}"),
                other => panic!("{question}, {bytes}: {other:?}\n{}", said(&finished)),
            }
            whole += usize::from(finished.status.success());
            lost_on_the_way += usize::from(told.contains("cannot "));
        }
        fleet.servers["training"].grpc.lead(to);
        bytes += bytes / 2;
    }
    assert!(lost_on_the_way > 3, "lost {lost_on_the_way} times after it had answered");
    fleet.servers.get_mut("training").unwrap().end();
}

#[test]
fn a_sync_that_goes_on_follows_every_plant_and_misses_the_one_that_is_down() {
    let mut fleet = served();
    let command = fleet.command("hub", "--json fleet sync --every 1s");
    let mut syncing = Running::start(command, &fleet.at("hub").join("sync.log"));
    let until = |fleet: &Fleet, what: &str, is_so: &dyn Fn(&BTreeMap<String, Json>) -> bool| {
        let begun = Instant::now();
        loop {
            let told = String::from_utf8(fleet.run("hub", "--json fleet status").stdout).unwrap();
            let told = told.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
            let status: BTreeMap<String, Json> =
                told.map(|plant| (plant["plant"].as_str().unwrap().to_owned(), plant)).collect();
            if is_so(&status) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: {status:?}");
            thread::sleep(Duration::from_millis(100));
        }
    };
    let all = |status: &BTreeMap<String, Json>| status.values().all(|plant| plant["standing"] == "consistent");
    let before = until(&fleet, "all are mirrored", &all);
    let ways = fleet.servers["camera"].cut();
    until(&fleet, "the first is missed", &|status| status["camera"]["standing"] == "not reached");
    fleet.change("training", &["add dataset raw --name more --origin collected"]);
    let grown = until(&fleet, "the second goes on", &|status| {
        status["training"]["size"].as_u64() > before["training"]["size"].as_u64()
    });
    assert_eq!(grown["camera"]["size"], before["camera"]["size"], "what was mirrored stays");
    assert_eq!(grown["camera"]["standing"], "not reached");
    fleet.servers["camera"].lead(ways);
    until(&fleet, "the first is back", &all);
    assert_eq!(syncing.end(), Some(0));
    let told = syncing.said();
    assert!(told.lines().all(|line| serde_json::from_str::<Json>(line).is_ok()), "{told}");
}
