use serde_json::Value;

use super::*;
use crate::batch::{Document, Object};
use crate::name::{DocumentKey, ObjectKey};
use crate::registration::Dialect;
use crate::text::text;

fn document(key: &str, bytes: usize) -> Object {
    Object::Document(std::sync::Arc::new(Document {
        key: DocumentKey::new("test/kind", key).unwrap(),
        bytes: format!("\"{}\"", "x".repeat(bytes)).into_bytes().into(),
        expiry: None,
    }))
}

fn change(number: usize, before: Option<usize>, after: Option<usize>) -> ObjectChange {
    let key = format!("number-{number}");
    let of = |bytes| document(&key, bytes);
    let object = ObjectKey::Document(DocumentKey::new("test/kind", &key).unwrap());
    ObjectChange::new(&object, before.map(of), after.map(of))
}

fn line(objects: Vec<ObjectChange>) -> JournalEntry {
    JournalEntry {
        at: Timestamp(1_790_000_000_000),
        revision: Revision(7),
        author: Author {
            subject: text("tester"),
            address: None,
            dialect: Dialect::Rest,
        },
        record: JournalRecord::Changed {
            cause: text("register"),
            objects,
        },
    }
}

/// Says of each content of the line whether it is there, or how long it was.
fn contents(line: &JournalEntry) -> Vec<Result<usize, u64>> {
    let JournalRecord::Changed { objects, .. } = &line.record else {
        panic!("{line:?}");
    };
    let contents = objects
        .iter()
        .flat_map(|object| [&object.before, &object.after]);
    let said = contents.flatten().map(|content| {
        let json = content.to_json();
        match json.get("omitted_bytes").and_then(Value::as_u64) {
            Some(bytes) => Err(bytes),
            None => Ok(json["content"].as_str().unwrap().len()),
        }
    });
    said.collect()
}

#[test]
fn a_line_of_common_length_is_written_whole() {
    let whole = line(
        (0..15)
            .map(|number| change(number, Some(8_000), Some(8_000)))
            .collect(),
    );
    let (same, text) = whole.clone().written().unwrap();
    assert_eq!(same, whole);
    assert_eq!(text, serde_json::to_string(&whole).unwrap());
    assert_eq!(contents(&whole), vec![Ok(8_000); 30]);
}

#[test]
fn of_a_line_that_is_too_long_contents_stay_as_long_as_there_is_room_and_the_others_sizes() {
    let mut objects: Vec<_> = (0..40)
        .map(|number| change(number, Some(15_000), Some(15_000)))
        .collect();
    // Longer than any object may be, and small enough to find a place at the end.
    objects.insert(0, change(40, None, Some(20_000)));
    objects.push(change(41, Some(10), None));
    let (shorter, text) = line(objects).written().unwrap();
    assert!(text.len() < 300_000, "{}", text.len());
    let said = contents(&shorter);
    assert_eq!(said.len(), 82);
    assert_eq!(said[0], Err(20_028), "its size is the one of before");
    assert_eq!(said[1..18], vec![Ok(15_000); 17]);
    assert_eq!(said[18..81], vec![Err(15_028); 63]);
    assert_eq!(said[81], Ok(10));
    // Whoever reads the text finds the same.
    let read: JournalEntry = serde_json::from_str(&text).unwrap();
    assert_eq!(contents(&read), said);
    let (again, same) = read.written().unwrap();
    assert_eq!((contents(&again), same), (said, text));
}

#[tokio::test]
async fn a_page_of_long_lines_ends_early_and_the_next_ones_go_on() {
    let journal = MemoryJournal::new(1_000);
    for _ in 0..20 {
        let objects = (0..20).map(|number| change(number, None, Some(15_000)));
        journal.append(vec![line(objects.collect())]);
    }
    for newest_first in [true, false] {
        let mut filter = JournalFilter {
            after: Some(0).filter(|_| !newest_first),
            ..JournalFilter::default()
        };
        let (mut seen, mut pages) = (Vec::new(), 0);
        loop {
            let page = journal.read(filter.clone(), 1_000).await.unwrap();
            let bytes =
                serde_json::to_string(&page.lines.iter().map(|(_, line)| line).collect::<Vec<_>>());
            let bytes = bytes.unwrap().len();
            assert!(bytes < JOURNAL_PAGE_BYTES + 300_000, "{bytes}");
            pages += 1;
            seen.extend(page.lines.iter().map(|(sequence, _)| *sequence));
            match page.next {
                Some(next) if newest_first => filter.before = Some(next),
                Some(next) => filter.after = Some(next),
                None => break,
            }
        }
        assert_eq!(pages, 2);
        if newest_first {
            seen.reverse();
        }
        assert_eq!(seen, (1..=20).collect::<Vec<u64>>());
    }
}
