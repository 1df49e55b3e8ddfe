use std::collections::HashSet;

use rusqlite::Connection;
use waypost_core::{Health, Object, Precondition, Revision};
use waypost_testkit::{batch, document, mode, namespace, put, registration, service, verdict};

use super::{Home, commit_one, load, objects};
use crate::checksum;

/// Two instances with everything around them, closed in order.
fn filled() -> (Home, Vec<Object>) {
    let home = Home::new();
    let all = vec![
        namespace("svc.internal"),
        service("web"),
        registration("web", "a", 1),
        verdict("web", "a", Health::Healthy),
        mode("web", "a", waypost_core::Mode::Draining),
        registration("web", "b", 2),
        verdict("web", "b", Health::Healthy),
        document("one", b"bytes", None),
    ];
    commit_one(&home.open(), batch([], all.iter().cloned().map(put)));
    (home, all)
}

fn count(home: &Home, table: &str) -> i64 {
    let connection = Connection::open(home.file("registry.sqlite")).unwrap();
    connection
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get(0)
        })
        .unwrap()
}

#[test]
fn a_flipped_bit_in_any_column_is_noticed_and_named() {
    let edits = [
        "body = replace(body, '192.0.2.1', '192.0.2.0')",
        "body = CAST(substr(body, 1, 20) AS BLOB)",
        "body = 7",
        "key = 'svc.internal web c '",
        "kind = 'verdict'",
        "rev = 0",
        "format = format + 1",
        "crc = crc + 1",
        "crc = 'many'",
    ];
    for edit in edits {
        let (home, all) = filled();
        home.edit(&format!(
            "UPDATE object SET {edit} WHERE kind = 'registration' AND key LIKE '% b '"
        ));
        let loaded = load(&home.open());
        assert_eq!(
            loaded.quarantined.len(),
            2,
            "{edit}: {:?}",
            loaded.quarantined
        );
        let named = &loaded.quarantined[0];
        assert!(named.contains("svc.internal web"), "{edit}: {named}");
        // The rest is there, but for the verdict on what is no longer known.
        let expected: Vec<&Object> = all
            .iter()
            .filter(|object| **object != all[5] && **object != all[6])
            .collect();
        let found: Vec<&Object> = loaded.objects.iter().map(|(object, _)| object).collect();
        assert_eq!(found, expected, "{edit}");
    }
}

#[test]
fn a_damaged_object_is_named_with_its_kind_key_and_reason() {
    let (home, _) = filled();
    home.edit("UPDATE object SET body = 'x' || substr(body, 2) WHERE kind = 'service'");
    home.edit("UPDATE object SET body = CAST(body AS BLOB) WHERE kind = 'service'");
    let named = load(&home.open()).quarantined;
    assert_eq!(
        named,
        ["service svc.internal web: the row does not match its checksum"]
    );
}

#[test]
fn a_damaged_object_stays_aside_over_later_starts_and_never_comes_back() {
    let (home, all) = filled();
    home.edit("UPDATE object SET crc = 1 WHERE kind = 'document'");
    for _ in 0..3 {
        let store = home.open();
        let loaded = load(&store);
        assert_eq!(loaded.quarantined.len(), 1, "{:?}", loaded.quarantined);
        assert_eq!(loaded.objects.len(), all.len() - 1);
    }
    assert_eq!(count(&home, "quarantine"), 1, "its bytes are kept");
    assert_eq!(count(&home, "object"), 7);
}

#[test]
fn the_name_of_a_damaged_object_can_be_used_again() {
    let (home, _) = filled();
    home.edit("UPDATE object SET crc = 1 WHERE kind = 'registration' AND key LIKE '% a '");
    let store = home.open();
    let again = registration("web", "a", 9);
    let judged = verdict("web", "a", Health::Unknown);
    let absent = [&again, &judged].map(|object| Precondition::Absent(object.key()));
    commit_one(
        &store,
        batch(absent, [put(again.clone()), put(judged.clone())]),
    );
    drop(store);
    let found = objects(&home.open());
    assert!(found.contains(&again), "{found:?}");
    assert!(found.contains(&judged), "{found:?}");
}

#[test]
fn a_strict_start_is_refused_and_changes_nothing() {
    let (home, _) = filled();
    home.edit("UPDATE object SET crc = 1 WHERE kind = 'document'");
    let home = home.strict();
    let said = home.refusal();
    assert!(
        said.contains("document test one: the row does not match its checksum"),
        "{said}"
    );
    assert!(said.contains("strict_load"), "{said}");
    assert_eq!(count(&home, "quarantine"), 0);
    // What a start without it set aside keeps a strict one from starting too.
    let mut home = home;
    home.config.strict_load = false;
    drop(home.open());
    home.config.strict_load = true;
    assert!(home.refusal().contains("table quarantine"));
    home.edit("DELETE FROM quarantine");
    home.open();
}

#[test]
fn a_row_of_an_unknown_kind_is_set_aside() {
    let (home, all) = filled();
    let body = br#"{"of":1}"#.as_slice();
    let crc = checksum::of_row(99, b"gateway", b"one", 1, 1, body);
    let connection = Connection::open(home.file("registry.sqlite")).unwrap();
    connection
        .execute(
            "INSERT INTO object VALUES (99, 'gateway', 'one', 1, 1, ?1, ?2)",
            (body, crc),
        )
        .unwrap();
    drop(connection);
    let loaded = load(&home.open());
    let named = loaded.quarantined.join("; ");
    assert!(
        named.contains("gateway one: unknown kind of object"),
        "{named}"
    );
    assert_eq!(loaded.objects.len(), all.len());
}

