//! What the README tells a newcomer to type, typed.
//!
//! The blocks marked `sh test` of a text are one session of a shell that stops at the first failure, against a server
//! of the test's own in place of `http://127.0.0.1:3004`. A `text` block right after one shows what it prints: each of
//! its lines has to come, in order, with whatever numbers; a line `...` stands for any lines.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::server::{Server, eventually_within};
use crate::shell_blocks::{ShellBlock, shell_blocks};

const SERVER_IN_TEXTS: &str = "http://127.0.0.1:3004";
const SESSION_MAX: Duration = Duration::from_secs(120);

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A shell with everything it started; dropping it ends them all.
struct Session(Child);

impl Session {
    fn start(script: &str, server: &Server, folder: &Path, log: &Path) -> Self {
        let home = folder.join("home");
        fs::create_dir(&home).unwrap();
        let binaries = Path::new(env!("CARGO_BIN_EXE_waypost")).parent().unwrap();
        let mut places = vec![binaries.to_owned()];
        places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut shell = Command::new("sh");
        shell
            .args(["-eu", "-c", script])
            .env("PATH", std::env::join_paths(places).unwrap())
            .env("SERVICE_DISCOVERY_URL", server.url())
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log).unwrap())
            .process_group(0);
        for variable in [
            "WAYPOST_TOKEN",
            "SERVICE_DISCOVERY_SECRET",
            "SERVICE_NAMESPACE",
        ] {
            shell.env_remove(variable);
        }
        Self(shell.spawn().unwrap())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let kill = ["-KILL", "--", &group];
        drop(
            Command::new("kill")
                .args(kill)
                .stderr(Stdio::null())
                .status(),
        );
        drop(self.0.wait());
    }
}

/// The lines of the `text` block that follows a block, if there is one.
fn expected_output(markdown: &str, block: &ShellBlock) -> Option<Vec<String>> {
    let after = block.line + block.text.lines().count() + 1;
    let mut lines = markdown
        .lines()
        .skip(after)
        .skip_while(|line| line.trim().is_empty());
    lines.next().filter(|line| line.trim() == "```text")?;
    let shown = lines.take_while(|line| line.trim() != "```");
    Some(shown.map(loose).filter(|line| !line.is_empty()).collect())
}

/// A line without what differs from run to run: each number becomes `0`, each gap one space.
fn loose(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut text = String::new();
    for character in words.join(" ").chars() {
        if !character.is_ascii_digit() {
            text.push(character);
        } else if !text.ends_with('0') {
            text.push('0');
        }
    }
    text
}

/// Checks that the lines come in this order, with others only where `...` stands or around all of them.
fn comes(expected: &[String], found: &[String]) -> Result<(), String> {
    let mut rest = found.iter();
    for line in expected.iter().filter(|line| *line != "...") {
        if !rest.any(|other| other == line) {
            return Err(format!("{line:?} does not come in {found:#?}"));
        }
    }
    Ok(())
}

/// Writes the session: each block's output goes to a file of its own.
fn script(blocks: &[ShellBlock], folder: &Path, url: &str) -> String {
    let mut script = String::from("exec 3>&2\n");
    for (number, block) in blocks.iter().enumerate() {
        let output = output_of(folder, number);
        script.push_str(&format!("exec >{} 2>&1\n", output.display()));
        script.push_str(&format!("echo 'reached line {}' >&3\n", block.line));
        script.push_str(&block.text.replace(SERVER_IN_TEXTS, url));
        script.push('\n');
    }
    script
}

fn output_of(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("output-{number}"))
}

fn runs(path: &str) {
    session(&read(path)).unwrap_or_else(|why| panic!("{path}: {why}"));
}

