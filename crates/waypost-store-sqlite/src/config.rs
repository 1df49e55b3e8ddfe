//! The settings of the `[store_sqlite]` section.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where and how the registry is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqliteConfig {
    /// The directory of the registry's files; made with mode 0700 when it is missing.
    pub data_dir: PathBuf,
    /// When a write counts as durable: `full`, `normal` or `off`.
    pub synchronous: Synchronous,
    /// Refuses to start while anything in the file is damaged, instead of setting it aside.
    pub strict_load: bool,
    /// Most bytes of the journal; the oldest lines go first.
    pub journal_bytes_max: u64,
    /// Most days that a line of the journal is kept.
    pub journal_age_days: u32,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("waypost-data"),
            synchronous: Synchronous::Full,
            strict_load: false,
            journal_bytes_max: 256 * 1_024 * 1_024,
            journal_age_days: 30,
        }
    }
}

/// When a write counts as durable (SQLite's `PRAGMA synchronous`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// After the disk has confirmed it. The only value under which what was acknowledged survives a power cut.
    #[default]
    Full,
    /// After the operating system has taken it: survives the end of the process, not of the machine. Unsafe.
    Normal,
    /// Nothing is ever synced. Unsafe: it exists so that the durability tests can prove that they notice.
    Off,
}

impl Synchronous {
    pub(crate) fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
            Self::Off => "OFF",
        }
    }
}
