//! Everything to a file and back: from a server under load, from a stopped one, and by processes that die meanwhile.

mod files;
pub(crate) mod kills;
mod places;
mod scheduled;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::cloudmap::request;
use crate::dns_server::Asker;
use crate::server::{Server, Setup, eventually, waypost};

const INSTANCES: &str = "/v1/namespaces/svc.internal/services/web/instances";
const WRITERS: usize = 4;

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs `waypost snapshot` and gives its exit code with all that it said.
fn snapshot(arguments: &[&str]) -> (i32, String) {
    let output = waypost([&["snapshot"], arguments].concat())
        .output()
        .unwrap();
    (output.status.code().unwrap(), told(&output))
}

/// The same against a server, with a token.
fn snapshot_of(server: &Server, token: &str, arguments: &[&str]) -> (i32, String) {
    let mut command = waypost([&["snapshot"], arguments].concat());
    command.env("SERVICE_DISCOVERY_URL", server.url());
    command.env("WAYPOST_TOKEN", token);
    let output = command.output().unwrap();
    (output.status.code().unwrap(), told(&output))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Issues a token.
fn issued(server: &Server, admin: &str, arguments: &[&str]) -> String {
    let whole = [&["token", "create"], arguments, &["-q", "-o", "json"]].concat();
    let mut command = waypost(whole);
    command.env("SERVICE_DISCOVERY_URL", server.url());
    command.env("WAYPOST_TOKEN", admin);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    made["secret"].as_str().unwrap().to_owned()
}

fn get(server: &Server, token: &str, path: &str) -> Value {
    let bearer = format!("Bearer {token}");
    let answer = server.request("GET", path, &[("Authorization", &bearer)], b"");
    answer.expect(200).json()
}

/// Lists what is there, without what tells one history from another.
fn lists(server: &Server, token: &str) -> Vec<Value> {
    let paths = [
        "/v1/instances?limit=1000",
        "/v1/namespaces",
        "/v1/namespaces/svc.internal/services",
        "/v1/discovery/services/web/healthy",
        "/service-discovery/services",
        "/v1/tokens",
        "/sd/prometheus",
    ];
    let mut lists: Vec<Value> = paths.map(|path| get(server, token, path)).into();
    lists.iter_mut().for_each(without_history);
    lists
}

fn without_history(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in [
                "revision",
                "timestamp",
                "generated_at",
                "modified",
                "last_used",
            ] {
                members.remove(name);
            }
            members.values_mut().for_each(without_history);
        }
        Value::Array(items) => items.iter_mut().for_each(without_history),
        _ => {}
    }
}

fn ids(server: &Server, token: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = get(server, token, &format!("{INSTANCES}?limit=1000{after}"));
        let instances = page["instances"].as_array().unwrap().iter();
        ids.extend(instances.map(|instance| instance["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return ids,
        }
    }
}

/// Registers until it is told to end, and gives the ids in the order of their acknowledgements.
fn registering(
    server: &Server,
    token: &str,
    writer: usize,
    acknowledged: &AtomicUsize,
    ended: &AtomicBool,
) {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
    ];
    let mut connection = server.connect();
    for number in 0.. {
        if ended.load(Ordering::SeqCst) {
            return;
        }
        let body = json!({"address": format!("10.{writer}.0.{}", number % 250), "port": 8080, "tags": ["t"]});
        let path = format!("{INSTANCES}/{writer}-{number}");
        let answer = connection.request("PUT", &path, &headers, body.to_string().as_bytes());
        answer.unwrap().expect(201);
        acknowledged.fetch_max(number + 1, Ordering::SeqCst);
    }
}

#[test]
fn a_snapshot_under_load_holds_all_that_was_acknowledged_before() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    let server = Server::start();
    let admin = issued(&server, "", &["admin"]);
    let counts: [AtomicUsize; WRITERS] = Default::default();
    let ended = AtomicBool::new(false);
    let known = || counts.each_ref().map(|count| count.load(Ordering::SeqCst));
    let before = thread::scope(|scope| {
        for (writer, count) in counts.iter().enumerate() {
            let (server, admin, ended) = (&server, &admin, &ended);
            scope.spawn(move || registering(server, admin, writer, count, ended));
        }
        eventually("the load runs", || {
            known().iter().all(|count| *count >= 10).then_some(())
        });
        let known = known();
        let (code, said) = snapshot_of(&server, &admin, &["save", path(&file)]);
        ended.store(true, Ordering::SeqCst);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("the server key is not in it"), "{said}");
        known
    });
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = server.data_dir().join("server.key");
    let taken = restored(&file, &folder.path().join("data"), &key);
    let there = ids(&taken, &admin);
    for (writer, before) in before.into_iter().enumerate() {
        let prefix = format!("{writer}-");
        let of_writer = there.iter().filter(|id| id.starts_with(&prefix)).count();
        assert!(of_writer >= before, "{writer}: {of_writer} of {before}");
        // One moment: nobody's later one without the earlier ones.
        for number in 0..of_writer {
            let id = format!("{prefix}{number}");
            assert!(there.contains(&id), "{id} is missing");
        }
    }
}

