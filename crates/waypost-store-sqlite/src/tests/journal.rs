use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use waypost_core::{
    Author, Dialect, Health, Journal, JournalEntry, JournalFilter, JournalPage, JournalRecord,
    ManualClock, Revision, Timestamp, text,
};
use waypost_testkit::instance_key;

use super::{Home, clock, run};
use crate::SqliteJournal;

fn line(at: Timestamp, record: JournalRecord) -> JournalEntry {
    JournalEntry {
        at,
        revision: Revision(7),
        author: Author {
            subject: text("tester"),
            address: Some([192, 0, 2, 9].into()),
            dialect: Dialect::Rest,
        },
        record,
    }
}

pub(super) fn changed(number: u64) -> JournalEntry {
    let record = JournalRecord::Changed {
        cause: text("register"),
        objects: serde_json::from_value(serde_json::json!([format!("instance number {number}")]))
            .unwrap(),
    };
    line(Timestamp(1_790_000_000_000), record)
}

/// A change of so many documents, each of which became so long.
pub(super) fn long(documents: usize, bytes: usize) -> JournalEntry {
    let content = serde_json::json!({"fill": "x".repeat(bytes)});
    let objects = (0..documents).map(|number| {
        serde_json::json!({"kind": "document", "document": format!("test/{number}"), "after": content})
    });
    let record = JournalRecord::Changed {
        cause: text("register"),
        objects: serde_json::from_value(objects.collect()).unwrap(),
    };
    line(Timestamp(1_790_000_000_000), record)
}

fn edge(id: &str, body: &str) -> JournalEntry {
    let record = JournalRecord::Edge {
        instance: instance_key("web", id),
        from: Health::Healthy,
        to: Health::Unhealthy,
        reason: text("refused"),
        body: Some(text(body)),
    };
    line(Timestamp(1_790_000_000_000), record)
}

struct Opened {
    home: Home,
    clock: Arc<ManualClock>,
    journal: Option<SqliteJournal>,
}

impl Opened {
    fn new() -> Self {
        Self::of(Home::new())
    }

    fn of(home: Home) -> Self {
        let clock = clock();
        let mut opened = Self {
            home,
            clock,
            journal: None,
        };
        opened.reopen();
        opened
    }

    fn reopen(&mut self) {
        drop(self.journal.take());
        let clock = Arc::<ManualClock>::clone(&self.clock);
        let store = self.home.open();
        self.journal = Some(SqliteJournal::open(&store, &self.home.config, clock).unwrap());
    }

    fn journal(&self) -> &SqliteJournal {
        self.journal.as_ref().unwrap()
    }

    fn append(&self, lines: Vec<JournalEntry>) {
        self.journal().append(lines);
    }

    fn read(&self, filter: JournalFilter, limit: usize) -> JournalPage {
        run(self.journal().read(filter, limit)).unwrap()
    }

    fn all(&self) -> Vec<JournalEntry> {
        let page = self.read(JournalFilter::default(), usize::MAX);
        page.lines.into_iter().map(|(_, line)| line).collect()
    }
}

#[test]
fn a_page_shows_everything_appended_before_newest_first() {
    let opened = Opened::new();
    let mut expected = Vec::new();
    for number in 0..200 {
        opened.append(vec![changed(number), edge("a", "body")]);
        expected.push(changed(number));
        expected.push(edge("a", "body"));
        if number % 50 == 0 {
            let newest_first: Vec<JournalEntry> = expected.iter().rev().cloned().collect();
            assert_eq!(opened.all(), newest_first);
        }
    }
}

#[test]
fn pages_go_on_where_the_last_one_ended() {
    let opened = Opened::new();
    opened.append((0..25).map(changed).collect());
    let mut before = None;
    let mut seen = Vec::new();
    loop {
        let filter = JournalFilter {
            before,
            ..JournalFilter::default()
        };
        let page = opened.read(filter, 10);
        before = page.next;
        seen.extend(page.lines.into_iter().map(|(_, line)| line));
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..25).rev().map(changed).collect::<Vec<_>>());
}

#[test]
fn a_page_of_long_lines_ends_early_and_the_next_ones_go_on() {
    let opened = Opened::new();
    opened.append((0..40).map(|_| long(1, 250_000)).collect());
    for after in [None, Some(0)] {
        let mut filter = JournalFilter {
            after,
            ..JournalFilter::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = opened.read(filter.clone(), 1_000);
            let count = page.lines.len();
            assert!((1..=17).contains(&count), "{count} lines of 250 KB");
            seen.extend(page.lines.into_iter().map(|(sequence, _)| sequence));
            match (page.next, after) {
                (None, _) => break,
                (next, None) => filter.before = next,
                (next, Some(_)) => filter.after = next,
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=40).collect::<Vec<u64>>());
    }
}

