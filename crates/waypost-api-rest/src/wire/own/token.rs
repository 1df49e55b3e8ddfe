use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Rfc3339;
use crate::wire::number;

/// What a credential may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerbWord {
    /// See namespaces, services and instances.
    Read,
    /// Register, renew, report on and deregister instances.
    Register,
    /// Set modes and overrides.
    Operate,
    /// Create, change and delete namespaces and services.
    Configure,
    /// Issue and revoke credentials, and everything else.
    Admin,
}

/// One line of what a credential allows.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantLine {
    /// What.
    #[schema(min_items = 1, max_items = 5)]
    pub(crate) verbs: Vec<VerbWord>,
    /// In which namespaces: a name, a name that ends in `*`, or `*`.
    #[serde(default = "every")]
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-)+-~]*\\*?$")]
    pub(crate) namespaces: String,
    /// For which services: a name, a name that ends in `*`, or `*`.
    #[serde(default = "every")]
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-)+-~]*\\*?$")]
    pub(crate) services: String,
}

fn every() -> String {
    "*".to_owned()
}

/// What a credential is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenSettings {
    /// What it is for; it stands in audit lines.
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$")]
    pub(crate) name: String,
    /// Whether it is to be a key pair of AWS's kind instead of a token.
    #[serde(default)]
    pub(crate) aws: bool,
    /// The account in ARNs, for a key pair.
    #[schema(pattern = "^[0-9]{12}$")]
    pub(crate) account: Option<String>,
    /// What it allows; without any, everything.
    #[serde(default)]
    #[schema(max_items = 32)]
    pub(crate) grants: Vec<GrantLine>,
    /// Seconds until it ends; without it, it does not.
    #[serde(default, deserialize_with = "number::given_u32::<_, 1, 315_360_000>")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 315_360_000_u32)]
    pub(crate) expires_in_seconds: Option<Option<u32>>,
}

/// How a credential is rotated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationBody {
    /// Seconds for which the old one holds beside the new one; without it, it ends at once.
    #[serde(default, deserialize_with = "number::given_u32::<_, 1, 2_592_000>")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 2_592_000_u32)]
    pub(crate) grace_seconds: Option<Option<u32>>,
}

/// A credential; nothing in it can be sent to a server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    /// Its id, by which it is revoked; the access key id for a key pair.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) name: String,
    /// `bearer` or `aws`.
    pub(crate) kind: &'static str,
    /// The account in ARNs, for a key pair.
    pub(crate) account: Option<String>,
    /// What it allows; without any, everything.
    pub(crate) grants: Vec<GrantLine>,
    /// When it was issued.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created: Rfc3339,
    /// When it ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) expires: Option<Rfc3339>,
    /// When it was used last; written down once an hour, so that a restart may tell an earlier time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_used: Option<Rfc3339>,
    /// The credential whose place it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<String>,
    /// The token, or the secret access key: shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
}

/// Every credential that was issued.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenList {
    /// By id.
    pub(crate) tokens: Vec<Token>,
}