#[test]
fn a_restored_registry_answers_the_same_in_every_protocol_and_to_the_same_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    let mut server = Server::start();
    for (id, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")] {
        let body =
            json!({"address": address, "port": 80, "tags": ["t"], "attributes": {"version": "7"}});
        server.put(&format!("{INSTANCES}/{id}"), &body).expect(201);
    }
    let drain = json!({"mode": "Draining", "reason": "a test"});
    server
        .put(&format!("{INSTANCES}/a/mode"), &drain)
        .expect(200);
    let admin = issued(&server, "", &["admin"]);
    let reader = issued(&server, &admin, &["reader", "--allow", "read"]);
    assert_eq!(snapshot_of(&server, &admin, &["save", path(&file)]).0, 0);
    let before = seen(&server, &admin, &reader);
    let (epoch, number) = epoch_of(&server, &admin);
    let serial_before = serial(&server, &admin);
    assert!(server.terminate().success());

    let key = server.data_dir().join("server.key");
    let back = restored(&file, &folder.path().join("data"), &key);
    assert_eq!(seen(&back, &admin, &reader), before);
    let (new_epoch, new_number) = epoch_of(&back, &admin);
    assert_ne!(new_epoch, epoch);
    assert!(new_number > number, "{new_number} does not follow {number}");
    let ahead = serial(&back, &admin).wrapping_sub(serial_before);
    assert!(ahead > 0 && ahead < 1 << 31, "the serial moved by {ahead}");
    let bearer = format!("Bearer {admin}");
    let gone = format!("{INSTANCES}/b");
    back.request("DELETE", &gone, &[("Authorization", &bearer)], b"")
        .expect(204);
}

/// The snapshot knows nothing of what came after it; the journal of the old server does.
#[test]
fn a_token_that_was_revoked_after_the_snapshot_is_back_until_the_old_journal_is_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    let mut server = Server::start();
    let admin = issued(&server, "", &["admin"]);
    let lost = issued(&server, &admin, &["lost", "--allow", "read"]);
    let kept = issued(&server, &admin, &["kept", "--allow", "read"]);
    issued(&server, &admin, &["pair", "--aws", "--allow", "read"]);
    let leaked = issued(&server, &admin, &["leaked", "--allow", "read"]);
    let cli = |server: &Server, arguments: &[&str]| {
        let mut command = waypost(arguments);
        command.env("SERVICE_DISCOVERY_URL", server.url());
        let output = command.env("WAYPOST_TOKEN", &admin).output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let reads = |server: &Server, token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", &*bearer)];
        server
            .request("GET", "/v1/namespaces", &headers, b"")
            .status
    };
    let id_of = |name: &str| {
        let tokens = get(&server, &admin, "/v1/tokens");
        let mut tokens = tokens["tokens"].as_array().unwrap().iter();
        let token = tokens.find(|token| token["name"] == name).unwrap();
        token["id"].as_str().unwrap().to_owned()
    };
    // One that the snapshot does not hold any more is none of them.
    issued(&server, &admin, &["earlier", "--allow", "read"]);
    cli(&server, &["token", "revoke", &id_of("earlier")]);
    assert_eq!(snapshot_of(&server, &admin, &["save", path(&file)]).0, 0);
    let lost_ones = [id_of("lost"), id_of("pair"), id_of("leaked")];
    for id in &lost_ones[..2] {
        cli(&server, &["token", "revoke", id]);
    }
    cli(
        &server,
        &["token", "rotate", &lost_ones[2], "--grace", "1h"],
    );
    assert_eq!((reads(&server, &lost), reads(&server, &kept)), (401, 200));
    let inspected = snapshot(&["inspect", path(&file), "-o", "json"]).1;
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let audit = ["audit", "--kind", "changed", "--limit", "0", "-o", "jsonl"];
    let lines = cli(&server, &audit);
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let later =
        lines.filter(|line: &Value| line["revision"].as_u64() > inspected["revision"].as_u64());
    let revoked: Vec<String> = later.flat_map(|line| revoked_in(&line)).collect();
    // Newest first.
    assert!(revoked.iter().rev().eq(&lost_ones), "{revoked:?}");
    assert!(server.terminate().success());

    let key = server.data_dir().join("server.key");
    let back = restored(&file, &folder.path().join("data"), &key);
    assert_eq!((reads(&back, &lost), reads(&back, &kept)), (200, 200));
    assert_eq!(reads(&back, &leaked), 200);
    for id in &revoked {
        // One that is not there would be an error.
        cli(&back, &["token", "revoke", id]);
    }
    assert_eq!((reads(&back, &lost), reads(&back, &kept)), (401, 200));
    assert_eq!(reads(&back, &leaked), 401);
}