#[test]
fn a_page_holds_one_line_however_long_that_is() {
    let mut opened = Opened::new();
    drop(opened.journal.take());
    // As an earlier version wrote it.
    let body = serde_json::to_string(&long(1, 5_000_000)).unwrap();
    let file = rusqlite::Connection::open(opened.home.file("journal.sqlite")).unwrap();
    let insert = "INSERT INTO line (at, kind, body) VALUES (0, 'changed', ?1)";
    file.execute(insert, [&body]).unwrap();
    file.execute(insert, [&body]).unwrap();
    drop(file);
    opened.reopen();
    let first = opened.read(JournalFilter::default(), 10);
    assert_eq!(first.lines, [(2, long(1, 5_000_000))]);
    let filter = JournalFilter {
        before: first.next,
        ..JournalFilter::default()
    };
    let second = opened.read(filter, 10);
    assert_eq!(second.lines, [(1, long(1, 5_000_000))]);
    assert_eq!(second.next, None);
}

#[test]
fn a_line_that_is_too_long_is_kept_with_the_sizes_of_what_was_left_out() {
    let mut opened = Opened::new();
    opened.append(vec![long(40, 15_000)]);
    let kept = serde_json::to_value(opened.all()).unwrap();
    let objects = kept[0]["record"]["Changed"]["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 40);
    for (number, object) in objects.iter().enumerate() {
        assert_eq!(object["document"], format!("test/{number}"));
        let is_whole = object["after"]["fill"]
            .as_str()
            .is_some_and(|fill| fill.len() == 15_000);
        let is_left_out = object["after"]["omitted_bytes"] == 15_011;
        assert_eq!(
            (is_whole, is_left_out),
            (number < 17, number >= 17),
            "{number}"
        );
    }
    drop(opened.journal.take());
    let file = rusqlite::Connection::open(opened.home.file("journal.sqlite")).unwrap();
    let bytes: i64 = file
        .query_row("SELECT length(body) FROM line", [], |row| row.get(0))
        .unwrap();
    assert!(bytes < 270_000, "{bytes}");
}

#[test]
fn the_log_stays_short_however_much_is_written_at_once() {
    let opened = Opened::new();
    opened.append((0..240).map(|_| long(1, 250_000)).collect());
    opened.read(JournalFilter::default(), 1);
    let bytes = opened
        .home
        .file("journal.sqlite-wal")
        .metadata()
        .unwrap()
        .len();
    assert!(
        bytes < 45_000_000,
        "{bytes} bytes of a log for 60 MB of lines"
    );
    assert_eq!(opened.journal().dropped(), 0);
}

#[test]
fn a_lower_bound_takes_hold_at_once_and_the_log_stays_short_meanwhile() {
    let mut opened = Opened::new();
    for _ in 0..40 {
        opened.append((0..2_000).map(changed).collect());
        opened.read(JournalFilter::default(), 1);
    }
    let bytes = |opened: &Opened, name: &str| opened.home.file(name).metadata().unwrap().len();
    opened.home.config.journal_bytes_max = 1_024 * 1_024;
    opened.reopen();
    let before = bytes(&opened, "journal.sqlite");
    opened.append(vec![changed(1)]);
    let newest = opened.read(JournalFilter::default(), 1).lines[0].0;
    let log = bytes(&opened, "journal.sqlite-wal");
    assert!(before > 12_000_000 && log < 45_000_000, "{before} {log}");
    let filter = JournalFilter {
        after: Some(0),
        ..JournalFilter::default()
    };
    let oldest = opened.read(filter, 1).lines[0].0;
    assert!(newest - oldest < 10_000, "{oldest} to {newest}");
}

#[test]
fn edges_are_found_by_their_instance_whatever_the_case() {
    let opened = Opened::new();
    opened.append(vec![
        edge("a", "1"),
        edge("b", "2"),
        changed(1),
        edge("A", "3"),
    ]);
    let filter = JournalFilter {
        instance: Some(instance_key("WEB", "a")),
        ..JournalFilter::default()
    };
    let page = opened.read(filter, 10);
    let lines: Vec<JournalEntry> = page.lines.into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, [edge("A", "3"), edge("a", "1")]);
}

