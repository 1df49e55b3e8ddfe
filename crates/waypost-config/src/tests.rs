//! The loader as the binary uses it, with settings made for the tests.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::*;

mod errors;
mod mutated;
mod secrets;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    http: Http,
    access: Access,
    tls: Option<Tls>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Http {
    listen: SocketAddr,
    body_limit_bytes: u32,
    workers: Option<u16>,
    ratio: f64,
    compress: bool,
    store: Store,
    trusted: Vec<IpAddr>,
    key_file: Option<PathBuf>,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Store {
    #[default]
    Sqlite,
    Memory,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Access {
    shared_secret: Option<Secret>,
    tokens: Vec<Token>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    name: String,
    secret: Secret,
}

/// A section without defaults of its own: once set, both fields are needed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    certificate: PathBuf,
    key: PathBuf,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:3004".parse().unwrap(),
            body_limit_bytes: 1_048_576,
            workers: None,
            ratio: 0.5,
            compress: false,
            store: Store::Sqlite,
            trusted: Vec::new(),
            key_file: None,
            labels: BTreeMap::new(),
        }
    }
}

/// A configuration file that lives as long as the test.
struct File {
    directory: tempfile::TempDir,
}

impl File {
    fn of(text: &str) -> Self {
        let file = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("waypost.toml")
    }

    fn loader(&self) -> Loader {
        Loader::new().file(Some(self.path()))
    }
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().copied().collect()
}

fn from_environment(pairs: &[(&str, &str)]) -> Loader {
    Loader::new().environment(environment(pairs))
}

fn load(loader: Loader) -> Loaded<Config> {
    loader.load().unwrap_or_else(|errors| panic!("{errors}"))
}

fn listen(loader: Loader) -> (String, String) {
    let loaded = load(loader);
    (
        loaded.value.http.listen.to_string(),
        loaded.origin("http.listen").to_string(),
    )
}

#[test]
fn without_any_layer_every_value_is_its_default() {
    let loaded = load(Loader::new());
    assert_eq!(loaded.value.http.listen.to_string(), "127.0.0.1:3004");
    assert_eq!(loaded.value.http.ratio, 0.5);
    assert!(loaded.value.tls.is_none());
    assert!(
        loaded
            .rows()
            .iter()
            .all(|row| row.origin == Origin::Default)
    );
}

#[test]
fn every_layer_wins_over_the_one_before() {
    let file = File::of("[http]\nlisten = \"10.0.0.1:1\"\n");
    let aliases = [Alias::of("SERVICE_LISTEN", "http.listen")];
    let alias = ("SERVICE_LISTEN", "10.0.0.2:2");
    let variable = ("WAYPOST__HTTP__LISTEN", "10.0.0.3:3");
    let with = |pairs: &[(&str, &str)]| {
        file.loader()
            .aliases(&aliases)
            .environment(environment(pairs))
    };
    let expected = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());

    assert_eq!(listen(Loader::new()), expected("127.0.0.1:3004", "default"));
    let line = format!("{}:2", file.path().display());
    assert_eq!(listen(with(&[])), expected("10.0.0.1:1", &line));
    assert_eq!(
        listen(with(&[alias])),
        expected("10.0.0.2:2", "SERVICE_LISTEN")
    );
    for order in [[alias, variable], [variable, alias]] {
        assert_eq!(
            listen(with(&order)),
            expected("10.0.0.3:3", "WAYPOST__HTTP__LISTEN")
        );
    }
    let flagged = with(&[alias, variable]).flag("--http", "http.listen", Some("10.0.0.4:4"));
    assert_eq!(listen(flagged), expected("10.0.0.4:4", "--http"));
    let not_given = with(&[variable]).flag("--http", "http.listen", None::<String>);
    assert_eq!(
        listen(not_given),
        expected("10.0.0.3:3", "WAYPOST__HTTP__LISTEN")
    );
}

#[test]
fn a_layer_leaves_the_settings_it_does_not_name_alone() {
    let file = File::of("[http]\nratio = 2\nworkers = 3\n");
    let pairs = [("WAYPOST__HTTP__WORKERS", "4")];
    let loaded = load(file.loader().environment(environment(&pairs)));
    assert_eq!(loaded.value.http.ratio, 2.0);
    assert_eq!(loaded.value.http.workers, Some(4));
    assert_eq!(loaded.value.http.body_limit_bytes, 1_048_576);
    assert_eq!(*loaded.origin("http.body_limit_bytes"), Origin::Default);
}

#[test]
fn text_of_a_variable_gets_the_type_of_its_setting() {
    let loaded = load(from_environment(&[
        ("WAYPOST__HTTP__BODY_LIMIT_BYTES", "2048"),
        ("WAYPOST__HTTP__WORKERS", "8"),
        ("WAYPOST__HTTP__RATIO", "0.25"),
        ("WAYPOST__HTTP__COMPRESS", "true"),
        ("WAYPOST__HTTP__STORE", "memory"),
        ("WAYPOST__HTTP__TRUSTED", "10.0.0.1, ::1"),
        ("WAYPOST__HTTP__LABELS__ZONE", "1"),
    ]));
    let http = loaded.value.http;
    assert_eq!(http.body_limit_bytes, 2048);
    assert_eq!(http.workers, Some(8));
    assert_eq!(http.ratio, 0.25);
    assert!(http.compress);
    assert_eq!(http.store, Store::Memory);
    assert_eq!(
        http.trusted,
        ["10.0.0.1", "::1"].map(|ip| ip.parse::<IpAddr>().unwrap())
    );
    assert_eq!(http.labels["zone"], "1");
}

