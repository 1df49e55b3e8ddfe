//! Who may read a file.

use std::path::Path;

use super::finding::Finding;

/// Finds files with secrets that others may read; nothing where the system has no such modes.
#[cfg(unix)]
pub(super) fn readable_by_others(path: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;

    let shown = path.display();
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) => {
            return Some(Finding::failure(
                format!("cannot look at {shown}: {error}"),
                "run this as the user whom the file belongs to",
            ));
        }
    };
    let mode = found.permissions().mode() & 0o777;
    let wanted = if found.is_dir() { 0o700 } else { 0o600 };
    (mode & 0o077 != 0).then(|| {
        Finding::warning(
            format!("others of this machine may use {shown}: its mode is {mode:04o}"),
            format!("chmod {wanted:o} {shown}"),
        )
    })
}

#[cfg(not(unix))]
pub(super) fn readable_by_others(_path: &Path) -> Option<Finding> {
    None
}
