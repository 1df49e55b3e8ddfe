//! The shim over real programs: a shell and what every system has beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::thread;

use super::{Control, Operation, Record, Shim, Survivors};

struct Setting {
    control: Control,
    data: PathBuf,
    replays: PathBuf,
}

impl Setting {
    fn of(test: &str) -> Self {
        let tests = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shim");
        let folder = tests.join(test);
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        let shim = Shim::build(&tests).unwrap();
        let data = folder.join("data");
        Self {
            control: shim.over(&data, &folder.join("control")).unwrap(),
            data,
            replays: folder.join("replays"),
        }
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-e", "-c", script])
            .current_dir(&self.data)
            .envs(self.control.environment());
        command
    }

    fn run(&self, script: &str) -> Output {
        self.command(script).output().unwrap()
    }

    fn start(&self, script: &str) -> Child {
        self.command(script).spawn().unwrap()
    }

    fn record(&self) -> Record {
        self.control.record().unwrap()
    }

    /// Replays up to entry `last` into a new folder and gives what each file then holds.
    fn after(&self, last: usize, survivors: Survivors) -> Vec<(String, String)> {
        let folder = self.replays.join(format!("{last}-{survivors:?}"));
        self.record().replay(last, survivors, &folder).unwrap();
        contents(&folder)
    }
}

fn contents(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = if path.is_dir() {
                "folder".to_owned()
            } else {
                fs::read_to_string(path).unwrap()
            };
            (name, text)
        })
        .collect();
    files.sort();
    files
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    expected.iter().map(owned).collect()
}

#[test]
fn a_replay_of_everything_gives_the_same_files() {
    let setting = Setting::of("everything");
    let ran = setting.run(
        "printf one > a; printf two >> a; printf xxxxxx > b; truncate -s 3 b; mkdir d; mkdir e; rmdir e
         mv a c; printf gone > f; rm f; printf 12345 > g; printf 6 > g; cp g h
         printf Z | dd of=h bs=1 seek=2 conv=notrunc status=none",
    );
    assert!(ran.status.success(), "{ran:?}");
    let last = setting.record().entries.len() - 1;
    let replayed = setting.after(last, Survivors::Written);
    let expected = contents(&setting.data);
    assert_eq!(replayed, expected);
    assert_eq!(expected[1], ("c".to_owned(), "onetwo".to_owned()));
}

#[test]
fn only_what_was_synced_survives_a_loss_of_power() {
    let setting = Setting::of("power");
    let ran = setting.run(
        "printf one > a; sync -d a; printf two >> a; printf lost > b; sync a; printf three >> a",
    );
    assert!(ran.status.success(), "{ran:?}");
    let syncs = setting.record().syncs();
    assert_eq!(syncs.len(), 2);
    assert_eq!(
        setting.after(syncs[0].end, Survivors::Synced),
        pairs(&[("a", "one")])
    );
    let last = setting.record().entries.len() - 1;
    assert_eq!(
        setting.after(last, Survivors::Synced),
        pairs(&[("a", "onetwo"), ("b", "")])
    );
    assert_eq!(
        setting.after(last, Survivors::Written),
        pairs(&[("a", "onetwothree"), ("b", "lost")])
    );
}

#[test]
fn synced_content_follows_a_rename_and_not_the_name() {
    let setting = Setting::of("rename");
    let ran = setting.run("printf old > a; sync a; mv a b; printf new > a");
    assert!(ran.status.success(), "{ran:?}");
    let last = setting.record().entries.len() - 1;
    assert_eq!(
        setting.after(last, Survivors::Synced),
        pairs(&[("a", ""), ("b", "old")])
    );
}

#[test]
fn a_sync_waits_until_the_gate_is_opened() {
    let setting = Setting::of("gate");
    setting.control.close_gate().unwrap();
    let mut child = setting.start("printf one > a; sync -d a; printf two > b");
    while !setting.control.is_holding().unwrap() {
        assert_eq!(child.try_wait().unwrap(), None, "the sync was not held");
        thread::yield_now();
    }
    assert!(setting.record().syncs().is_empty());
    assert_eq!(contents(&setting.data), pairs(&[("a", "one")]));
    setting.control.open_gate().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!setting.control.is_holding().unwrap());
    let syncs = setting.record().syncs();
    assert_eq!(syncs.len(), 1);
    assert!(syncs[0].begin < syncs[0].end);
    let cuts = setting.record().cuts();
    assert_eq!(cuts.len(), 2);
    assert_eq!(cuts[0].last, syncs[0].end);
    assert!(cuts[0].record_bytes < cuts[1].record_bytes);
    assert_eq!(
        cuts[1].record_bytes,
        setting.control.record_bytes().unwrap()
    );
}

#[test]
fn syncs_and_writes_fail_while_they_are_told_to() {
    let setting = Setting::of("fail");
    setting.control.fail_syncs().unwrap();
    let failed = setting.run("printf one > a; sync -d a");
    assert!(!failed.status.success());
    assert!(String::from_utf8_lossy(&failed.stderr).contains("Input/output error"));
    setting.control.mend_syncs().unwrap();
    setting.control.fill_disk().unwrap();
    let failed = setting.run("sync -d a; printf two > b");
    assert!(!failed.status.success());
    setting.control.free_disk().unwrap();
    assert!(setting.run("printf three > c").status.success());
    assert_eq!(
        contents(&setting.data),
        pairs(&[("a", "one"), ("b", ""), ("c", "three")])
    );
    assert_eq!(setting.record().syncs().len(), 1);
}

#[test]
fn syncs_fail_after_the_number_that_is_asked_for() {
    let setting = Setting::of("after");
    let limited = |syncs: &str| {
        let mut command = setting.command("printf one > a; dd if=a of=b conv=fsync");
        let ran = command.env("WAYPOST_SHIM_FAIL_AFTER", syncs).output();
        ran.unwrap().status.success()
    };
    assert!(limited("1"));
    assert!(!limited("0"));
}

#[test]
fn a_record_goes_on_when_the_program_is_started_again() {
    let setting = Setting::of("again");
    for text in ["one", "two"] {
        let script = format!("printf {text} >> a; sync -d a");
        assert!(setting.run(&script).status.success());
    }
    let syncs = setting.record().syncs();
    assert_eq!(syncs.len(), 2);
    assert!(syncs[0].end < syncs[1].begin);
    assert_eq!(
        setting.after(syncs[1].end, Survivors::Synced),
        pairs(&[("a", "onetwo")])
    );
}

#[test]
fn files_outside_of_the_prefix_are_left_alone() {
    let setting = Setting::of("outside");
    setting.control.fail_syncs().unwrap();
    let ran = setting.run(
        "printf one > ../outside; sync ../outside; mkdir -p ../data-too; printf x > ../data-too/y",
    );
    assert!(ran.status.success(), "{ran:?}");
    assert!(setting.record().entries.is_empty());
}

#[test]
fn a_record_that_ends_early_gives_what_is_complete_and_a_broken_one_is_refused() {
    let setting = Setting::of("cut");
    assert!(
        setting
            .run("printf one > a; printf two > b")
            .status
            .success()
    );
    let record = setting.record();
    let bytes = fs::read(setting.data.join("../control/record")).unwrap();
    let cut = Record::parse(&bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(cut.entries, record.entries[..record.entries.len() - 1]);
    assert_eq!(
        record.entries.last().unwrap().operation,
        Operation::Write {
            offset: 0,
            data: b"two".to_vec()
        }
    );
    assert!(Record::parse(&bytes[1..]).is_err());
}
