//! Snapshots as a stream of bytes that no engine knows of: what a registry is saved to and restored from.
//!
//! ```text
//! WAYSNAP\n  format u32  length u32  header (JSON)  CRC32 of all before
//! length u32  kind (one byte of length, a word)  codec's format u32  revision u64  the object  CRC32 of the record
//! ...
//! 0 u32      records u64     SHA-256 of all before
//! ```
//!
//! Numbers are little-endian; objects are as [`crate::encode`] writes them. The first line holds for every format, so that a
//! later one is refused by name. The server key is not in it.

mod reading;
mod writing;

pub use reading::{SnapshotFault, SnapshotReader};
pub use writing::SnapshotWriter;

use serde::{Deserialize, Serialize};

use crate::batch::Object;
use crate::id::{Epoch, Revision};
use crate::time::Timestamp;

/// How a snapshot begins.
pub const SNAPSHOT_MAGIC: [u8; 8] = *b"WAYSNAP\n";
/// The format that this version writes, and the newest it reads.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// Most bytes of a header.
const HEADER_BYTES_MAX: usize = 64 * 1_024;
/// Most bytes of a record: many times the largest object.
const RECORD_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHeader {
    /// The version of Waypost that wrote it.
    pub waypost: String,
    /// Which history it was taken from.
    pub epoch: Epoch,
    /// The position in that history.
    pub revision: Revision,
    /// When, by the clock of whoever wrote it.
    pub created: Timestamp,
    /// How many objects there are.
    pub counts: SnapshotCounts,
}

/// How many objects of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotCounts {
    /// Namespaces.
    pub namespaces: u64,
    /// Services.
    pub services: u64,
    /// Registrations: one for each instance.
    pub registrations: u64,
    /// Verdicts that say more than their registrations imply.
    pub verdicts: u64,
    /// Modes, also of instances that are not registered now.
    pub modes: u64,
    /// Documents: hashed credentials, operations of Cloud Map.
    pub documents: u64,
}

impl SnapshotCounts {
    /// Counts one more.
    pub fn add(&mut self, object: &Object) {
        *match object {
            Object::Namespace(_) => &mut self.namespaces,
            Object::Service(_) => &mut self.services,
            Object::Registration(..) => &mut self.registrations,
            Object::Verdict(..) => &mut self.verdicts,
            Object::Mode(..) => &mut self.modes,
            Object::Document(_) => &mut self.documents,
        } += 1;
    }
}
