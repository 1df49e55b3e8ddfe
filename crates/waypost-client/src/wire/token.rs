use serde::{Deserialize, Serialize};

/// One line of what a credential allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantLine {
    /// `read`, `register`, `operate`, `configure`, `admin`.
    pub verbs: Vec<String>,
    /// In which namespaces: a name, a name that ends in `*`, or `*`.
    pub namespaces: String,
    /// For which services: a name, a name that ends in `*`, or `*`.
    pub services: String,
}

/// What a credential is to be.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TokenSettings {
    /// What it is for.
    pub name: String,
    /// Whether it is to be a key pair of AWS's kind.
    pub aws: bool,
    /// The account in ARNs, for a key pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What it allows; without any, everything.
    pub grants: Vec<GrantLine>,
    /// Seconds until it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u32>,
}

/// How a credential is rotated.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RotationBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grace_seconds: Option<u32>,
}

/// A credential that the server issued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// Its id, by which it is revoked; the access key id for a key pair.
    pub id: String,
    /// What it is for.
    #[serde(default)]
    pub name: String,
    /// `bearer` or `aws`.
    #[serde(default)]
    pub kind: String,
    /// The account in ARNs, for a key pair.
    #[serde(default)]
    pub account: Option<String>,
    /// What it allows; without any, everything.
    #[serde(default)]
    pub grants: Vec<GrantLine>,
    /// When it was issued.
    #[serde(default)]
    pub created: String,
    /// When it ends.
    #[serde(default)]
    pub expires: Option<String>,
    /// When it was used last, to the hour.
    #[serde(default)]
    pub last_used: Option<String>,
    /// The credential whose place it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The token, or the secret access key; only in the answer that issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Every credential that was issued.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenList {
    /// By id.
    pub tokens: Vec<IssuedToken>,
}