#[test]
fn lines_after_a_number_come_oldest_first_and_a_page_says_where_the_next_begins() {
    let opened = Opened::new();
    opened.append((0..25).map(changed).collect());
    let (mut after, mut seen) = (Some(5), Vec::new());
    while let Some(number) = after {
        let filter = JournalFilter {
            after: Some(number),
            ..JournalFilter::default()
        };
        let page = opened.read(filter, 7);
        after = page.next;
        seen.extend(page.lines.into_iter().map(|(sequence, _)| sequence));
    }
    assert_eq!(seen, (6..=25).collect::<Vec<u64>>());
}

#[test]
fn filters_name_the_author_the_kind_and_the_cause() {
    let opened = Opened::new();
    let refused = |kind: &str| {
        let record = JournalRecord::Refused {
            request: text("DELETE /v1/tokens/{id}"),
            kind: text(kind),
            why: text("because"),
        };
        line(Timestamp(1_790_000_000_000), record)
    };
    opened.append(vec![
        changed(1),
        refused("denied"),
        edge("a", "1"),
        refused("conflict"),
    ]);
    let kinds = |filter: JournalFilter| {
        let page = opened.read(filter, 10);
        let kinds = page
            .lines
            .iter()
            .map(|(_, line)| line.record.kind().as_str());
        kinds.collect::<Vec<_>>()
    };
    let of_kind = JournalFilter {
        kinds: vec![waypost_core::JournalKind::Refused],
        ..JournalFilter::default()
    };
    assert_eq!(kinds(of_kind), ["refused", "refused"]);
    let of_cause = |cause: &str| JournalFilter {
        cause: Some(cause.to_owned()),
        ..JournalFilter::default()
    };
    assert_eq!(kinds(of_cause("denied")), ["refused"]);
    assert_eq!(kinds(of_cause("register")), ["changed"]);
    let of_subject = |subject: &str| JournalFilter {
        subject: Some(subject.to_owned()),
        ..JournalFilter::default()
    };
    assert_eq!(kinds(of_subject("tester")).len(), 4);
    assert!(kinds(of_subject("nobody")).is_empty());
    let about = |service: &str| JournalFilter {
        namespace: Some("SVC.internal".to_owned()),
        service: Some(service.to_owned()),
        ..JournalFilter::default()
    };
    assert_eq!(kinds(about("web")), ["edge"]);
    assert!(kinds(about("api")).is_empty());
    let later = JournalFilter {
        since: Some(Timestamp(1_790_000_000_001)),
        ..JournalFilter::default()
    };
    assert!(kinds(later).is_empty());
}

#[test]
fn a_filter_that_finds_little_goes_on_where_it_stopped_to_look() {
    let opened = Opened::new();
    opened.append(vec![edge("a", "1")]);
    for start in (0..21_000).step_by(1_000) {
        opened.append((start..start + 1_000).map(changed).collect());
        // So many wait at most: the reader sees to it that they are written.
        opened.read(JournalFilter::default(), 1);
    }
    let filter = |before| JournalFilter {
        kinds: vec![waypost_core::JournalKind::Edge],
        before,
        ..JournalFilter::default()
    };
    let first = opened.read(filter(None), 10);
    assert!(first.lines.is_empty());
    let second = opened.read(filter(first.next), 10);
    assert_eq!(second.lines, [(1, edge("a", "1"))]);
    assert_eq!(second.next, None);
}

#[test]
fn readers_beyond_a_bound_are_refused_and_those_that_left_cost_nothing_more() {
    let opened = Opened::new();
    opened.append((0..1_000).map(changed).collect());
    let mut readers: Vec<_> = (0..500)
        .map(|_| opened.journal().read(JournalFilter::default(), 1_000))
        .collect();
    // All ask at once, and then go away.
    let refused = run(std::future::poll_fn(|context| {
        let polled = readers
            .iter_mut()
            .map(|reader| reader.as_mut().poll(context));
        let refused = polled.filter(|answer| {
            matches!(answer, Poll::Ready(Err(error)) if error.to_string().contains("readers wait"))
        });
        Poll::Ready(refused.count())
    }));
    assert!((300..=436).contains(&refused), "{refused}");
    drop(readers);
    opened.append(vec![edge("a", "1")]);
    let line = loop {
        if let Ok(page) = run(opened.journal().read(JournalFilter::default(), 1)) {
            break page.lines[0].1.clone();
        }
    };
    assert_eq!(line, edge("a", "1"));
    assert_eq!(opened.journal().dropped(), 0);
}

#[test]
fn closing_writes_what_is_queued() {
    let mut opened = Opened::new();
    opened.append((0..500).map(changed).collect());
    opened.reopen();
    assert_eq!(opened.all().len(), 500);
    assert_eq!(opened.journal().dropped(), 0);
}

