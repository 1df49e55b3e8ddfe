//! Profiles: what the files of a TLS profile hold.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use waypost_dial::{Authorities, Identity};

use crate::config::TlsProfile;

/// Most bytes of a file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The field of a profile with the rule that it breaks.
type Fault = (&'static str, String);

/// When a file was written, and how long it is; none when it is not there.
type Stamp = Option<(SystemTime, u64)>;

/// What a profile has.
#[derive(Debug, Clone, Default)]
pub(super) struct Profile {
    pub(super) authorities: Option<Authorities>,
    pub(super) identity: Option<Identity>,
}

/// A profile with the files that it was read from.
#[derive(Debug)]
pub(super) struct Kept {
    files: TlsProfile,
    stamps: [Stamp; 3],
    /// How often it was read again.
    pub(super) generation: u64,
    pub(super) profile: Profile,
}

impl Kept {
    /// Reads a profile for the first time.
    pub(super) fn load(files: &TlsProfile) -> Result<Self, Fault> {
        // Before the files themselves: one that changes in between is read again.
        let stamps = stamps(files);
        Ok(Self {
            files: files.clone(),
            stamps,
            generation: 0,
            profile: Profile::load(files)?,
        })
    }

    /// Reads the files again if one of them changed, and says whether they did. It reads files.
    ///
    /// A fault is told once, and looked at again when a file changes again.
    pub(super) fn refresh(&mut self) -> Result<bool, Fault> {
        let stamps = stamps(&self.files);
        if stamps == self.stamps {
            return Ok(false);
        }
        self.stamps = stamps;
        self.profile = Profile::load(&self.files)?;
        self.generation += 1;
        Ok(true)
    }
}

fn stamps(files: &TlsProfile) -> [Stamp; 3] {
    [&files.ca_file, &files.cert_file, &files.key_file].map(|path| {
        let metadata = std::fs::metadata(path.as_ref()?).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

impl Profile {
    fn load(profile: &TlsProfile) -> Result<Self, Fault> {
        let authorities = match &profile.ca_file {
            None => None,
            Some(path) => Some(of("ca_file", path, Authorities::from_pem)?),
        };
        let identity = match (&profile.cert_file, &profile.key_file) {
            (None, None) => None,
            (Some(cert), Some(key)) => {
                let certificate = read(cert).map_err(|rule| ("cert_file", rule))?;
                Some(of("key_file", key, |key| {
                    Identity::from_pem(&certificate, key)
                })?)
            }
            (Some(_), None) => return Err(("key_file", "must be set beside cert_file".to_owned())),
            (None, Some(_)) => return Err(("cert_file", "must be set beside key_file".to_owned())),
        };
        if authorities.is_none() && identity.is_none() {
            let rule = "must be set, or cert_file and key_file";
            return Err(("ca_file", rule.to_owned()));
        }
        Ok(Self {
            authorities,
            identity,
        })
    }
}

/// Reads what a file of a profile holds.
fn of<T, E: fmt::Display>(
    field: &'static str,
    path: &Path,
    understand: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, Fault> {
    let bytes = read(path).map_err(|rule| (field, rule))?;
    understand(&bytes).map_err(|error| (field, format!("{error} ({})", path.display())))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let mut bounded = file.take(FILE_BYTES_MAX + 1);
    bounded.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("must be at most 1 MiB ({})", path.display()));
    }
    Ok(bytes)
}
