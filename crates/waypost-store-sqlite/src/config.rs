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
    /// Below so many free bytes on the disk of the data directory a warning is given; 0 gives none. On a server 5 % of the
    /// disk is a good value.
    pub disk_warn_bytes: u64,
    /// Below so many free bytes changes are refused until there is room again, so that the disk never fills up while
    /// something is written, and below half of it lines of the journal are dropped too; 0 lets it fill. On a server with a heavy
    /// load 268435456 leaves time to react.
    pub disk_read_only_bytes: u64,
    /// Hours between two snapshots that are written by themselves, the first one soon after the start; 0 writes none. On a
    /// server 6 is a good value.
    pub snapshot_interval_hours: u32,
    /// Where they are written, best on another disk and for each server another one; empty is the folder `snapshots` of the
    /// data directory.
    pub snapshot_directory: PathBuf,
    /// How many of them are kept; the oldest go first.
    pub snapshots_kept: u32,
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting's name within the section.
    pub field: &'static str,
    /// The rule it breaks, as the end of a sentence.
    pub rule: String,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("waypost-data"),
            synchronous: Synchronous::Full,
            strict_load: false,
            journal_bytes_max: 256 * 1_024 * 1_024,
            journal_age_days: 30,
            disk_warn_bytes: 512 * 1_024 * 1_024,
            disk_read_only_bytes: 64 * 1_024 * 1_024,
            snapshot_interval_hours: 0,
            snapshot_directory: PathBuf::new(),
            snapshots_kept: 7,
        }
    }
}

impl SqliteConfig {
    /// Checks the rules between settings.
    ///
    /// # Errors
    /// The first setting that breaks one.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (warn, read_only) = (self.disk_warn_bytes, self.disk_read_only_bytes);
        if warn > 0 && warn < read_only {
            return Err(ConfigError {
                field: "disk_warn_bytes",
                rule: format!("must be 0, or at least disk_read_only_bytes, which is {read_only}"),
            });
        }
        if self.snapshots_kept == 0 {
            return Err(ConfigError {
                field: "snapshots_kept",
                rule: "must be at least 1; snapshot_interval_hours = 0 writes none".to_owned(),
            });
        }
        Ok(())
    }

    /// Returns where snapshots are written by themselves.
    pub(crate) fn snapshots(&self) -> PathBuf {
        if self.snapshot_directory.as_os_str().is_empty() {
            self.data_dir.join("snapshots")
        } else {
            self.snapshot_directory.clone()
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
