//! Reading a data directory that no server uses, without changing anything in it.

use std::path::Path;

use waypost_core::{Loaded, StoreError};

use crate::database::{self, Content};
use crate::directory::Directory;
use crate::refusal::Failure;
use crate::store::FILE;
use crate::{meta, opening, restoring, scan, upgrade, wal};

/// Reads everything in a data directory, also one of an older schema, which stays as it is.
///
/// # Errors
/// When a server uses the directory, or there is no registry in it that can be read.
pub fn read_at_rest(directory: &Path) -> Result<Loaded, StoreError> {
    let file = directory.join(FILE);
    if !file.is_file() {
        restoring::refuse_unfinished(directory)?;
        return Err(StoreError(format!(
            "{} holds no registry: there is no {FILE} in it; name the data_dir of a server",
            directory.display()
        )));
    }
    let _locked = Directory::open_or(directory, "ask it for the snapshot, without --data-dir")?;
    read(&file).unwrap_or_else(|failure| Err(failure.at_open(&file)))
}

fn read(file: &Path) -> Result<Result<Loaded, StoreError>, Failure> {
    wal::check_file(file)?;
    let connection = database::connect(file)?;
    match database::inspect(&connection, meta::APPLICATION)? {
        Content::Ours => {}
        Content::Empty => return Err(Failure::Damaged("it is empty".to_owned())),
        Content::Foreign(mark) => return Ok(Err(opening::of_another_program(file, mark))),
    }
    let torn = wal::find_damage(&connection, file)?;
    let schema = meta::schema(&connection)?;
    if schema > meta::SCHEMA {
        return Ok(Err(upgrade::refuse(&connection, file, schema)));
    }
    let mut meta = meta::read(&connection)?;
    let mut quarantined = scan::known(&connection)?;
    let found = scan::scan(&connection, meta.objects)?;
    quarantined.extend(found.findings(meta.objects));
    quarantined.extend(torn);
    if !meta.clean {
        // Revisions up to the reserved end may have been shown without being written.
        meta.revision = meta.reserved;
    }
    Ok(Ok(opening::loaded(&meta, found.objects, quarantined)))
}
