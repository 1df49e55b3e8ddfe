//! The server key: 32 random bytes in a file of its own, under which tokens are hashed.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Length of the key in bytes.
pub const SERVER_KEY_BYTES: usize = 32;
/// Length of a token's keyed hash in bytes.
pub(crate) const DIGEST_BYTES: usize = 32;
/// Only the owner may read the key.
const MODE: u32 = 0o600;
/// What group and others may not have.
const OTHERS: u32 = 0o077;

/// The key of this server. `Debug` gives `***`.
#[derive(Clone)]
pub struct ServerKey {
    /// Keyed once: hashing a token starts from a copy.
    mac: Hmac<Sha256>,
}

/// Why there is no server key.
#[derive(Debug, thiserror::Error)]
pub enum ServerKeyError {
    /// The file cannot be read or made.
    #[error("the server key {path} cannot be {action}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: `read` or `created`.
        action: &'static str,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The file is no key of ours.
    #[error(
        "the server key {path} must have exactly {SERVER_KEY_BYTES} bytes and has {length}{more}: restore it from a backup, or remove it to have a new one made (tokens then have to be made again)",
        more = if *.length > SERVER_KEY_BYTES { " or more" } else { "" }
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes that were read.
        length: usize,
    },
    /// Others could read the key.
    #[error(
        "the server key {path} has mode {mode:03o}: it must be readable by its owner only (chmod 600 {path})"
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system gave no randomness.
    #[error("the system gave no random bytes for the server key: {0}")]
    Randomness(String),
}

impl ServerKey {
    /// Makes a key of bytes that the caller keeps.
    pub fn from_bytes(bytes: &[u8; SERVER_KEY_BYTES]) -> Self {
        Self {
            // A block is longer than the key, so that it is used as it is.
            mac: Hmac::new(&block(bytes)),
        }
    }

    /// Makes a key that nobody keeps, for servers without a data directory.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn ephemeral() -> Result<Self, ServerKeyError> {
        Ok(Self::from_bytes(&random_bytes()?))
    }

    /// Reads the key, or makes one: 32 random bytes, mode 0600, there in full or not at all.
    ///
    /// Two processes must not do this at once; the lock of the data directory sees to that.
    ///
    /// # Errors
    /// When the file cannot be read or made, has another length, or may be read by others.
    pub fn load_or_create(path: &Path) -> Result<Self, ServerKeyError> {
        match load(path) {
            Err(ServerKeyError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                let bytes = random_bytes()?;
                create(path, &bytes).map_err(|cause| io_error(path, "created", cause))?;
                Ok(Self::from_bytes(&bytes))
            }
            loaded => loaded.map(|bytes| Self::from_bytes(&bytes)),
        }
    }

    /// Returns the keyed hash of a token.
    pub(crate) fn digest(&self, token: &str) -> [u8; DIGEST_BYTES] {
        let mut mac = self.mac.clone();
        mac.update(token.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// RFC 2104 pads a short key with zeros to the block of its hash: 64 bytes for SHA-256.
fn block(bytes: &[u8; SERVER_KEY_BYTES]) -> hmac::digest::Key<Hmac<Sha256>> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    for (to, from) in block.iter_mut().zip(bytes) {
        *to = *from;
    }
    block
}

fn random_bytes() -> Result<[u8; SERVER_KEY_BYTES], ServerKeyError> {
    let mut bytes = [0; SERVER_KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| ServerKeyError::Randomness(error.to_string()))?;
    Ok(bytes)
}

fn load(path: &Path) -> Result<[u8; SERVER_KEY_BYTES], ServerKeyError> {
    let read = |cause| io_error(path, "read", cause);
    let file = File::open(path).map_err(read)?;
    let mode = file.metadata().map_err(read)?.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(ServerKeyError::Permissions {
            path: path.to_owned(),
            mode,
        });
    }
    let mut bytes = Vec::with_capacity(SERVER_KEY_BYTES + 1);
    // One byte more than a key has, so that a longer file is seen without reading it whole.
    let limit = u64::try_from(SERVER_KEY_BYTES + 1).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(read)?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| ServerKeyError::Length {
        path: path.to_owned(),
        length,
    })
}

fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let temporary = path.with_extension("key.new");
    // Left behind by a process that died here.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    // The name is durable only when its directory is.
    File::open(directory)?.sync_all()
}

fn io_error(path: &Path, action: &'static str, cause: io::Error) -> ServerKeyError {
    ServerKeyError::Io {
        path: path.to_owned(),
        action,
        cause,
    }
}
