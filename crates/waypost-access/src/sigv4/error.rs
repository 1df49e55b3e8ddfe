//! Why a signed request is refused, in AWS's codes and words.

/// Why a signed request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigV4Error {
    /// There is no Authorization header of Signature Version 4.
    #[error("Missing Authentication Token")]
    Missing,
    /// The Authorization header lacks something.
    #[error("{why}.")]
    Incomplete {
        /// What it lacks.
        why: String,
    },
    /// Nobody knows the key, or its session token is another.
    #[error("The security token included in the request is invalid.")]
    Unknown,
    /// The signature is not the request's.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
    /// Date, scope, headers or body do not fit together.
    #[error("{why}")]
    Invalid {
        /// What does not fit.
        why: String,
    },
    /// The key is used too often.
    #[error("Rate exceeded")]
    Throttled,
}

impl SigV4Error {
    pub(super) fn incomplete(why: impl Into<String>) -> Self {
        Self::Incomplete { why: why.into() }
    }

    pub(super) fn scope(why: String) -> Self {
        Self::Invalid { why }
    }

    pub(super) fn skew(why: String) -> Self {
        Self::Invalid { why }
    }

    pub(super) fn unsigned(name: &str) -> Self {
        Self::Invalid {
            why: format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."),
        }
    }

    /// Returns the code of services that speak JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete { .. } => "IncompleteSignatureException",
            Self::Unknown => "UnrecognizedClientException",
            Self::Mismatch | Self::Invalid { .. } => "InvalidSignatureException",
            Self::Throttled => "ThrottlingException",
        }
    }
}