/// The ids of the credentials that a line of the journal has last, as `docs/operations/backup.md` finds them.
fn revoked_in(line: &Value) -> Vec<String> {
    let objects = line["objects"].as_array().unwrap().iter();
    objects
        .filter(|object| {
            let kind = object["document"].as_str().unwrap_or_default();
            let is_credential = kind == "access/token" || kind.starts_with("access/key/");
            let (before, after) = (&object["before"], &object["after"]);
            let ends = after.is_null() || after["expiry"] != before["expiry"];
            is_credential && !before.is_null() && ends
        })
        .map(|object| {
            object["before"]["content"]["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn an_operation_of_cloud_map_is_met_by_its_repetition_after_a_restore() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    let mut server = Server::start();
    let create = json!({ "Name": "plain", "CreatorRequestId": "once" });
    let made = server.post_aws(&request("CreateHttpNamespace", &create));
    assert_eq!(made.0, 200, "{}", made.1);
    assert_eq!(snapshot_of(&server, "", &["save", path(&file)]).0, 0);
    assert!(server.terminate().success());
    let key = server.data_dir().join("server.key");
    let back = restored(&file, &folder.path().join("data"), &key);
    assert_eq!(
        back.post_aws(&request("CreateHttpNamespace", &create)),
        made
    );
}

/// All that is shown to two who ask.
fn seen(server: &Server, admin: &str, reader: &str) -> (Vec<Value>, Value, (u8, u16)) {
    let mut discovered = get(server, reader, "/v1/discover/web");
    without_history(&mut discovered);
    (lists(server, admin), discovered, dns(server))
}

/// The serial of the zone, over the wire.
fn serial(server: &Server, token: &str) -> u32 {
    let mut command = waypost(["resolve", "svc.internal", "--type", "SOA", "-o", "json"]);
    command.env("SERVICE_DISCOVERY_URL", server.url());
    command.env("WAYPOST_TOKEN", token);
    let output = command.output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", told(&output)));
    let data = found["answers"][0]["data"].as_str().unwrap();
    data.split_whitespace().nth(2).unwrap().parse().unwrap()
}

/// Restores with the key and starts a server over it.
fn restored(snapshot_file: &Path, data_dir: &Path, key: &Path) -> Server {
    let (file, data, key) = (path(snapshot_file), path(data_dir), path(key));
    let (code, said) = snapshot(&["restore", file, "--data-dir", data, "--server-key", key]);
    assert_eq!(code, 0, "{said}");
    Setup::new().data_dir(data_dir).start()
}

fn epoch_of(server: &Server, token: &str) -> (String, u64) {
    let found = get(server, token, &format!("{INSTANCES}/c"));
    let (epoch, number) = found["revision"].as_str().unwrap().split_once('.').unwrap();
    (epoch.to_owned(), number.parse().unwrap())
}

/// The code and the number of answers.
fn dns(server: &Server) -> (u8, u16) {
    Asker::new(server.dns()).ask("web.svc.internal")
}

#[test]
fn a_registry_in_memory_is_saved_and_restored_to_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    let setup = Setup::new().env("WAYPOST__CORE__STORE", "memory");
    let server = setup.start();
    let body = json!({"address": "10.0.0.1", "port": 80, "tags": ["t"]});
    server.put(&format!("{INSTANCES}/a"), &body).expect(201);
    let before = lists(&server, "");
    assert_eq!(snapshot_of(&server, "", &["save", path(&file)]).0, 0);
    drop(server);
    let data = folder.path().join("data");
    let (code, said) = snapshot(&["restore", path(&file), "--data-dir", path(&data)]);
    assert_eq!(code, 0, "{said}");
    let back = Setup::new().data_dir(&data).start();
    assert_eq!(lists(&back, ""), before);
}

#[test]
fn a_follower_of_the_old_history_gets_everything_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    let mut server = Server::start();
    let body = json!({"address": "10.0.0.1", "port": 80});
    server.put(&format!("{INSTANCES}/a"), &body).expect(201);
    let known = server.get(&format!("{INSTANCES}/a")).expect(200).json();
    let known = known["revision"].as_str().unwrap().to_owned();
    assert_eq!(snapshot_of(&server, "", &["save", path(&file)]).0, 0);
    assert!(server.terminate().success());
    let back = restored(
        &file,
        &folder.path().join("back"),
        &server.data_dir().join("server.key"),
    );
    let mut connection = back.connect();
    connection
        .send("GET", "/v1/watch", &[("Last-Event-ID", &known)], b"")
        .unwrap();
    let heard = connection.until("event: synced").unwrap();
    assert!(heard.contains("event: reset"), "{heard}");
    assert!(
        heard.contains("the registry was restored or made anew since"),
        "{heard}"
    );
    assert!(heard.contains("event: service"), "{heard}");
}

#[test]
fn only_who_may_administer_everything_takes_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    let server = Setup::new()
        .env("WAYPOST__ACCESS__PUBLIC_READS", "true")
        .start();
    let admin = issued(&server, "", &["admin"]);
    let reader = issued(&server, &admin, &["reader", "--allow", "read"]);
    let of_a_team = ["team", "--allow", "read,register,operate,configure"];
    let of_a_team = issued(&server, &admin, &of_a_team);
    for token in ["", "wp_guessed", &reader, &of_a_team] {
        let (code, said) = snapshot_of(&server, token, &["save", path(&file)]);
        assert_eq!(code, 5, "{token}: {said}");
        assert!(!file.exists() && !folder.path().join("a.snapshot.partial").exists());
    }
    assert_eq!(snapshot_of(&server, &admin, &["save", path(&file)]).0, 0);
    // What was once handed out stays: nothing of the secrets is in it.
    let bytes = fs::read(&file).unwrap();
    for secret in [&admin, &reader] {
        let found = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "a token is in the snapshot");
    }
}

