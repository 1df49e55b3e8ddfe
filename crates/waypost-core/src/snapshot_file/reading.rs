//! Reading: nothing is believed before its checksum was looked at.

use std::fmt;
use std::io::{self, Read};

use crc32fast::Hasher;
use sha2::{Digest, Sha256};

use super::{
    HEADER_BYTES_MAX, RECORD_BYTES_MAX, SNAPSHOT_FORMAT, SNAPSHOT_MAGIC, SnapshotCounts,
    SnapshotHeader,
};
use crate::batch::Object;
use crate::codec::decode;
use crate::id::Revision;

/// Bytes of a digest.
const DIGEST_BYTES: usize = 32;

/// Why a snapshot is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFault {
    /// It is something else.
    #[error("it is no snapshot of Waypost: it does not begin as one")]
    Foreign,
    /// A later version wrote it.
    #[error(
        "it is of a newer Waypost: format {format}, this one reads up to {SNAPSHOT_FORMAT}; use Waypost {waypost} or a later one"
    )]
    Newer {
        /// Its format.
        format: u32,
        /// The version that wrote it.
        waypost: String,
    },
    /// Its bytes are not those that were written.
    #[error("it is damaged at byte {at}: {what}; use another snapshot")]
    Damaged {
        /// Where, in bytes from its start.
        at: u64,
        /// What is wrong there.
        what: String,
    },
    /// It ends before its end.
    #[error("it is cut off at byte {at}, in {what}; copy or take it again")]
    CutOff {
        /// Where, in bytes from its start.
        at: u64,
        /// In the middle of what.
        what: &'static str,
    },
    /// The system cannot read it.
    #[error("it cannot be read at byte {at}: {cause}")]
    Unreadable {
        /// Where, in bytes from its start.
        at: u64,
        /// What the system says.
        cause: io::Error,
    },
}

/// Reads a snapshot, record by record.
pub struct SnapshotReader<R> {
    input: Input<R>,
    header: SnapshotHeader,
    counts: SnapshotCounts,
    is_whole: bool,
}

impl<R> fmt::Debug for SnapshotReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotReader")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl<R: Read> SnapshotReader<R> {
    /// Reads the beginning.
    ///
    /// # Errors
    /// When it is no snapshot, of a newer format, or damaged.
    pub fn open(input: R) -> Result<Self, SnapshotFault> {
        let mut input = Input {
            input,
            at: 0,
            digest: Sha256::new(),
        };
        let header = header(&mut input)?;
        Ok(Self {
            input,
            header,
            counts: SnapshotCounts::default(),
            is_whole: false,
        })
    }

    /// Returns what the snapshot says of itself.
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// Returns how many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.input.at
    }

    /// Reads the next object. Nothing comes after the last one, and only when the whole was as it was written.
    ///
    /// # Errors
    /// When what comes is damaged or cut off.
    pub fn object(&mut self) -> Result<Option<(Object, Revision)>, SnapshotFault> {
        if self.is_whole {
            return Ok(None);
        }
        let start = self.input.at;
        let damaged = |what: String| SnapshotFault::Damaged { at: start, what };
        let length = self.input.number("a record")?;
        if length == 0 {
            self.end(start)?;
            self.is_whole = true;
            return Ok(None);
        }
        let record = self
            .input
            .checked(&[], length, RECORD_BYTES_MAX, start, "a record")?;
        let (object, revision) = parse(&record).map_err(damaged)?;
        if revision > self.header.revision {
            return Err(damaged(format!(
                "an object is of revision {revision}, after the snapshot's, {}",
                self.header.revision
            )));
        }
        self.counts.add(&object);
        Ok(Some((object, revision)))
    }

    fn end(&mut self, start: u64) -> Result<(), SnapshotFault> {
        let damaged = |what: &str| SnapshotFault::Damaged {
            at: start,
            what: what.to_owned(),
        };
        let mut count = [0; 8];
        self.input.take(&mut count, "its end")?;
        let digest = self.input.digest.clone().finalize();
        let mut written = [0; DIGEST_BYTES];
        self.input.take(&mut written, "its end")?;
        if digest.iter().ne(&written) {
            return Err(damaged("the whole does not match its checksum"));
        }
        let counts = self.counts;
        let records = counts.namespaces
            + counts.services
            + counts.registrations
            + counts.verdicts
            + counts.modes
            + counts.documents;
        if records != u64::from_le_bytes(count) || counts != self.header.counts {
            return Err(damaged("it does not hold as many objects as it says"));
        }
        if self.input.has_more()? {
            return Err(damaged("more comes after its end"));
        }
        Ok(())
    }
}

