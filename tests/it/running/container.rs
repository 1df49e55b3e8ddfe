//! The container image, as far as it can be shown without building one: an empty directory that holds what the
//! Dockerfile's COPY lines bring is the whole root in which the server runs.
//!
//! `cargo xtask test --long` does it with the static binary of `cargo xtask package`. Otherwise the test's own binary
//! stands in, together with the libraries that it was linked to.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::root;
use crate::connection::Connection;
use crate::dns_server::Asker;
use crate::server::{eventually, waypost};
use crate::skips::{long_forms, skipped};

const SECRET: &str = "correct-horse-battery-staple";
const AUTHORITIES: &str = "ca-certificates.crt";

/// The instructions of the Dockerfile, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("packaging/Dockerfile")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let split = |line: &str| {
        let (word, rest) = line.split_once(' ')?;
        Some((word.to_owned(), rest.trim().to_owned()))
    };
    joined.lines().filter_map(split).collect()
}

fn all(word: &str) -> Vec<String> {
    let instructions = instructions().into_iter();
    let fitting = instructions.filter(|(found, _)| found == word);
    fitting.map(|(_, rest)| rest).collect()
}

fn one(word: &str) -> String {
    let found = all(word);
    assert_eq!(found.len(), 1, "{word}: {found:?}");
    found.into_iter().next().unwrap()
}

/// The words of a command in its JSON form, the only one that needs no shell.
fn words(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn variables() -> BTreeMap<String, String> {
    let env = one("ENV");
    let pairs = env.split_whitespace().map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    pairs.collect()
}

/// The build context: what `cargo xtask package` made, or the same files with this test's own binary.
fn context(folder: &Path) -> PathBuf {
    if long_forms() {
        let made = std::env::var_os("WAYPOST_PACKAGE").expect("`cargo xtask test --long` packages");
        return PathBuf::from(made);
    }
    let context = folder.join("context");
    fs::create_dir_all(context.join("data")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_waypost"), context.join("waypost")).unwrap();
    let authority = rcgen::generate_simple_self_signed(["registry.test".to_owned()]).unwrap();
    fs::write(context.join(AUTHORITIES), authority.cert.pem()).unwrap();
    context
}

/// Copies a file or folder and gives all of it to the user.
fn copy(from: &Path, to: &Path, owner: Option<u32>) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()), owner);
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
    if let Some(owner) = owner {
        chown(to, Some(owner), Some(owner)).unwrap();
    }
}

/// Puts the libraries of a binary where its loader looks for them; a static one has none.
fn add_libraries(image: &Path, binary: &Path) -> usize {
    let output = Command::new("ldd").arg(binary).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    let libraries: Vec<&str> = paths.filter(|path| path.contains(".so")).collect();
    for library in &libraries {
        copy(Path::new(library), &image.join(&library[1..]), None);
    }
    libraries.len()
}

/// The root of the image.
struct Image {
    place: TempDir,
    is_root: bool,
}

impl Image {
    /// Lays it out; the error is why nothing can be run in it here.
    fn lay_out() -> Result<Self, String> {
        let place = tempfile::tempdir().unwrap();
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let image = Self { place, is_root };
        let context = context(image.place.path());
        for line in all("COPY") {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (from, to) = (words[words.len() - 2], words[words.len() - 1]);
            let owner = words[0].strip_prefix("--chown=").map(|owner| {
                let (user, group) = owner.split_once(':').unwrap();
                assert_eq!(user, group);
                user.parse().unwrap()
            });
            let from = context.join(from);
            assert!(from.exists(), "{} is not in the context", from.display());
            copy(
                &from,
                &image.root().join(&to[1..]),
                owner.filter(|_| is_root),
            );
        }
        // What every container runtime brings.
        fs::write(image.root().join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        let libraries = add_libraries(&image.root(), &context.join("waypost"));
        assert_eq!(libraries == 0, long_forms(), "{libraries} libraries");
        let tried = image.command(&["/usr/bin/waypost".to_owned(), "--version".to_owned()]);
        let tried = tried.map(|mut command| command.output());
        match tried {
            Some(Ok(output)) if output.status.success() => Ok(image),
            Some(Ok(output)) if is_root => panic!("{output:?}"),
            tried => Err(format!("no empty root can be entered here: {tried:?}")),
        }
    }

    fn root(&self) -> PathBuf {
        self.place.path().join("root")
    }

    /// A command in it, as the image's user if this is root, and else in a namespace of one's own.
    fn command(&self, words: &[String]) -> Option<Command> {
        let mut command = if self.is_root {
            let mut chroot = Command::new("chroot");
            chroot.arg(format!("--userspec={}", one("USER")));
            chroot
        } else {
            let mut unshare = Command::new("unshare");
            unshare.args(["--map-root-user", "chroot"]);
            unshare
        };
        let path = std::env::var_os("PATH")?;
        command.env_clear().env("PATH", path);
        command.arg(self.root()).args(words).stdin(Stdio::null());
        Some(command)
    }
}

/// A server in the image. Dropping it kills it.
struct Contained(Child);

impl Drop for Contained {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Reads the addresses of HTTP and DNS from what it prints.
fn addresses(child: &mut Child) -> (SocketAddr, SocketAddr) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut found = (None, None);
    for line in lines.map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["registry", url, ..] => found.0 = url.trim_start_matches("http://").parse().ok(),
            ["dns", address, ..] => found.1 = address.parse().ok(),
            ["try", ..] => break,
            _ => {}
        }
    }
    (found.0.expect("HTTP"), found.1.expect("DNS"))
}