#[test]
fn a_file_is_not_written_over_unless_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    fs::write(&file, "something of somebody").unwrap();
    let server = Server::start();
    let (code, said) = snapshot_of(&server, "", &["save", path(&file)]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("exists already"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "something of somebody");
    assert_eq!(
        snapshot_of(&server, "", &["save", path(&file), "--force"]).0,
        0
    );
    assert_eq!(snapshot(&["verify", path(&file)]).0, 0);
}

#[test]
fn a_stopped_servers_directory_is_saved_and_a_running_ones_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (online, offline) = (
        folder.path().join("a.snapshot"),
        folder.path().join("b.snapshot"),
    );
    let mut server = Server::start();
    let body = json!({"address": "10.0.0.1", "port": 80});
    server.put(&format!("{INSTANCES}/a"), &body).expect(201);
    let data = server.data_dir().to_owned();
    let save = ["save", path(&offline), "--data-dir", path(&data)];
    let (code, said) = snapshot(&save);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains(&format!("is in use by process {}", server.pid())),
        "{said}"
    );
    assert!(said.contains("without --data-dir"), "{said}");
    assert_eq!(snapshot_of(&server, "", &["save", path(&online)]).0, 0);
    server.kill9();
    let (code, said) = snapshot(&save);
    assert_eq!(code, 0, "{said}");
    let counts = |file: &Path| {
        let (code, said) = snapshot(&["inspect", path(file), "-o", "json"]);
        assert_eq!(code, 0, "{said}");
        let value: Value = serde_json::from_str(&said).unwrap();
        (value["counts"].clone(), value["namespaces"].clone())
    };
    assert_eq!(counts(&online), counts(&offline));
    // And the server goes on from where it was.
    server.restart();
    server.get(&format!("{INSTANCES}/a")).expect(200);
}

#[test]
fn a_server_that_is_not_there_is_told_as_ever() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    let mut server = Server::start();
    let url = server.url();
    assert!(server.terminate().success());
    let (code, said) = snapshot(&["save", path(&file), "--server", &url]);
    assert_eq!(code, 6, "{said}");
    assert!(!file.exists());
}
