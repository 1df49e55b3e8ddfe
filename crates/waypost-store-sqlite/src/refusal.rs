//! Why SQLite refused, in words that say what to do.

use std::path::Path;

use rusqlite::ErrorCode;
use waypost_core::StoreError;

/// Why a step on the file failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// SQLite saw nothing wrong, but the file does not hold what it must.
    #[error("{0}")]
    Damaged(String),
}

impl Failure {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Damaged(_) => Some(ErrorCode::DatabaseCorrupt),
        }
    }

    /// Says whether the file's content is the reason.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    }

    /// Says in one sentence why the file cannot be opened or read, and what to do.
    pub(crate) fn at_open(&self, file: &Path) -> StoreError {
        let file = file.display();
        StoreError(match self.code() {
            Some(ErrorCode::NotADatabase) => format!(
                "{file} is not an SQLite file, so it was not written by Waypost; move it away, or restore a backup"
            ),
            Some(ErrorCode::DatabaseCorrupt) => format!(
                "{file} is damaged ({self}); restore a backup, or save what is readable with `sqlite3 {file} .recover`"
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                format!("{file} is locked by another program; close it")
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                format!(
                    "{file} cannot be written ({self}); give this user write access to it, or set data_dir to another directory"
                )
            }
            Some(ErrorCode::DiskFull) => {
                format!("the disk of {file} is full; make room and start again")
            }
            _ => format!("{file} cannot be used ({self}); look after its disk and start again"),
        })
    }

    /// Says in one sentence why writes are refused from now on, and what to do.
    pub(crate) fn at_write(&self, file: &Path) -> String {
        let cause = match self.code() {
            Some(ErrorCode::DiskFull) => "the disk is full; make room",
            Some(ErrorCode::DatabaseCorrupt) => "the file is damaged; restore a backup",
            _ => "the disk failed; look after it",
        };
        format!(
            "writes are refused since one to {} failed ({self}{}): {cause} and restart Waypost",
            file.display(),
            self.extended()
        )
    }

    fn extended(&self) -> String {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) => {
                format!(", SQLite code {}", error.extended_code)
            }
            _ => String::new(),
        }
    }
}
