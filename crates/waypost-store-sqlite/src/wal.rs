//! The write-ahead log: when it is brought into the file, and whether its end was damaged.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::refusal::Failure;

/// Pages in the log (32 MiB) after which it is brought into the file.
const LONG_PAGES: i64 = 8_192;
const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// Brings a long log into the file, as far as that goes without waiting for anybody.
pub(crate) fn checkpoint_when_long(connection: &Connection) -> Result<(), Failure> {
    let (pages, done) = checkpoint(connection, "NOOP")?;
    if pages >= LONG_PAGES && done < pages {
        checkpoint(connection, "PASSIVE")?;
    }
    Ok(())
}

/// Brings the whole log into the file and empties it: only when nothing more is written.
pub(crate) fn checkpoint_whole(connection: &Connection) -> Result<(), Failure> {
    checkpoint(connection, "TRUNCATE")?;
    Ok(())
}

/// Returns how many pages the log holds and how many of them are in the file too.
fn checkpoint(connection: &Connection, mode: &str) -> Result<(i64, i64), Failure> {
    let mut statement = connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    Ok(statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?)
}

/// Says whether SQLite dropped commits from the end of the log that had been acknowledged.
///
/// SQLite reads the log up to the first page that does not match its checksum, and cannot know whether that is the
/// torn end of a commit that nobody was told of, or damage in the middle. It is damage when a commit is followed by
/// more: with a sync after each commit, the next one begins only when the one before is whole on the disk.
/// (Format: sqlite.org/fileformat2.html section 4.)
pub(crate) fn find_damage(connection: &Connection, file: &Path) -> Result<Option<String>, Failure> {
    let (pages, _) = checkpoint(connection, "NOOP")?;
    let page_bytes: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let path = log_path(file);
    let looked = look(
        &path,
        pages.max(0).unsigned_abs(),
        page_bytes.unsigned_abs(),
    );
    let lost = looked.map_err(|error| {
        Failure::Damaged(format!(
            "its log {} cannot be read: {error}",
            path.display()
        ))
    })?;
    Ok(lost.map(|lost| {
        format!(
            "{} is damaged at its page {}: {lost}; a copy of it is kept beside it",
            path.display(),
            pages + 1
        )
    }))
}

/// Keeps a copy of a damaged log, which the next commit overwrites. One is kept, the latest.
pub(crate) fn keep_damaged(file: &Path, findings: &[String]) -> Result<(), Failure> {
    let path = log_path(file);
    let name = path.display().to_string();
    if !findings.iter().any(|finding| finding.starts_with(&name)) {
        return Ok(());
    }
    let mut kept = path.clone().into_os_string();
    kept.push(".damaged");
    std::fs::copy(&path, PathBuf::from(kept)).map_err(|error| {
        Failure::Damaged(format!("its damaged log {name} cannot be copied: {error}"))
    })?;
    Ok(())
}

/// Refuses a file that lost its content while its log was not brought in: SQLite would delete the log.
pub(crate) fn check_file(file: &Path) -> Result<(), Failure> {
    let bytes = |path: &Path| path.metadata().map_or(0, |path| path.len());
    if bytes(file) == 0 && bytes(&log_path(file)) > 0 {
        return Err(Failure::Damaged(
            "it is empty, but its log is not".to_owned(),
        ));
    }
    Ok(())
}

fn log_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push("-wal");
    PathBuf::from(path)
}

fn look(path: &Path, read: u64, page_bytes: u64) -> io::Result<Option<String>> {
    let mut log = match File::open(path) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let frame_bytes = page_bytes + FRAME_HEADER_BYTES as u64;
    let frames = log.metadata()?.len().saturating_sub(HEADER_BYTES as u64) / frame_bytes;
    if frames <= read {
        return Ok(None);
    }
    let mut header = [0; HEADER_BYTES];
    log.read_exact(&mut header)?;
    if !header_is_whole(&header) {
        // The header is synced before the first page is written.
        return Ok(Some(format!("none of its {frames} pages can be read")));
    }
    let (mut commits, mut after_commit) = (0, false);
    for frame in read..frames {
        log.seek(SeekFrom::Start(HEADER_BYTES as u64 + frame * frame_bytes))?;
        let mut head = [0; FRAME_HEADER_BYTES];
        log.read_exact(&mut head)?;
        if head.get(8..16) != header.get(16..24) {
            // Left over from before the log began anew, unless it is the damage itself.
            continue;
        }
        after_commit |= commits > 0;
        commits += u64::from(word(&head, 4) != 0);
    }
    Ok(after_commit.then(|| format!("at least {commits} commits after it are lost")))
}

/// Checks the header against its checksum, over 32-bit words in the order that its first bit names.
fn header_is_whole(header: &[u8; HEADER_BYTES]) -> bool {
    let big_endian = word(header, 0) & 1 == 1;
    let (mut one, mut two) = (0u32, 0u32);
    for pair in 0..3 {
        let at = |offset: usize| {
            let value = word(header, offset);
            if big_endian {
                value
            } else {
                value.swap_bytes()
            }
        };
        one = one.wrapping_add(at(pair * 8)).wrapping_add(two);
        two = two.wrapping_add(at(pair * 8 + 4)).wrapping_add(one);
    }
    (word(header, 24), word(header, 28)) == (one, two)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let found = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    u32::from_be_bytes(found.unwrap_or_default())
}