#[test]
fn lists_and_tables_may_be_written_in_toml_in_a_variable() {
    let loaded = load(from_environment(&[
        ("WAYPOST__HTTP__TRUSTED", "[\"10.0.0.1\", \"10.0.0.2\"]"),
        ("WAYPOST__TLS", "{ certificate = \"c\", key = \"k\" }"),
        (
            "WAYPOST__ACCESS",
            "{ tokens = [{ name = \"ci\", secret = \"s\" }] }",
        ),
    ]));
    assert_eq!(loaded.value.http.trusted.len(), 2);
    assert_eq!(loaded.value.tls.unwrap().key, PathBuf::from("k"));
    assert_eq!(loaded.value.access.tokens[0].name, "ci");
}

#[test]
fn an_optional_section_may_come_from_two_layers() {
    let file = File::of("[tls]\ncertificate = \"c.pem\"\n");
    let pairs = [("WAYPOST__TLS__KEY", "k.pem")];
    let tls = load(file.loader().environment(environment(&pairs)))
        .value
        .tls
        .unwrap();
    assert_eq!((tls.certificate, tls.key), ("c.pem".into(), "k.pem".into()));
}

#[test]
fn an_empty_variable_is_not_set() {
    let loaded = load(from_environment(&[("WAYPOST__HTTP__LISTEN", "")]));
    assert_eq!(*loaded.origin("http.listen"), Origin::Default);
    assert_eq!(environment(&[("A", ""), ("B", "b")]).get("A"), None);
    assert_eq!(environment(&[("A", ""), ("B", "b")]).get("B"), Some("b"));
}

#[test]
fn variables_that_do_not_concern_us_are_not_looked_at() {
    let pairs = [
        (OsString::from("PATH"), OsString::from_vec(vec![0xff])),
        (OsString::from("WAYPOST_SERVER"), OsString::from("x")),
    ];
    let environment = pairs.into_iter().collect();
    load(Loader::new().environment(environment));
}

#[test]
fn a_known_variable_without_a_use_is_listed() {
    let aliases = [
        Alias::accepted("SERVICE_RETRY"),
        Alias::accepted("SERVICE_OTHER"),
    ];
    let loaded = load(from_environment(&[("SERVICE_RETRY", "3")]).aliases(&aliases));
    assert_eq!(loaded.accepted(), ["SERVICE_RETRY"]);
}

#[test]
fn an_alias_may_have_words_of_its_own() {
    let convert = |word: &str| match word {
        "memory_only" => Ok("memory".to_owned()),
        "redis_backed" => Err("redis_backed does not exist yet".to_owned()),
        other => Ok(other.to_owned()),
    };
    let with = |word| {
        let aliases = [Alias::converted("SERVICE_MODE", "http.store", convert)];
        from_environment(&[("SERVICE_MODE", word)]).aliases(&aliases)
    };
    assert_eq!(load(with("memory_only")).value.http.store, Store::Memory);
    assert_eq!(
        with("redis_backed")
            .load::<Config>()
            .unwrap_err()
            .to_string(),
        "the configuration has an error:\n  \
         http.store (SERVICE_MODE): redis_backed does not exist yet"
    );
}

#[test]
fn the_process_environment_is_read() {
    // Cargo sets this one for every test it runs.
    assert_eq!(
        process_environment().get("CARGO_PKG_NAME"),
        Some("waypost-config")
    );
}

#[test]
fn the_shown_table_has_every_setting_with_its_value_and_origin() {
    let file = File::of("[http]\ntrusted = [\"10.0.0.1\"]\nlabels = { zone = \"a\" }\n");
    let loaded = load(
        file.loader()
            .flag("--http", "http.listen", Some("0.0.0.0:80")),
    );
    let rows: BTreeMap<String, (String, String)> = loaded
        .rows()
        .into_iter()
        .map(|row| (row.key, (row.value.to_string(), row.origin.to_string())))
        .collect();
    let file = |line| format!("{}:{line}", file.path().display());
    let expected = [
        ("http.listen", "\"0.0.0.0:80\"", "--http".to_owned()),
        ("http.trusted", "[\"10.0.0.1\"]", file(2)),
        ("http.labels.zone", "\"a\"", file(3)),
        ("http.workers", "null", "default".to_owned()),
        ("access.tokens", "[]", "default".to_owned()),
        ("tls", "null", "default".to_owned()),
    ];
    for (key, value, origin) in expected {
        assert_eq!(rows[key], (value.to_owned(), origin), "{key}");
    }
    let shown = loaded.show(Format::Table);
    let line = shown
        .lines()
        .find(|line| line.starts_with("http.listen"))
        .unwrap();
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>(),
        ["http.listen", "0.0.0.0:80", "--http"]
    );
    let json: serde_json::Value = serde_json::from_str(&loaded.show(Format::Json)).unwrap();
    let row = json
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["key"] == "http.listen")
        .unwrap();
    assert_eq!(row["origin"], "--http");
    assert_eq!(row["variable"], "WAYPOST__HTTP__LISTEN");
}
