//! Every write of a busy server is recorded; the disk of each moment is made again and must hold what was
//! acknowledged before that moment.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;
use waypost_core::{Object, Store, SystemClock};
use waypost_store_sqlite::{SqliteConfig, SqliteStore};

use super::{Controlled, instance, registration};
use crate::record::{Control, Cut, Operation, Record, Survivors};
use crate::server::{Server, Setup};
use crate::skips::long_forms;

const WRITERS: usize = 8;
const KEYS_OF_A_WRITER: usize = 4;
/// Changes of a writer in each of two runs. Making all disks again costs their square.
const ACTS: usize = 40;
/// Cuts of the short form, for each kind of crash.
const CUTS: usize = 60;
/// Crashes within the first start that the binary is started after.
const STARTS: usize = 10;

/// What a writer did to an instance, in its order.
struct Act {
    /// The size of the record before it was sent: nothing of it is in the record up to there.
    sent_at: u64,
    /// The size of the record when its answer was there.
    answered_at: u64,
    /// The version it left; none for a deregistration.
    version: Option<String>,
}

/// What is left of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    /// The process died: everything that was written.
    Written,
    /// The power failed: what was synced, and nothing else.
    Synced,
    /// The power failed: what was synced, and of everything else a part, in any order, in whole sectors.
    Torn,
}

const SECTOR_BYTES: usize = 512;

type History = BTreeMap<String, Vec<Act>>;
type Found = BTreeMap<String, String>;

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_moment() {
    let Some(controlled) =
        Controlled::new("what_was_acknowledged_survives_a_power_cut_at_any_moment")
    else {
        return;
    };
    let history = load(&controlled, "full");
    let record = controlled.control.record().unwrap();
    let moments: Vec<Cut> = entries(&record);
    // The power can fail at any moment, but only the end of a sync changes what is left for sure.
    let tried = [
        (Crash::Synced, record.cuts()),
        (Crash::Torn, moments.clone()),
        (Crash::Written, moments),
    ];
    for (crash, cuts) in tried {
        let of = cuts.len();
        let cuts = sample(cuts);
        for cut in &cuts {
            let folder = replay(&controlled, &record, *cut, crash);
            let failed = |why: String| -> ! { panic!("{crash:?}, {cut:?}: {why}") };
            let found = read_store(folder.path()).unwrap_or_else(|why| failed(why));
            judge(&history, *cut, &found).unwrap_or_else(|why| failed(why));
        }
        println!(
            "{} of {of} cuts, {crash:?}: 0 lost, 0 failed opens",
            cuts.len()
        );
    }
    the_binary_opens(&controlled, &record, &history);
}

#[test]
fn without_syncs_the_power_cut_loses_something() {
    let Some(controlled) = Controlled::new("without_syncs_the_power_cut_loses_something") else {
        return;
    };
    let history = load(&controlled, "off");
    let record = controlled.control.record().unwrap();
    let cut = *entries(&record).last().unwrap();
    // What the process wrote is there, so it is the missing sync that loses it.
    let written = replay(&controlled, &record, cut, Crash::Written);
    let found = read_store(written.path()).unwrap();
    assert_eq!(judge(&history, cut, &found), Ok(()));
    let synced = replay(&controlled, &record, cut, Crash::Synced);
    let found = read_store(synced.path()).unwrap_or_default();
    let loss = judge(&history, cut, &found).unwrap_err();
    assert!(loss.contains("acknowledged"), "{loss}");
}

/// Loads a server twice, over a shutdown in order, and kills it.
fn load(controlled: &Controlled, synchronous: &str) -> History {
    let mut server = controlled.start(synchronous);
    let mut history = History::new();
    write(&server, &controlled.control, "first", &mut history);
    server.restart();
    write(&server, &controlled.control, "second", &mut history);
    server.kill9();
    history
}

fn write(server: &Server, control: &Control, run: &str, history: &mut History) {
    thread::scope(|scope| {
        let writer = |number| scope.spawn(move || act(server, control, run, number));
        let writers: Vec<_> = (0..WRITERS).map(writer).collect();
        for writer in writers {
            history.extend(writer.join().unwrap());
        }
    });
}

/// Registers, updates twice and deregisters, over and over; no two writers share an instance.
fn act(server: &Server, control: &Control, run: &str, writer: usize) -> History {
    let mut connection = server.connect();
    let mut history = History::new();
    for number in 0..ACTS {
        let id = format!("{run}-{writer}-{}", number % KEYS_OF_A_WRITER);
        let version = (number / KEYS_OF_A_WRITER % 4 != 3).then(|| format!("{number}"));
        let (method, body) = match &version {
            Some(version) => ("PUT", registration(version)),
            None => ("DELETE", Value::Null),
        };
        let sent_at = control.record_bytes().unwrap();
        let answer = connection.ask(method, &instance(&id), &body).unwrap();
        assert!(answer.is_success(), "{method} {id}: {}", answer.text());
        history.entry(id).or_default().push(Act {
            sent_at,
            answered_at: control.record_bytes().unwrap(),
            version,
        });
    }
    history
}

/// Every moment at which the process can have died.
fn entries(record: &Record) -> Vec<Cut> {
    let entries = record.entries.iter().enumerate();
    entries
        .filter(|(_, entry)| entry.operation != Operation::SyncBegins)
        .map(|(last, entry)| Cut {
            last,
            record_bytes: entry.record_bytes,
        })
        .collect()
}