fn header(input: &mut Input<impl Read>) -> Result<SnapshotHeader, SnapshotFault> {
    let mut magic = [0; SNAPSHOT_MAGIC.len()];
    match input.take(&mut magic, "its beginning") {
        Err(SnapshotFault::CutOff { .. }) => return Err(SnapshotFault::Foreign),
        taken => taken?,
    }
    if magic != SNAPSHOT_MAGIC {
        return Err(SnapshotFault::Foreign);
    }
    let format = input.number("its beginning")?;
    let length = input.number("its beginning")?;
    let before = [&magic[..], &format.to_le_bytes()].concat();
    let text = input.checked(&before, length, HEADER_BYTES_MAX, 0, "its beginning")?;
    let damaged = |what: String| SnapshotFault::Damaged { at: 0, what };
    if format > SNAPSHOT_FORMAT {
        // Whatever else a later one says.
        let said: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let waypost = said.get("waypost").and_then(serde_json::Value::as_str);
        return Err(SnapshotFault::Newer {
            format,
            waypost: waypost.unwrap_or("of the version that wrote it").to_owned(),
        });
    }
    if format == 0 {
        return Err(damaged("there never was a format 0".to_owned()));
    }
    serde_json::from_slice(&text).map_err(|error| damaged(format!("its header: {error}")))
}

fn parse(record: &[u8]) -> Result<(Object, Revision), String> {
    let short = || "a record is too short".to_owned();
    let (kind_bytes, rest) = record.split_first().ok_or_else(short)?;
    let (kind, rest) = rest
        .split_at_checked((*kind_bytes).into())
        .ok_or_else(short)?;
    let (format, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let (revision, body) = rest.split_first_chunk::<8>().ok_or_else(short)?;
    let kind = str::from_utf8(kind).map_err(|_| "a kind is not UTF-8".to_owned())?;
    let object = decode(kind, u32::from_le_bytes(*format), body)
        .map_err(|error| format!("an object of the kind {kind:?}: {error}"))?;
    Ok((object, Revision(u64::from_le_bytes(*revision))))
}

/// Counts and digests what is read.
struct Input<R> {
    input: R,
    at: u64,
    digest: Sha256,
}

impl<R: Read> Input<R> {
    fn take(&mut self, buffer: &mut [u8], what: &'static str) -> Result<(), SnapshotFault> {
        let at = self.at;
        match self.input.read_exact(buffer) {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(SnapshotFault::CutOff { at, what });
            }
            Err(cause) => return Err(SnapshotFault::Unreadable { at, cause }),
        }
        self.digest.update(&*buffer);
        self.at += buffer.len() as u64;
        Ok(())
    }

    fn number(&mut self, what: &'static str) -> Result<u32, SnapshotFault> {
        let mut bytes = [0; 4];
        self.take(&mut bytes, what)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Takes as many bytes and their checksum, which is over what came before them too, their length included.
    fn checked(
        &mut self,
        before: &[u8],
        length: u32,
        most: usize,
        start: u64,
        what: &'static str,
    ) -> Result<Vec<u8>, SnapshotFault> {
        let damaged = |why: &str| SnapshotFault::Damaged {
            at: start,
            what: format!("{what} {why}"),
        };
        let bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if bytes > most {
            return Err(damaged("is longer than one can be"));
        }
        let mut taken = vec![0; bytes];
        self.take(&mut taken, what)?;
        let mut hasher = Hasher::new();
        hasher.update(before);
        hasher.update(&length.to_le_bytes());
        hasher.update(&taken);
        if self.number(what)? != hasher.finalize() {
            return Err(damaged("does not match its checksum"));
        }
        Ok(taken)
    }

    fn has_more(&mut self) -> Result<bool, SnapshotFault> {
        let mut one = [0];
        loop {
            match self.input.read(&mut one) {
                Ok(read) => return Ok(read > 0),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(SnapshotFault::Unreadable { at: self.at, cause }),
            }
        }
    }
}
