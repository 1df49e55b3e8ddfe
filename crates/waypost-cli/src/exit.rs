//! Exit codes.

use std::process::ExitCode;

use waypost_client::ErrorKind;

/// How a command ended; the number is the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed that no other code describes.
    Failure = 1,
    /// What was asked cannot be right.
    Usage = 2,
    /// It is not there.
    NotFound = 3,
    /// The answer is that something is not well: an empty rotation, an instance that is out.
    Unhealthy = 4,
    /// The token is missing, wrong, or lacks the right.
    Denied = 5,
    /// The server cannot be reached.
    Unreachable = 6,
    /// What was asked disagrees with what the registry holds.
    Conflict = 7,
    /// No answer in time.
    Timeout = 8,
}

impl Exit {
    /// Gives the number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Unreachable => Self::Unreachable,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Timeout => Self::Timeout,
            // Kinds of a later client are failures until they have a code.
            _ => Self::Failure,
        }
    }
}
