use waypost_testkit::{batch, document, put};

use super::{Home, commit_one, load, objects};

/// What a killed process leaves: twenty commits, all of them only in the log.
fn killed() -> Home {
    let home = Home::new();
    let store = home.open();
    for number in 0..20 {
        let object = document(&format!("document-{number}"), &[7; 3_000], None);
        commit_one(&store, batch([], [put(object)]));
    }
    home.crash()
}

fn with_log(home: &Home, change: impl FnOnce(&mut Vec<u8>)) {
    let path = home.file("registry.sqlite-wal");
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_log_that_is_whole_is_taken_over() {
    let store = killed().open();
    assert_eq!(load(&store).quarantined, Vec::<String>::new());
}

#[test]
fn damage_in_the_middle_of_the_log_is_named_and_a_copy_kept() {
    for (part, name) in [(2, "middle"), (4, "quarter")] {
        let home = killed();
        with_log(&home, |log| {
            let at = log.len() / part + 100;
            log[at] ^= 1;
        });
        let damaged = std::fs::read(home.file("registry.sqlite-wal")).unwrap();
        let strict = home.crash().strict();
        assert!(
            strict
                .refusal()
                .contains("registry.sqlite-wal is damaged at its page")
        );
        let store = home.open();
        let loaded = load(&store);
        assert!(loaded.objects.len() < 20, "{name}");
        let named = loaded.quarantined.join("; ");
        assert!(
            named.contains("registry.sqlite-wal is damaged at its page"),
            "{named}"
        );
        assert!(named.contains("commits after it are lost"), "{named}");
        let kept = std::fs::read(home.file("registry.sqlite-wal.damaged")).unwrap();
        assert_eq!(kept, damaged);
    }
}

#[test]
fn a_damaged_head_of_the_log_is_named() {
    let home = killed();
    with_log(&home, |log| log[20] ^= 1);
    let named = load(&home.open()).quarantined.join("; ");
    assert!(named.contains("none of its"), "{named}");
}

#[test]
fn a_file_that_lost_everything_but_its_log_is_refused() {
    let home = killed();
    std::fs::write(home.file("registry.sqlite"), b"").unwrap();
    let said = home.refusal();
    assert!(said.contains("it is empty, but its log is not"), "{said}");
    assert!(home.file("registry.sqlite-wal").metadata().unwrap().len() > 0);
}

#[test]
fn a_torn_last_commit_is_no_damage() {
    let home = killed();
    with_log(&home, |log| log.truncate(log.len() - 2_000));
    let store = home.open();
    let loaded = load(&store);
    assert_eq!(loaded.quarantined, Vec::<String>::new());
    assert_eq!(loaded.objects.len(), 19);
    // The half of it that was written, with another page of the same commit missing before it.
    let home = killed();
    with_log(&home, |log| {
        let at = log.len() - 3_000;
        log[at] ^= 1;
    });
    assert_eq!(load(&home.open()).quarantined, Vec::<String>::new());
}

#[test]
fn a_long_log_is_brought_into_the_file_and_begins_anew() {
    let home = Home::new();
    let store = home.open();
    let mut longest = 0;
    for number in 0..1_200 {
        let key = format!("document-{}", number % 40);
        let object = document(&key, &[u8::try_from(number % 251).unwrap(); 60_000], None);
        commit_one(&store, batch([], [put(object)]));
        let log = home.file("registry.sqlite-wal").metadata().unwrap().len();
        longest = longest.max(log);
    }
    assert!(longest < 48 * 1_024 * 1_024, "{longest} bytes of log");
    assert!(
        longest > 24 * 1_024 * 1_024,
        "{longest} bytes: the limit was never reached"
    );
    // A log that began anew still holds pages of the one before it: no damage.
    let found = load(&home.crash().open());
    assert_eq!(found.quarantined, Vec::<String>::new());
    assert_eq!(found.objects.len(), 40);
    assert_eq!(objects(&home.crash().open()), objects(&store));
}
