//! Writing: the bytes are made piece by piece, as fast as somebody takes them.

use std::fmt;

use crc32fast::Hasher;
use sha2::{Digest, Sha256};

use super::{RECORD_BYTES_MAX, SNAPSHOT_FORMAT, SNAPSHOT_MAGIC, SnapshotHeader};
use crate::batch::Object;
use crate::codec::encode;
use crate::id::Revision;
use crate::snapshot::Snapshot;
use crate::store::StoreError;
use crate::time::Timestamp;

/// Bytes after which a piece is given away.
const PIECE_BYTES: usize = 64 * 1_024;

type Objects<'a> = Box<dyn Iterator<Item = (Object, Revision)> + Send + 'a>;

/// Turns a snapshot into bytes. The snapshot never changes, so writers and readers of the registry go on meanwhile.
pub struct SnapshotWriter<'a> {
    header: SnapshotHeader,
    /// None after the end was written.
    objects: Option<Objects<'a>>,
    digest: Sha256,
    records: u64,
    is_begun: bool,
}

impl fmt::Debug for SnapshotWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotWriter")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl<'a> SnapshotWriter<'a> {
    /// Begins with a snapshot; `waypost` is the version that writes.
    pub fn new(snapshot: &'a Snapshot, created: Timestamp, waypost: &str) -> Self {
        Self {
            header: SnapshotHeader {
                waypost: waypost.to_owned(),
                epoch: snapshot.epoch(),
                revision: snapshot.revision(),
                created,
                counts: snapshot.object_counts(),
            },
            objects: Some(Box::new(snapshot.objects())),
            digest: Sha256::new(),
            records: 0,
            is_begun: false,
        }
    }

    /// Returns what the snapshot says of itself.
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// Returns the next piece, of some 64 KiB; nothing after the last one.
    ///
    /// # Errors
    /// When an object cannot be written as JSON, which no object of the model does.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(objects) = self.objects.as_mut() else {
            return Ok(None);
        };
        let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4);
        if !self.is_begun {
            self.is_begun = true;
            begin(&mut piece, &self.header)?;
        }
        let mut is_last = false;
        while piece.len() < PIECE_BYTES {
            let Some((object, revision)) = objects.next() else {
                is_last = true;
                break;
            };
            record(&mut piece, &object, revision)?;
            self.records += 1;
        }
        if is_last {
            self.objects = None;
            piece.extend_from_slice(&0u32.to_le_bytes());
            piece.extend_from_slice(&self.records.to_le_bytes());
        }
        self.digest.update(&piece);
        if is_last {
            piece.extend_from_slice(&self.digest.clone().finalize());
        }
        Ok(Some(piece))
    }
}

fn begin(piece: &mut Vec<u8>, header: &SnapshotHeader) -> Result<(), StoreError> {
    let start = piece.len();
    let header = serde_json::to_vec(header)
        .map_err(|error| StoreError(format!("the header cannot be written as JSON: {error}")))?;
    piece.extend_from_slice(&SNAPSHOT_MAGIC);
    piece.extend_from_slice(&SNAPSHOT_FORMAT.to_le_bytes());
    piece.extend_from_slice(&length(header.len())?.to_le_bytes());
    piece.extend_from_slice(&header);
    check(piece, start);
    Ok(())
}

fn record(piece: &mut Vec<u8>, object: &Object, revision: Revision) -> Result<(), StoreError> {
    let start = piece.len();
    let kind = object.key().kind();
    let encoded = encode(object)?;
    let bytes = 1 + kind.len() + 4 + 8 + encoded.bytes.len();
    piece.extend_from_slice(&length(bytes)?.to_le_bytes());
    piece.push(u8::try_from(kind.len()).unwrap_or_default());
    piece.extend_from_slice(kind.as_bytes());
    piece.extend_from_slice(&encoded.format.to_le_bytes());
    piece.extend_from_slice(&revision.0.to_le_bytes());
    piece.extend_from_slice(&encoded.bytes);
    check(piece, start);
    Ok(())
}

/// Puts the checksum of what was written since `start`.
fn check(piece: &mut Vec<u8>, start: usize) {
    let mut hasher = Hasher::new();
    hasher.update(piece.get(start..).unwrap_or_default());
    piece.extend_from_slice(&hasher.finalize().to_le_bytes());
}

fn length(bytes: usize) -> Result<u32, StoreError> {
    let fits = u32::try_from(bytes).ok();
    fits.filter(|_| bytes <= RECORD_BYTES_MAX).ok_or_else(|| {
        StoreError(format!(
            "an object of {bytes} bytes is too large for a snapshot"
        ))
    })
}