#[test]
fn the_image_is_an_empty_root_in_which_the_server_registers_checks_and_answers() {
    const TEST: &str =
        "the_image_is_an_empty_root_in_which_the_server_registers_checks_and_answers";
    let image = match Image::lay_out() {
        Ok(image) => image,
        Err(why) => return skipped(TEST, &why),
    };
    let command = [words(&one("ENTRYPOINT")), words(&one("CMD"))].concat();
    let mut command = image.command(&command).unwrap();
    command
        .envs(variables())
        // On this machine, and not beyond.
        .env("WAYPOST__HTTP__LISTEN", "127.0.0.1:0")
        .env("WAYPOST__DNS__LISTEN", "127.0.0.1:0")
        .env("WAYPOST__DIAL__ALLOW", "127.0.0.0/8")
        .env("SERVICE_DISCOVERY_SECRET", SECRET);
    let mut server = Contained(command.stdout(Stdio::piped()).spawn().unwrap());
    let (http, dns) = addresses(&mut server.0);
    let target = crate::target::Target::start();
    let ask = |method: &str, path: &str, body: &Value| {
        let bearer = format!("Bearer {SECRET}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut connection = Connection::open(http).unwrap();
        connection
            .request(method, path, &headers, body.as_bytes())
            .unwrap()
    };
    // Its name is looked up in there, by the resolver that is linked in.
    let registration = json!({
        "address": "localhost", "port": target.port(),
        "checks": [{"id": "http", "kind": "http", "interval_seconds": 1}],
    });
    let web = "/v1/namespaces/svc.internal/services/web";
    ask("PUT", &format!("{web}/instances/a"), &registration).expect(201);
    eventually("the check passes", || {
        let service = ask("GET", web, &Value::Null).json();
        (service["instances"]["healthy"] == 1).then_some(())
    });
    assert_eq!(Asker::new(dns).ask("web.svc.internal"), (0, 1));
    let unsigned = Connection::open(http)
        .unwrap()
        .request("GET", web, &[], b"")
        .unwrap();
    assert_eq!(unsigned.status, 401);
    // The health check of the image, as a container runtime runs it: in there, with its environment.
    let check = one("HEALTHCHECK");
    let check = words(check.split_once("CMD ").unwrap().1);
    let mut healthy = image.command(&check).unwrap();
    healthy.env("SERVICE_DISCOVERY_URL", format!("http://{http}"));
    let without = healthy.output().unwrap();
    assert!(!without.status.success(), "the secret is in force");
    healthy.env("SERVICE_DISCOVERY_SECRET", SECRET);
    let healthy = healthy.output().unwrap();
    assert!(healthy.status.success(), "{healthy:?}");
    super::signal("-TERM", server.0.id());
    assert!(server.0.wait().unwrap().success());
    let data = image.root().join("data/registry.sqlite");
    let owner = fs::metadata(&data).unwrap().uid();
    let user = one("USER");
    let user: u32 = user.split(':').next().unwrap().parse().unwrap();
    assert!(owner == user || !image.is_root, "{owner}");
}

#[test]
fn the_dockerfile_names_settings_and_ports_that_the_program_has() {
    assert_eq!(one("FROM"), "scratch");
    assert_ne!(one("USER").split(':').next(), Some("0"));
    let variables = variables();
    let shown = waypost(["config", "show", "-o", "json"])
        .envs(&variables)
        .output()
        .unwrap();
    assert!(shown.status.success(), "{shown:?}");
    let rows: Vec<Value> = serde_json::from_slice(&shown.stdout).unwrap();
    for name in variables.keys() {
        assert!(
            rows.iter().any(|row| row["origin"] == name.as_str()),
            "{name}"
        );
    }
    let port = |name: &str| {
        let address: SocketAddr = variables[name].parse().unwrap();
        assert!(
            address.ip().is_unspecified(),
            "a container is reached from outside of it"
        );
        address.port()
    };
    let http = port("WAYPOST__HTTP__LISTEN");
    let dns = port("WAYPOST__DNS__LISTEN");
    assert_eq!(one("EXPOSE"), format!("{http}/tcp {dns}/udp {dns}/tcp"));
    let volume = words(&one("VOLUME"));
    assert_eq!(
        volume,
        [variables["WAYPOST__STORE_SQLITE__DATA_DIR"].as_str()]
    );
}
