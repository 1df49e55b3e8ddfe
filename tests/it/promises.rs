//! The pages for operators name the tests that hold what they promise, and metrics that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::Setup;

/// How the table of tests of a page begins.
const TABLE: &str = "| promise | test |\n|---|---|\n";
/// The page that has tables of its own, which `threats.rs` reads.
const THREATS: &str = "threats.md";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Gives the names of all functions of the workspace that a test runner calls.
pub(crate) fn known_tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["crates", "tests", "xtask"] {
        collect(&root().join(folder), &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.extend(tests_in(&fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Gives the names of the functions that have the attribute of a test; those inside of `proptest!` have it, too.
fn tests_in(source: &str) -> Vec<String> {
    let mut is_test = false;
    let mut found = Vec::new();
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ")
            && !line.starts_with("//")
        {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            if is_test {
                found.push(name.to_owned());
            }
            is_test = false;
        }
    }
    found
}

/// The pages beside the one that leads to them, by name.
fn pages() -> BTreeMap<String, String> {
    let folder = root().join("docs/operations");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let pages = files.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    pages.filter(|(name, _)| name != "README.md").collect()
}

/// The rows of the table with which a page ends: what is promised, and the tests.
fn promises(page: &str) -> Vec<(&str, Vec<&str>)> {
    let Some((_, table)) = page.split_once(TABLE) else {
        return Vec::new();
    };
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells = row.trim_matches('|').trim();
        let (promise, tests) = cells.split_once(" | ").unwrap_or((cells, ""));
        (promise, tests.split('`').skip(1).step_by(2).collect())
    })
    .collect()
}

#[test]
fn every_page_for_operators_names_tests_that_exist_for_what_it_promises() {
    let known = known_tests();
    let guide = fs::read_to_string(root().join("docs/operations/README.md")).unwrap();
    for (name, page) in pages() {
        assert!(
            guide.contains(&format!("({name})")),
            "nothing leads to {name}"
        );
        if name == THREATS {
            continue;
        }
        let promises = promises(&page);
        assert!(promises.len() > 3, "{name} names no tests: {promises:?}");
        for (promise, tests) in promises {
            assert!(!tests.is_empty(), "{name}: no test for: {promise}");
            let missing: Vec<_> = tests
                .iter()
                .filter(|test| !known.contains(**test))
                .collect();
            assert!(missing.is_empty(), "{name}: no such tests: {missing:?}");
        }
    }
}

#[test]
fn only_what_a_test_runner_calls_is_taken_for_a_test() {
    let source = "#[test]\n#[expect(\n    x\n)]\nfn one() {}\n\nfn helper() {}\n\
        /// Like #[test] fn it_says().\n#[tokio::test(flavor = \"current_thread\")]\nasync fn two() {}\n\
        proptest! {\n    #[test]\n    fn three(a in 0..3) { fn inner() {} }\n}\n// #[test]\n// fn four() {}\n";
    assert_eq!(tests_in(source), ["one", "two", "three"]);
    let page =
        format!("# A\n\n{TABLE}| it holds | `a`, `b` |\n| nobody looks | |\n\n| x | `y` |\n");
    let expected = [("it holds", vec!["a", "b"]), ("nobody looks |", vec![])];
    assert_eq!(promises(&page), expected);
    assert!(promises("# A\n\n| promise | tests |\n").is_empty());
}

/// What is told to be watched is there to be watched: with TLS and with snapshots, which have figures of their own.
#[test]
fn every_metric_that_the_pages_for_operators_name_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = format!("[http.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
    let server = Setup::new()
        .file(tls)
        .env("WAYPOST__STORE_SQLITE__SNAPSHOT_INTERVAL_HOURS", "6")
        .start();
    let url = format!("https://{}/metrics", server.address());
    let shown = Command::new("curl").args(["-sSfk", &url]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let types: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let mut named = BTreeSet::new();
    for page in fs::read_dir(root().join("docs/operations")).unwrap() {
        let text = fs::read_to_string(page.unwrap().path()).unwrap();
        let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        named.extend(
            words
                .filter(|word| word.len() > 8 && word.starts_with("waypost_"))
                .map(str::to_owned),
        );
    }
    assert!(named.len() > 15, "{named:?}");
    let is_there = |name: &&String| {
        let parts = ["", "_bucket", "_count", "_sum"];
        let family = |part: &&str| {
            name.strip_suffix(*part)
                .is_some_and(|it| types.contains(&it))
        };
        parts.iter().any(family)
    };
    let missing: Vec<&String> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in\n{shown}");
}