#[test]
fn a_second_row_of_the_same_name_is_set_aside() {
    let (home, all) = filled();
    let connection = Connection::open(home.file("registry.sqlite")).unwrap();
    let body: Vec<u8> = connection
        .query_row(
            "SELECT body FROM object WHERE kind = 'document'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let crc = checksum::of_row(99, b"document", b"test one", 1, 1, &body);
    connection
        .execute(
            "INSERT INTO object VALUES (99, 'document', 'test one', 1, 1, ?1, ?2)",
            (&body, crc),
        )
        .unwrap();
    drop(connection);
    let loaded = load(&home.open());
    let named = loaded.quarantined.join("; ");
    assert!(
        named.contains("document test one: row 8 is of the same name"),
        "{named}"
    );
    assert_eq!(loaded.objects.len(), all.len());
}

#[test]
fn rows_that_vanished_are_counted() {
    let (home, _) = filled();
    home.edit("DELETE FROM object WHERE kind IN ('document', 'service')");
    let named = load(&home.open()).quarantined;
    assert_eq!(named, ["the file holds 6 objects where 8 were written"]);
    assert_eq!(
        load(&home.open()).quarantined,
        Vec::<String>::new(),
        "said once"
    );
}

#[test]
fn a_row_after_the_end_of_the_history_is_damage() {
    let (home, _) = filled();
    let crc = checksum::of_number("revision", 0);
    home.edit(&format!(
        "UPDATE meta SET value = 0, crc = {crc} WHERE key = 'revision'"
    ));
    assert!(
        home.refusal()
            .contains("a row is of revision 1, after the last one, 0")
    );
}

#[test]
fn a_row_that_is_lost_while_the_store_runs_ends_writing() {
    let (home, all) = filled();
    let store = home.open();
    store.with_connection(|connection| {
        connection
            .execute("DELETE FROM object WHERE kind = 'service'", [])
            .unwrap();
    });
    let results = super::commit(&store, vec![batch([], [put(all[1].clone())])]);
    assert!(
        matches!(results[..], [Err(waypost_core::CommitError::Unknown(_))]),
        "{results:?}"
    );
    let why = waypost_core::Store::read_only(&store).unwrap();
    assert!(
        why.contains("service svc.internal web is gone from the file"),
        "{why}"
    );
}

/// Whatever byte of the file is hit: what loads was written, and what does not load is missed or named.
#[test]
fn a_flipped_byte_anywhere_is_never_silently_wrong() {
    let home = Home::new();
    let store = home.open();
    let mut all = Vec::new();
    for number in 0..60 {
        let object = registration("web", &format!("instance-{number}"), number);
        commit_one(&store, batch([], [put(object.clone())]));
        all.push(object);
    }
    store.close().unwrap();
    drop(store);
    let whole = std::fs::read(home.file("registry.sqlite")).unwrap();
    let mut noticed = 0;
    for step in 0..400usize {
        let at = (step * 7_919) % whole.len();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (step % 8);
        let victim = home.crash();
        std::fs::write(victim.file("registry.sqlite"), bytes).unwrap();
        let Ok(store) = victim.try_open() else {
            noticed += 1;
            continue;
        };
        let loaded = load(&store);
        let found: HashSet<String> = loaded
            .objects
            .iter()
            .map(|(object, _)| format!("{object:?}"))
            .collect();
        for (object, revision) in &loaded.objects {
            assert!(all.contains(object), "byte {at} made up {object:?}");
            let written = 1 + all.iter().position(|one| one == object).unwrap() as u64;
            assert_eq!(*revision, Revision(written), "byte {at}");
        }
        assert_eq!(
            found.len(),
            loaded.objects.len(),
            "byte {at} doubled an object"
        );
        if found.len() < all.len() {
            assert!(
                !loaded.quarantined.is_empty(),
                "byte {at} lost an object silently"
            );
        }
        noticed += usize::from(!loaded.quarantined.is_empty());
    }
    assert!(noticed > 100, "only {noticed} of 400 flips hit anything");
}

#[test]
fn members_of_a_newer_writer_survive_a_rewrite() {
    let (home, _) = filled();
    let connection = Connection::open(home.file("registry.sqlite")).unwrap();
    let (id, key, body): (i64, String, Vec<u8>) = connection
        .query_row(
            "SELECT id, key, body FROM object WHERE kind = 'verdict' AND key LIKE '% a '",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    // As a writer of the next format would: one member more in the object itself, which is the last member of the row.
    let body = String::from_utf8(body).unwrap();
    let newer = format!(
        "{},\"confidence\":{{\"percent\":[ 99 ]}}}}}}",
        body.strip_suffix("}}").unwrap()
    );
    let next = i64::from(waypost_core::FORMAT) + 1;
    let crc = checksum::of_row(id, b"verdict", key.as_bytes(), 1, next, newer.as_bytes());
    connection
        .execute(
            "UPDATE object SET format = ?4, body = ?2, crc = ?3 WHERE id = ?1",
            (id, newer.as_bytes(), crc, next),
        )
        .unwrap();
    drop(connection);
    let store = home.open();
    let found = objects(&store).into_iter().find_map(|object| match object {
        Object::Verdict(key, verdict) if key.id.as_str() == "a" => Some((key, verdict)),
        _ => None,
    });
    let (of, mut changed) = found.unwrap();
    changed.health = Health::Unhealthy;
    commit_one(&store, batch([], [put(Object::Verdict(of, changed))]));
    let (format, body): (i64, Vec<u8>) = store.with_connection(|connection| {
        connection
            .query_row(
                "SELECT format, body FROM object WHERE id = ?1",
                [id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap()
    });
    let body = String::from_utf8(body).unwrap();
    assert_eq!(format, next);
    assert!(
        body.contains(r#""confidence":{"percent":[ 99 ]}"#),
        "{body}"
    );
    assert!(body.contains("Unhealthy"), "{body}");
}
