//! Every file of a data directory, cut short and with flipped bits: the start is refused in words, or what is damaged is named,
//! or everything is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{SERVICE, instance};
use crate::server::{Server, Setup};
use crate::skips::long_forms;

/// Damages of each file, in the short form and in the long one.
const DAMAGES: [usize; 2] = [12, 1_500];
const INSTANCES: usize = 40;

/// What is in a registry, vitals aside.
type Contents = BTreeMap<String, Value>;

/// A data directory as a kill leaves it, with everything that is in it.
struct Kept {
    folder: TempDir,
    contents: Contents,
    /// What was there after each change since the last start in order.
    moments: Vec<Contents>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

fn kept() -> Kept {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Setup::new().data_dir(folder.path()).start();
    for number in 0..INSTANCES {
        let body = json!({
            "address": "10.0.0.1", "port": 80, "attributes": {"number": number.to_string()}, "tags": ["kept"],
        });
        server
            .put(&instance(&format!("i{number}")), &body)
            .expect(201);
    }
    // Half of it in the file, half in its log.
    assert!(server.terminate().success());
    server.restart();
    let mut moments = vec![contents(&server)];
    for number in 0..INSTANCES / 2 {
        let body = json!({"address": "10.0.0.2", "port": 81, "attributes": {"number": number.to_string()}});
        server
            .put(&instance(&format!("j{number}")), &body)
            .expect(201);
        moments.push(contents(&server));
        server.delete(&instance(&format!("i{number}"))).expect(204);
        moments.push(contents(&server));
    }
    let contents = contents(&server);
    server.kill9();
    let files = fs::read_dir(folder.path()).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        (PathBuf::from(path.file_name().unwrap()), bytes)
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    Kept {
        contents,
        moments,
        files,
        folder,
    }
}

fn contents(server: &Server) -> Contents {
    let answer = server.get(&format!("{SERVICE}/instances?limit=1000"));
    if answer.status == 404 {
        return Contents::new();
    }
    let list = answer.expect(200).json();
    let instances = list["instances"].as_array().unwrap().iter();
    instances
        .map(|it| {
            let said = json!([
                it["address"],
                it["ports"],
                it["attributes"],
                it["tags"],
                it["registration_id"],
            ]);
            (it["id"].as_str().unwrap().to_owned(), said)
        })
        .collect()
}

/// What became of a damage.
#[derive(Debug, Default)]
struct Outcomes {
    refused: usize,
    named: usize,
    earlier: usize,
    without_effect: usize,
}

/// Starts over a damaged copy.
fn start_over(
    kept: &Kept,
    name: &Path,
    bytes: &[u8],
    outcomes: &mut Outcomes,
) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    for (file, bytes) in &kept.files {
        fs::write(folder.path().join(file), bytes).unwrap();
        let from = fs::metadata(kept.folder.path().join(file)).unwrap();
        fs::set_permissions(folder.path().join(file), from.permissions()).unwrap();
    }
    fs::write(folder.path().join(name), bytes).unwrap();
    match Setup::new().data_dir(folder.path()).try_start() {
        Err(said) => {
            outcomes.refused += 1;
            let file = name.file_stem().unwrap().to_string_lossy();
            let place = folder.path().display().to_string();
            // The file by its name, and a next step.
            let names_it = said.contains(&*file) || said.contains(&place);
            let steps = [
                "restore", "remove", "snapshot", "backup", "move", "copy", "start", "delete",
            ];
            let remedy = steps.iter().any(|word| said.to_lowercase().contains(word));
            if names_it && remedy && !said.contains("panicked") {
                return Ok(());
            }
            Err(format!("the refusal does not help: {said}"))
        }
        Ok(server) => {
            let found = contents(&server);
            let log = server.log();
            if log.contains("panicked") {
                return Err(log);
            }
            if found == kept.contents {
                outcomes.without_effect += 1;
                return Ok(());
            }
            // A log that ends early is what a power cut leaves of what was not acknowledged, and is taken for that: the
            // registry is as it was at a moment, and nothing of one change is there without the rest. The journal tells.
            let is_log = name.extension().is_some_and(|end| end == "sqlite-wal");
            if is_log && kept.moments.contains(&found) && log.contains("changes are missing") {
                outcomes.earlier += 1;
                return Ok(());
            }
            // What is there is as it was, and what is not there is named as damaged.
            outcomes.named += 1;
            for (id, was) in &kept.contents {
                match found.get(id) {
                    Some(is) if is == was => {}
                    Some(is) => return Err(format!("{id} is {is}, it was {was}: {log}")),
                    None if log.contains("damage") => {}
                    None => return Err(format!("{id} is gone without a word: {log}")),
                }
            }
            match found.keys().find(|id| !kept.contents.contains_key(*id)) {
                Some(id) if !log.contains("damage") => {
                    Err(format!("{id} came back without a word: {log}"))
                }
                _ => Ok(()),
            }
        }
    }
}

/// Numbers that are spread over what is below `end`, the same in every run.
fn spread(count: usize, end: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |number| (number * 0x9e37_79b1 + 17) % end.max(1))
}

#[test]
fn a_damaged_file_is_refused_or_named_or_makes_no_difference() {
    let kept = kept();
    let count = DAMAGES[usize::from(long_forms())];
    let mut wrong = Vec::new();
    for (name, bytes) in &kept.files {
        let mut outcomes = Outcomes::default();
        let mut judge = |what: String, damaged: &[u8]| {
            if let Err(why) = start_over(&kept, name, damaged, &mut outcomes) {
                wrong.push(format!("{}, {what}: {why}", name.display()));
            }
        };
        for at in spread(count, bytes.len()).filter(|_| !bytes.is_empty()) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            judge(format!("bit {} of byte {at}", at % 8), &damaged);
        }
        // The first pages hold what all others hang on.
        for at in spread(count / 2, bytes.len().min(100)).filter(|_| !bytes.is_empty()) {
            let mut damaged = bytes.clone();
            damaged[at] = !damaged[at];
            judge(format!("all bits of byte {at}"), &damaged);
        }
        for length in spread(count / 2, bytes.len()).chain([0]) {
            judge(format!("cut to {length} bytes"), &bytes[..length]);
        }
        println!("{}, {} bytes: {outcomes:?}", name.display(), bytes.len());
    }
    assert!(
        wrong.is_empty(),
        "{} damages:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
