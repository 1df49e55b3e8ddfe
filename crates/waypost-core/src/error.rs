//! What can go wrong at the registry, once for every protocol.

use std::borrow::Cow;

use crate::id::Revision;
use crate::mode::Note;

/// The name of a field in an error.
pub type Field = Cow<'static, str>;

/// The longest piece of a refused value that an error repeats, in characters.
const SHOWN_CHARACTERS_MAX: usize = 80;
/// Most characters of a field's path in an error.
const FIELD_CHARACTERS_MAX: usize = 160;

/// Why the registry refused or failed. Adapters map [`RegistryError::kind`] and never the variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A value breaks a rule.
    #[error("{field} {value:?}: {rule}")]
    Invalid {
        /// The field as the model names it.
        field: Field,
        /// The refused value, shortened.
        value: String,
        /// The rule it breaks, as the end of a sentence.
        rule: String,
    },
    /// The thing is not there, or may not be seen.
    #[error("{what} is not registered")]
    NotFound {
        /// The thing.
        what: String,
    },
    /// The thing is there already.
    #[error("{what} exists already")]
    AlreadyExists {
        /// The thing.
        what: String,
    },
    /// Somebody else changed it first, or the request is ambiguous.
    #[error("{what}: {why}")]
    Conflict {
        /// The thing.
        what: String,
        /// What it conflicts with.
        why: String,
    },
    /// It is not as the command expects it.
    #[error("{what} is not as expected: {why}")]
    Changed {
        /// The thing.
        what: String,
        /// How it is instead.
        why: String,
        /// When it was last written; none when it is not there.
        revision: Option<Revision>,
    },
    /// One command of several in one step failed, and with it all.
    #[error("{error}")]
    Item {
        /// Which one, from 0.
        at: usize,
        /// Why it failed.
        error: Box<Self>,
    },
    /// An operator keeps it from being registered for a while.
    #[error("{what} is blocked until {}", told(.block))]
    Blocked {
        /// The instance.
        what: String,
        /// Who blocks it, why and until when.
        block: Box<Note>,
    },
    /// A heartbeat or report of an earlier registration.
    #[error("{what} was registered again since: this belongs to an earlier registration")]
    Replaced {
        /// The instance.
        what: String,
    },
    /// It cannot be removed while something uses it.
    #[error("{what} is in use: {by}")]
    InUse {
        /// The thing.
        what: String,
        /// What uses it.
        by: String,
    },
    /// The credential does not allow this.
    #[error("{subject} may not {verb} {what}")]
    Denied {
        /// Whose credential.
        subject: String,
        /// What was asked.
        verb: &'static str,
        /// Of what.
        what: String,
    },
    /// There is no valid credential.
    #[error("a credential is needed: {why}")]
    Unauthenticated {
        /// What is wrong with what was sent.
        why: String,
    },
    /// A queue or rate is full for now.
    #[error("too much at once: {what}")]
    Throttled {
        /// Which bound was hit.
        what: String,
    },
    /// A bound on size or number.
    #[error("{field}: {rule}")]
    TooLarge {
        /// The field.
        field: Field,
        /// The bound.
        rule: String,
    },
    /// The store takes no writes now.
    #[error("not available: {why}")]
    Unavailable {
        /// Why.
        why: String,
    },
    /// It may or may not have happened.
    #[error("the outcome is unknown: {why}")]
    Unknown {
        /// Why.
        why: String,
    },
}

/// What adapters map to their protocol's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A value breaks a rule.
    Invalid,
    /// Not there, or not to be seen.
    NotFound,
    /// There already.
    AlreadyExists,
    /// Changed by somebody else, not as expected, ambiguous, or of an earlier registration.
    Conflict,
    /// Used by something.
    InUse,
    /// Not allowed.
    Denied,
    /// No valid credential.
    Unauthenticated,
    /// Too much for now.
    Throttled,
    /// Too large or too many.
    TooLarge,
    /// No writes now.
    Unavailable,
    /// May or may not have happened.
    Unknown,
}

impl ErrorKind {
    /// Every kind, for tests that walk them.
    pub const ALL: [Self; 11] = [
        Self::Invalid,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Conflict,
        Self::InUse,
        Self::Denied,
        Self::Unauthenticated,
        Self::Throttled,
        Self::TooLarge,
        Self::Unavailable,
        Self::Unknown,
    ];
}

impl RegistryError {
    /// Makes an `Invalid` error; the value is shortened to 80 characters, a field that the client named to 160.
    pub fn invalid(
        field: impl Into<Field>,
        value: impl std::fmt::Display,
        rule: impl Into<String>,
    ) -> Self {
        let field = match field.into() {
            Field::Owned(name) => Field::Owned(shorten(&name, FIELD_CHARACTERS_MAX)),
            ours @ Field::Borrowed(_) => ours,
        };
        Self::Invalid {
            field,
            value: shorten(&value.to_string(), SHOWN_CHARACTERS_MAX),
            rule: rule.into(),
        }
    }

    /// Makes a `NotFound` error.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::NotFound {
            what: what.to_string(),
        }
    }

    /// Returns the error itself, without which command of several failed by it.
    #[must_use]
    pub fn without_item(self) -> Self {
        match self {
            Self::Item { error, .. } => *error,
            other => other,
        }
    }

    /// Returns the kind, by which adapters answer.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Self::Conflict { .. }
            | Self::Blocked { .. }
            | Self::Changed { .. }
            | Self::Replaced { .. } => ErrorKind::Conflict,
            Self::Item { error, .. } => error.kind(),
            Self::InUse { .. } => ErrorKind::InUse,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Unauthenticated { .. } => ErrorKind::Unauthenticated,
            Self::Throttled { .. } => ErrorKind::Throttled,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Unknown { .. } => ErrorKind::Unknown,
        }
    }

    /// Returns what the error is about: a field for bad values, else the thing.
    pub fn subject(&self) -> &str {
        match self {
            Self::Invalid { field, .. } | Self::TooLarge { field, .. } => field,
            Self::NotFound { what }
            | Self::AlreadyExists { what }
            | Self::Conflict { what, .. }
            | Self::Changed { what, .. }
            | Self::Blocked { what, .. }
            | Self::Replaced { what }
            | Self::InUse { what, .. }
            | Self::Denied { what, .. }
            | Self::Throttled { what } => what,
            Self::Item { error, .. } => error.subject(),
            Self::Unauthenticated { why } | Self::Unavailable { why } | Self::Unknown { why } => {
                why
            }
        }
    }
}

/// Says until when, by whom and why.
fn told(block: &Note) -> String {
    let mut told = block.until.unwrap_or_default().in_utc();
    if !block.author.is_empty() {
        told.push_str(&format!(" by {}", block.author));
    }
    if !block.reason.is_empty() {
        told.push_str(&format!(": {}", block.reason));
    }
    told
}

fn shorten(value: &str, most: usize) -> String {
    let mut shown: String = value.chars().take(most).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}