fn sample(cuts: Vec<Cut>) -> Vec<Cut> {
    assert!(cuts.len() >= CUTS, "{} cuts prove little", cuts.len());
    if long_forms() {
        return cuts;
    }
    let last = cuts.len() - 1;
    (0..CUTS)
        .map(|number| cuts[number * last / (CUTS - 1)])
        .collect()
}

fn replay(controlled: &Controlled, record: &Record, cut: Cut, crash: Crash) -> TempDir {
    let folder = tempfile::tempdir_in(controlled.folder.path()).unwrap();
    let replayed = match crash {
        Crash::Written => record.replay(cut.last, Survivors::Written, folder.path()),
        Crash::Synced => record.replay(cut.last, Survivors::Synced, folder.path()),
        Crash::Torn => tear(record, cut).replay(cut.last, Survivors::Written, folder.path()),
    };
    replayed.unwrap();
    folder
}

/// Leaves of each write that was not synced before the cut all, nothing or its first sectors.
fn tear(record: &Record, cut: Cut) -> Record {
    let mut torn = Record {
        entries: record.entries[..=cut.last].to_vec(),
    };
    let mut safe_until: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for entry in &torn.entries {
        if let Operation::SyncEnded { begin } = entry.operation {
            let until = safe_until.entry(entry.path.clone()).or_default();
            *until = begin.max(*until);
        }
    }
    for (index, entry) in torn.entries.iter_mut().enumerate() {
        let is_safe = safe_until
            .get(&entry.path)
            .is_some_and(|until| index < *until);
        if let (Operation::Write { data, .. }, false) = (&mut entry.operation, is_safe) {
            let luck = (index ^ cut.last).wrapping_mul(2_654_435_761) >> 7;
            let sectors = data.len().div_ceil(SECTOR_BYTES);
            let left = match luck % 3 {
                0 => 0,
                1 => luck / 3 % (sectors + 1),
                _ => sectors,
            };
            data.truncate(left * SECTOR_BYTES);
        }
    }
    torn
}

/// Opens the store as the binary does, and gives the version of each instance.
fn read_store(folder: &Path) -> Result<Found, String> {
    let config = SqliteConfig {
        data_dir: folder.to_owned(),
        ..SqliteConfig::default()
    };
    let clock = Arc::new(SystemClock::new());
    let store = SqliteStore::open(&config, clock).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let loaded = runtime
        .block_on(store.load())
        .map_err(|error| error.to_string())?;
    if !loaded.quarantined.is_empty() {
        return Err(format!("damaged: {:?}", loaded.quarantined));
    }
    let registrations = loaded.objects.into_iter().filter_map(|(object, _)| {
        let Object::Registration(key, registration) = object else {
            return None;
        };
        let version = registration.spec.attributes.get("version")?.to_owned();
        Some((key.id.as_str().to_owned(), version))
    });
    Ok(registrations.collect())
}

/// Says which acknowledged act is not in what was found.
fn judge(history: &History, cut: Cut, found: &Found) -> Result<(), String> {
    for id in found.keys() {
        if !history.contains_key(id) {
            return Err(format!("{cut:?}: nobody registered {id}"));
        }
    }
    for (id, acts) in history {
        let sent = acts.iter().take_while(|act| act.sent_at < cut.record_bytes);
        let sent: Vec<&Act> = sent.collect();
        let answered = |act: &&Act| act.answered_at <= cut.record_bytes;
        let acknowledged = sent.iter().filter(|act| answered(act)).count();
        // The last acknowledged act, or the one that was under way.
        let mut possible: Vec<Option<&String>> = sent
            .iter()
            .skip(acknowledged.saturating_sub(1))
            .map(|act| act.version.as_ref())
            .collect();
        if acknowledged == 0 {
            possible.push(None);
        }
        let found = found.get(id);
        if !possible.contains(&found) {
            return Err(format!(
                "{cut:?}: {id} is {found:?}, but what was acknowledged leaves only {possible:?}"
            ));
        }
    }
    Ok(())
}

/// What the store's tests above leave out: the journal, the server key, and crashes before anything was registered.
fn the_binary_opens(controlled: &Controlled, record: &Record, history: &History) {
    let moments = entries(record);
    let newest = *moments.last().unwrap();
    let first = history.values().flatten().map(|act| act.sent_at).min();
    let first_start = moments
        .iter()
        .take_while(|cut| Some(cut.record_bytes) <= first);
    let first_start: Vec<Cut> = first_start.copied().collect();
    assert!(!first_start.is_empty());
    let step = first_start.len().div_ceil(STARTS);
    let torn = first_start.into_iter().step_by(step);
    let torn = torn.map(|cut| (Crash::Torn, cut));
    let last = [Crash::Synced, Crash::Torn, Crash::Written].map(|crash| (crash, newest));
    for (crash, cut) in torn.chain(last) {
        let folder = replay(controlled, record, cut, crash);
        for key in ["server.key", "server.key.new"].map(|name| folder.path().join(name)) {
            // The record keeps no modes.
            if key.exists() {
                fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
            }
        }
        let server = Setup::new().data_dir(folder.path()).start();
        judge(history, cut, &read_server(&server)).unwrap_or_else(|why| panic!("{crash:?} {why}"));
    }
}

fn read_server(server: &Server) -> Found {
    let path = "/v1/namespaces/svc.internal/services/web/instances?limit=1000";
    let answer = server.get(path);
    if answer.status == 404 {
        return Found::new();
    }
    let list = answer.expect(200).json();
    let instances = list["instances"].as_array().unwrap().iter();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    instances
        .map(|instance| {
            let version = &instance["attributes"]["version"];
            (word(&instance["id"]), word(version))
        })
        .collect()
}
