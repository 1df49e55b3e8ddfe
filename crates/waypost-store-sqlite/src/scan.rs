//! Reading everything: one run through the rows in order, each checked before it is believed.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use waypost_core::{Object, Revision, Timestamp, decode};

use crate::checksum;
use crate::index::{Index, NUMBER_MAX, Place};
use crate::meta;
use crate::refusal::Failure;

/// Most objects that are named one by one.
const NAMED_MAX: usize = 1_000;
/// Most objects for which room is made before they are seen.
const ROOM_MAX: u64 = 4_000_000;

/// What the file holds.
pub(crate) struct Scan {
    pub(crate) objects: Vec<(Object, Revision)>,
    pub(crate) index: Index,
    pub(crate) damaged: Vec<Damaged>,
    /// The newest revision that a row carries.
    pub(crate) newest: u64,
    pub(crate) last_row: u64,
    /// All rows, the damaged ones too.
    pub(crate) rows: u64,
}

/// A row that is not believed.
#[derive(Debug)]
pub(crate) struct Damaged {
    pub(crate) row: i64,
    /// Kind and key as far as they can be read, and why.
    pub(crate) what: String,
    pub(crate) reason: String,
}

struct Sound {
    row: u64,
    revision: u64,
    object: Object,
}

/// Reads and checks every row.
pub(crate) fn scan(connection: &Connection, expected: u64) -> Result<Scan, Failure> {
    // Room for what was written, within reason: the number is only as good as the file.
    let room = usize::try_from(expected.min(ROOM_MAX)).unwrap_or_default();
    let mut found = Scan {
        objects: Vec::with_capacity(room),
        index: Index::with_room(room),
        damaged: Vec::new(),
        newest: 0,
        last_row: 0,
        rows: 0,
    };
    let mut statement = connection
        .prepare("SELECT id, kind, key, rev, format, body, crc FROM object ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        found.rows += 1;
        let id: i64 = row.get(0)?;
        match read(row, id) {
            Ok((sound, kind, path)) => found.take(sound, kind, path),
            Err(reason) => found.damaged.push(Damaged {
                row: id,
                what: name(row),
                reason,
            }),
        }
    }
    if !found.damaged.is_empty() || found.rows != expected {
        found.set_orphans_aside();
    }
    Ok(found)
}

impl Scan {
    fn take(&mut self, sound: Sound, kind: &str, path: &str) {
        let place = Place::new(sound.row, sound.revision);
        self.last_row = self.last_row.max(sound.row);
        self.newest = self.newest.max(sound.revision);
        if let Some(before) = self.index.set(kind, path, Some(place)) {
            // Nothing writes a second row of a name; should there be one all the same, the first stays.
            self.index.set(kind, path, Some(before));
            self.damaged.push(Damaged {
                row: signed_row(place),
                what: format!("{kind} {path}"),
                reason: format!("row {} is of the same name", before.row()),
            });
            return;
        }
        self.objects.push((sound.object, Revision(sound.revision)));
    }

    /// A verdict whose registration is damaged would stand in the way of the next registration of that name.
    fn set_orphans_aside(&mut self) {
        let (index, damaged) = (&mut self.index, &mut self.damaged);
        self.objects.retain(|(object, _)| {
            let Object::Verdict(..) = object else {
                return true;
            };
            let path = object.key().path();
            if index.get("registration", &path).is_some() {
                return true;
            }
            if let Some(place) = index.set("verdict", &path, None) {
                damaged.push(Damaged {
                    row: signed_row(place),
                    what: format!("verdict {path}"),
                    reason: "its registration is not readable".to_owned(),
                });
            }
            false
        });
    }

    /// Says what is wrong, by name; the first thousand one by one.
    pub(crate) fn findings(&self, expected: u64) -> Vec<String> {
        let mut named: Vec<String> = self
            .damaged
            .iter()
            .take(NAMED_MAX)
            .map(|damaged| format!("{}: {}", damaged.what, damaged.reason))
            .collect();
        if self.damaged.len() > NAMED_MAX {
            named.push(format!("and {} more", self.damaged.len() - NAMED_MAX));
        }
        if self.rows != expected {
            named.push(format!(
                "the file holds {} objects where {expected} were written",
                self.rows
            ));
        }
        named
    }
}

