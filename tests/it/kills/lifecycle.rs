//! Ends in order, and starts that are refused in words.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Output;

use rusqlite::Connection as Database;
use serde_json::{Value, json};

use crate::server::{Server, Setup, eventually, waypost};
use crate::skips::skipped;

fn instance(id: &str) -> String {
    format!("/v1/namespaces/svc.internal/services/web/instances/{id}")
}

fn registration() -> Value {
    json!({"address": "10.0.0.1", "port": 8080})
}

#[test]
fn a_request_in_flight_is_answered_after_sigterm_and_the_next_start_is_clean() {
    let mut server = Server::start();
    server.put(&instance("a"), &registration()).expect(201);
    let before = revision(&server, "a");

    let body = registration().to_string();
    let length = body.len().to_string();
    let mut connection = server.connect();
    // The interim answer tells that the server is reading the body: the request is in flight.
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: waypost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n",
        instance("b")
    );
    connection.send_raw(head.as_bytes()).unwrap();
    assert_eq!(connection.interim().unwrap(), 100);
    let address = server.address();
    server.ask_to_end();
    eventually("the port is closed", || {
        TcpStream::connect(address).is_err().then_some(())
    });
    connection.send_raw(body.as_bytes()).unwrap();
    connection.answer("PUT").unwrap().expect(201);
    let status = server.wait_for_end();
    assert_eq!(status.code(), Some(0), "{}", server.log());

    server.restart();
    let (epoch, last) = revision(&server, "b");
    assert_eq!((&epoch, last), (&before.0, before.1 + 1));
    server.put(&instance("c"), &registration()).expect(201);
    let after = revision(&server, "c");
    assert_eq!(
        after,
        (epoch, last + 1),
        "numbers jump after a stop in order"
    );
}

#[test]
fn numbers_jump_after_a_kill_so_that_none_comes_twice() {
    let mut server = Server::start();
    server.put(&instance("a"), &registration()).expect(201);
    let before = revision(&server, "a");
    server.kill9();
    server.restart();
    server.put(&instance("b"), &registration()).expect(201);
    let after = revision(&server, "b");
    assert_eq!(after.0, before.0);
    assert!(after.1 > before.1 + 1, "{after:?} follows {before:?}");
}

/// Gives the epoch and the number.
fn revision(server: &Server, id: &str) -> (String, u64) {
    let found = server.get(&instance(id)).expect(200).json();
    let (epoch, number) = found["revision"].as_str().unwrap().split_once('.').unwrap();
    (epoch.to_owned(), number.parse().unwrap())
}

#[test]
fn a_second_process_on_a_data_directory_is_refused_by_name() {
    let server = Server::start();
    let refused = Setup::new().data_dir(server.data_dir()).refusal();
    let holder = format!("is in use by process {}", server.pid());
    says(
        &refused,
        &[&server.data_dir().display().to_string(), &holder],
    );
    // The first is not disturbed.
    server.put(&instance("a"), &registration()).expect(201);
}

#[test]
fn a_data_directory_of_a_newer_version_is_refused_by_name_and_left_as_it_is() {
    let (mut server, file) = stopped();
    let database = Database::open(&file).unwrap();
    let raised = database.execute("UPDATE meta SET value = 99 WHERE key = 'schema'", []);
    assert_eq!(raised, Ok(1));
    drop(database);
    let before = fs::read(&file).unwrap();
    let refused = Setup::new().data_dir(server.data_dir()).refusal();
    says(&refused, &["registry.sqlite", "newer Waypost", "schema 99"]);
    assert!(before == fs::read(&file).unwrap(), "the file was changed");
    let why = server.try_restart().unwrap_err();
    assert!(why.contains("newer Waypost"), "{why}");
}

#[test]
fn another_programs_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registry.sqlite");
    let database = Database::open(&file).unwrap();
    let filled = "PRAGMA application_id = 7; CREATE TABLE photos (name TEXT);";
    database.execute_batch(filled).unwrap();
    drop(database);
    let before = fs::read(&file).unwrap();
    let refused = Setup::new().data_dir(folder.path()).refusal();
    says(
        &refused,
        &["registry.sqlite", "another program", "application id 7"],
    );
    assert!(before == fs::read(&file).unwrap(), "the file was changed");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = "Dear diary, today I wrote a rather long text. ".repeat(100);
    fs::write(folder.path().join("registry.sqlite"), text).unwrap();
    let refused = Setup::new().data_dir(folder.path()).refusal();
    says(&refused, &["registry.sqlite", "not an SQLite file"]);
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    fs::write(&file, "").unwrap();
    let wanted = file.join("data");
    let refused = Setup::new().data_dir(&wanted).refusal();
    says(
        &refused,
        &[&wanted.display().to_string(), "cannot be written"],
    );
}

#[test]
fn a_data_directory_without_write_access_is_named() {
    const NOBODY: u32 = 65_534;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    mode(folder.path(), 0o755).unwrap();
    mode(&data, 0o555).unwrap();
    let mut setup = Setup::new().data_dir(&data);
    // Root may write anywhere.
    if fs::write(data.join("probe"), "").is_ok() {
        let test = "a_data_directory_without_write_access_is_named";
        if let Err(why) = waypost(["--version"]).uid(NOBODY).current_dir("/").output() {
            return skipped(test, &format!("no other user can run the binary: {why}"));
        }
        setup = setup.user(NOBODY);
    }
    let refused = setup.refusal();
    says(
        &refused,
        &[&data.display().to_string(), "cannot be written"],
    );
}

/// Makes a data directory with one instance, stopped in order, and gives its registry file.
fn stopped() -> (Server, std::path::PathBuf) {
    let mut server = Server::start();
    server.put(&instance("a"), &registration()).expect(201);
    assert!(server.terminate().success());
    let file = server.data_dir().join("registry.sqlite");
    assert!(Path::new(&file).exists());
    (server, file)
}

fn says(refused: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}