/// Runs the marked blocks of a text; the error says what went wrong and what was printed.
fn session(markdown: &str) -> Result<(), String> {
    let blocks: Vec<ShellBlock> = shell_blocks(markdown)
        .into_iter()
        .filter(|block| block.marks.split([',', ' ']).any(|mark| mark == "test"))
        .collect();
    if blocks.is_empty() {
        return Err("there is no block marked `sh test`".to_owned());
    }
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = script(&blocks, folder.path(), &server.url());
    let mut shell = Session::start(&script, &server, folder.path(), &log);
    let ended = eventually_within(SESSION_MAX, "the blocks end", || {
        shell.0.try_wait().unwrap()
    });
    let outputs: Vec<String> = (0..blocks.len())
        .map(|number| fs::read_to_string(output_of(folder.path(), number)).unwrap_or_default())
        .collect();
    if !ended.success() {
        let log = fs::read_to_string(&log).unwrap();
        return Err(format!("{ended}\n{log}{}", outputs.join("")));
    }
    for (block, output) in blocks.iter().zip(&outputs) {
        let Some(expected) = expected_output(markdown, block) else {
            continue;
        };
        let found: Vec<String> = output.lines().map(loose).collect();
        comes(&expected, &found)
            .map_err(|why| format!("the block of line {}: {why}", block.line))?;
    }
    Ok(())
}

#[test]
fn the_readme_does_what_it_says() {
    runs("README.md");
}

#[test]
fn the_readme_of_the_http_api_does_what_it_says() {
    runs("crates/waypost-api-rest/README.md");
}

#[test]
fn every_page_of_the_documents_does_what_it_says() {
    let named = |folder: &str| {
        let files = fs::read_dir(root().join(folder)).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let pages = names.filter(|name| name.ends_with(".md"));
        pages
            .map(|name| format!("{folder}/{name}"))
            .collect::<Vec<_>>()
    };
    let mut pages = [named("docs"), named("docs/operations")].concat();
    pages.retain(|page| read(page).contains("```sh test"));
    pages.sort();
    assert!(pages.len() >= 9, "{pages:?}");
    for page in pages {
        runs(&page);
    }
}

#[test]
fn the_readme_begins_with_the_command_that_serves_and_names_the_one_that_tests() {
    let commands: Vec<String> = shell_blocks(&read("README.md"))
        .iter()
        .flat_map(ShellBlock::commands)
        .collect();
    let first = commands.first().expect("a command");
    assert!(
        first.starts_with("cargo run --release -- serve"),
        "the first command is {first}"
    );
    let has_tests = commands
        .iter()
        .any(|command| command.starts_with("cargo xtask test"));
    assert!(has_tests, "{commands:#?}");
}

#[test]
fn a_session_reaches_the_server_by_address_and_by_command() {
    let text = "```sh test\nservice=web\nwaypost register $service --address 127.0.0.1 --port 8080\n```\n\
        ```text\nregistered web/127.0.0.1:8080 in svc.internal at 127.0.0.1:8080\n```\n\
        ```sh\nfalse\n```\n\
        ```sh test\nsleep 60 &\ncurl -fs http://127.0.0.1:3004/v1/discover/$service; echo\n```\n";
    assert_eq!(session(text), Ok(()));
}

#[test]
fn a_block_that_fails_is_noticed() {
    let missing = session("```sh test\nwaypost get nothing\n```\n").unwrap_err();
    assert!(missing.contains("nothing"), "{missing}");
    let text = "```sh test\necho one\n```\n```text\ntwo\n```\n";
    assert!(session(text).is_err());
    assert!(session("```sh\ntrue\n```\n").is_err(), "nothing was run");
}

#[test]
fn a_missing_line_of_output_is_noticed() {
    let found = ["web/a is OUT", "SINCE 0 s ago"].map(str::to_owned);
    let lines = |lines: &[&str]| lines.iter().map(|line| loose(line)).collect::<Vec<_>>();
    assert_eq!(
        comes(&lines(&["web/a  is OUT", "...", "SINCE 12 s ago"]), &found),
        Ok(())
    );
    assert!(comes(&lines(&["SINCE 12 s ago", "web/a is OUT"]), &found).is_err());
    assert!(comes(&lines(&["web/b is OUT"]), &found).is_err());
}

#[test]
fn the_output_that_follows_a_block_is_found() {
    let markdown = "```sh test\nls\n```\n\n```text\na 12\n\nb\n```\n```sh test\nls\n```\nwords\n```text\nno\n```\n";
    let blocks = shell_blocks(markdown);
    let expected = expected_output(markdown, &blocks[0]).unwrap();
    assert_eq!(expected, ["a 0", "b"]);
    assert_eq!(expected_output(markdown, &blocks[1]), None);
}