fn signed_row(place: Place) -> i64 {
    // 48 bits always fit.
    i64::try_from(place.row()).unwrap_or(i64::MAX)
}

fn read<'a>(row: &'a Row<'_>, id: i64) -> Result<(Sound, &'a str, &'a str), String> {
    let column = |at: usize| row.get_ref(at).map_err(|error| error.to_string());
    let (ValueRef::Text(kind), ValueRef::Text(path), ValueRef::Blob(body)) =
        (column(1)?, column(2)?, column(5)?)
    else {
        return Err("a column has another type".to_owned());
    };
    let (ValueRef::Integer(revision), ValueRef::Integer(format), ValueRef::Integer(crc)) =
        (column(3)?, column(4)?, column(6)?)
    else {
        return Err("a column has another type".to_owned());
    };
    if i64::from(checksum::of_row(id, kind, path, revision, format, body)) != crc {
        return Err("the row does not match its checksum".to_owned());
    }
    let (Ok(kind), Ok(path)) = (str::from_utf8(kind), str::from_utf8(path)) else {
        return Err("the name is not UTF-8".to_owned());
    };
    let format = u32::try_from(format).map_err(|_| "the format is out of range".to_owned())?;
    let object = decode(kind, format, body).map_err(|error| error.to_string())?;
    let sound = Sound {
        row: place_number(id)?,
        revision: place_number(revision)?,
        object,
    };
    Ok((sound, kind, path))
}

fn place_number(value: i64) -> Result<u64, String> {
    u64::try_from(value)
        .ok()
        .filter(|value| *value <= NUMBER_MAX)
        .ok_or_else(|| format!("{value} is out of range"))
}

/// Names a row as far as its columns can be read.
fn name(row: &Row<'_>) -> String {
    let word = |at: usize| match row.get_ref(at) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => {
            // Bounded and escaped: damaged bytes end up in logs.
            let bytes = bytes.get(..256).unwrap_or(bytes);
            String::from_utf8_lossy(bytes).escape_debug().to_string()
        }
        _ => "(unreadable)".to_owned(),
    };
    format!("{} {}", word(1), word(2))
}

/// Moves the damaged rows out of the way in one durable step: nothing is lost, and their names are free again.
pub(crate) fn set_aside(
    connection: &Connection,
    found: &Scan,
    at: Timestamp,
) -> Result<(), Failure> {
    let transaction = connection.unchecked_transaction()?;
    {
        let mut copy = transaction.prepare(
            "INSERT INTO quarantine (kind, key, rev, format, body, crc, reason, at)
             SELECT kind, key, rev, format, body, crc, ?2, ?3 FROM object WHERE id = ?1",
        )?;
        let mut remove = transaction.prepare("DELETE FROM object WHERE id = ?1")?;
        for damaged in &found.damaged {
            let reason = (damaged.row, &damaged.reason, meta::signed(at.0)?);
            if copy.execute(reason)? != 1 || remove.execute([damaged.row])? != 1 {
                return Err(Failure::Damaged(format!(
                    "row {} cannot be found again",
                    damaged.row
                )));
            }
        }
    }
    let live = u64::try_from(found.index.len()).unwrap_or_default();
    meta::write(&transaction, "objects", live)?;
    transaction.commit()?;
    Ok(())
}

/// Names what was set aside at earlier starts and still is there.
pub(crate) fn known(connection: &Connection) -> Result<Vec<String>, Failure> {
    let count: i64 =
        connection.query_row("SELECT count(*) FROM quarantine", [], |row| row.get(0))?;
    let mut statement =
        connection.prepare("SELECT id, kind, key, reason FROM quarantine ORDER BY id LIMIT ?1")?;
    let mut rows = statement.query([i64::try_from(NAMED_MAX).unwrap_or(i64::MAX)])?;
    let mut named = Vec::new();
    while let Some(row) = rows.next()? {
        let reason: String = row.get(3)?;
        named.push(format!("{}: {reason}", name(row)));
    }
    let more = meta::unsigned(count).saturating_sub(named.len() as u64);
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    Ok(named)
}