#[test]
fn lines_that_find_no_room_are_counted_and_dropped() {
    let opened = Opened::new();
    opened.append((0..9_000).map(changed).collect());
    assert_eq!(
        opened.journal().dropped(),
        9_000,
        "more at once than may ever wait"
    );
    assert_eq!(opened.all(), []);
    // The thread goes on afterwards.
    opened.append(vec![changed(1)]);
    assert_eq!(opened.all(), [changed(1)]);
}

#[test]
fn the_oldest_lines_go_when_there_are_too_many_bytes() {
    let mut home = Home::new();
    home.config.journal_bytes_max = 1_024 * 1_024;
    let opened = Opened::of(home);
    let body = "x".repeat(4_096);
    for _ in 0..30 {
        opened.append((0..50).map(|_| edge("a", &body)).collect());
        opened.read(JournalFilter::default(), 1);
    }
    opened.append(vec![changed(1)]);
    let page = opened.read(JournalFilter::default(), usize::MAX).lines;
    assert!(page.len() < 400, "{} lines of 4 KiB in 1 MiB", page.len());
    assert_eq!(page[0].1, changed(1), "the newest stay");
    assert_eq!(page[0].0, 1_501, "sequence numbers go on");
    let bytes = opened.home.file("journal.sqlite").metadata().unwrap().len();
    assert!(bytes < 8 * 1_024 * 1_024, "{bytes} bytes");
    assert_eq!(opened.journal().dropped(), 0);
}

#[test]
fn of_long_lines_only_the_oldest_go_when_there_are_too_many_bytes() {
    let mut home = Home::new();
    home.config.journal_bytes_max = 8 * 1_024 * 1_024;
    let opened = Opened::of(home);
    opened.append((0..32).map(|_| long(1, 250_000)).collect());
    for _ in 0..6 {
        opened.append((0..4).map(|_| long(1, 250_000)).collect());
        let page = opened.read(JournalFilter::default(), 12);
        assert_eq!(page.lines.len(), 12, "what fits in 8 MiB is gone");
    }
}

#[test]
fn lines_go_when_they_are_too_old_and_their_numbers_never_come_again() {
    let opened = Opened::new();
    opened.append((0..10).map(changed).collect());
    assert_eq!(opened.all().len(), 10);
    opened.clock.advance(Duration::from_hours(24 * 31));
    let now = waypost_core::Clock::wall(opened.clock.as_ref());
    let new = JournalEntry {
        at: now,
        ..changed(99)
    };
    opened.append(vec![new.clone()]);
    assert_eq!(
        opened.read(JournalFilter::default(), 100).lines,
        [(11, new)]
    );
}

#[test]
fn a_journal_that_is_damaged_is_set_aside_and_a_new_one_begun() {
    let home = Home::new();
    drop(home.open());
    std::fs::write(home.file("journal.sqlite"), "no journal ".repeat(1_000)).unwrap();
    let opened = Opened::of(home);
    opened.append(vec![changed(1)]);
    assert_eq!(opened.all(), [changed(1)]);
    let kept = std::fs::read_to_string(opened.home.file("journal.sqlite.damaged")).unwrap();
    assert!(kept.starts_with("no journal"));
}

#[test]
fn a_journal_that_turns_out_damaged_while_in_use_is_set_aside() {
    let mut opened = Opened::new();
    let body = "x".repeat(2_000);
    opened.append((0..200).map(|_| edge("a", &body)).collect());
    drop(opened.journal.take());
    let file = opened.home.file("journal.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    // Lines in the middle: both ends look sound.
    bytes[60 * 4_096..70 * 4_096].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    opened.reopen();
    assert!(!opened.home.file("journal.sqlite.damaged").exists());
    let answer = run(opened.journal().read(JournalFilter::default(), 1_000));
    assert!(answer.is_err(), "{answer:?}");
    assert!(opened.home.file("journal.sqlite.damaged").exists());
    opened.append(vec![changed(1)]);
    assert_eq!(opened.all(), [changed(1)]);
}

#[test]
fn a_journal_of_another_version_is_set_aside() {
    let mut opened = Opened::new();
    opened.append(vec![changed(1)]);
    drop(opened.journal.take());
    let file = rusqlite::Connection::open(opened.home.file("journal.sqlite")).unwrap();
    file.pragma_update(None, "user_version", 2).unwrap();
    drop(file);
    opened.reopen();
    assert_eq!(opened.all(), []);
    assert!(opened.home.file("journal.sqlite.damaged").exists());
}
