//! Credentials that the server issued: documents of the registry, so that they outlive it and hold on every node.

use std::sync::Arc;
use std::time::Duration;

use getrandom::fill;
use serde::{Deserialize, Serialize};
use waypost_core::{
    Access, Command, Dialect, Document, DocumentKey, Grant, Revision, Snapshot, Timestamp, Verb,
    text,
};

use crate::Secret;
use crate::server_key::ServerKey;

/// Tokens, by the keyed hash of each.
pub(crate) const TOKENS: &str = "access/token";
/// AWS key pairs, by access key id. Their secrets are kept nowhere: they are drawn from the server key.
pub(crate) const KEYS: &str = "access/key";
/// What tells the server key from another one, and that credentials were issued: kept until the last one is revoked.
pub(crate) const MARK: &str = "access/server-key";
/// Letters of ids and secrets.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// How tokens begin, so that one in a log or a repository is known for what it is.
const TOKEN_PREFIX: &str = "wp_";
/// How AWS's access key ids begin.
const KEY_PREFIX: &str = "AKIA";

/// A credential as it is kept and listed; nothing in it can be sent to a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Its id, by which it is revoked; for a key pair the access key id.
    pub id: String,
    /// What it is for, in its owner's words: the subject of audit lines.
    pub name: String,
    /// Whether it is a key pair of AWS's kind.
    pub is_aws: bool,
    /// The account in ARNs, for a key pair.
    pub account: String,
    /// What it allows; without any, everything.
    pub grants: Vec<Grant>,
    /// When it was issued.
    pub created: Timestamp,
    /// The credential that it was issued in the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// When it ends.
    #[serde(skip)]
    pub expires: Option<Timestamp>,
}

/// A credential that was just made, with what is shown once.
#[derive(Clone, Debug)]
pub struct Made {
    /// The credential.
    pub issued: Issued,
    /// The token, or the secret access key.
    pub secret: Secret,
    /// What the registry has to keep.
    pub document: Document,
}

/// What a credential is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it is for.
    pub name: String,
    /// Whether it is a key pair of AWS's kind.
    pub is_aws: bool,
    /// The account in ARNs, for a key pair.
    pub account: String,
    /// What it allows; without any, everything.
    pub grants: Vec<Grant>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// The credential that it is issued in the place of.
    pub replaces: Option<String>,
}

impl Wanted {
    /// Describes the credential that is to take the place of another one: the same, and for as long again.
    pub fn in_place_of(issued: &Issued, now: Timestamp) -> Self {
        let lives = issued.expires.map(|end| end.since(issued.created));
        Self {
            name: issued.name.clone(),
            is_aws: issued.is_aws,
            account: issued.account.clone(),
            grants: issued.grants.clone(),
            expires: lives.map(|lives| now.after(lives)),
            replaces: Some(issued.id.clone()),
        }
    }
}

impl Issued {
    pub(crate) fn read(document: &Document) -> Option<Self> {
        let read: Self = serde_json::from_slice(&document.bytes).ok()?;
        Some(Self {
            expires: document.expiry,
            ..read
        })
    }

    /// Lists what was issued and has neither ended nor been revoked.
    pub fn all(snapshot: &Snapshot) -> impl Iterator<Item = (DocumentKey, Self)> {
        let documents = [TOKENS, KEYS]
            .into_iter()
            .flat_map(|kind| snapshot.documents_of(kind));
        documents.filter_map(|document| Some((document.key.clone(), Self::read(document)?)))
    }

    /// Says whether its bearer can issue the next credential, for as long as it is not revoked. A key pair cannot: where
    /// credentials are issued nobody signs.
    pub fn is_lasting_admin(&self) -> bool {
        !self.is_aws && self.expires.is_none() && self.is_admin()
    }

    /// Says whether it holds no more, although the registry may have it for a moment still.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// Says whether its bearer can issue credentials.
    pub fn is_admin(&self) -> bool {
        let is_admin = |grant: &Grant| grant.verbs.contains(&Verb::Admin);
        self.grants.is_empty() || self.grants.iter().any(is_admin)
    }

    pub(crate) fn access(&self) -> Access {
        if self.grants.is_empty() {
            Access::everything(&self.name, Dialect::Internal, None)
        } else {
            let grants = Arc::from(self.grants.as_slice());
            Access::granted(&self.name, Dialect::Internal, None, grants)
        }
    }
}

/// Makes a credential; the caller has the registry keep its document.
pub(crate) fn make(
    server_key: &ServerKey,
    wanted: Wanted,
    now: Timestamp,
) -> Result<Made, getrandom::Error> {
    let letters = |count: usize| -> Result<String, getrandom::Error> {
        let mut bytes = vec![0; count];
        fill(&mut bytes)?;
        Ok(bytes.iter().map(|byte| letter(*byte)).collect())
    };
    let (id, secret, kind, key) = if wanted.is_aws {
        let id = format!("{KEY_PREFIX}{}", letters(16)?);
        let secret = aws_secret(server_key, &id);
        (id.clone(), secret, KEYS, id)
    } else {
        // 52 letters of 5 bits: more than 256 bits.
        let token = format!("{TOKEN_PREFIX}{}", letters(52)?);
        let digest = hex(&server_key.digest(&token));
        let id = format!("tok-{}", letters(12)?.to_lowercase());
        (id, Secret::new(token), TOKENS, digest)
    };
    let issued = Issued {
        id,
        name: wanted.name,
        is_aws: wanted.is_aws,
        account: wanted.account,
        grants: wanted.grants,
        created: now,
        expires: wanted.expires,
        replaces: wanted.replaces,
    };
    let document = Document {
        key: DocumentKey {
            kind: text(kind),
            key: text(&key),
        },
        // What is written are texts and numbers, which always serialize.
        bytes: serde_json::to_vec(&issued).unwrap_or_default().into(),
        expiry: issued.expires,
    };
    Ok(Made {
        issued,
        secret,
        document,
    })
}

/// Draws the secret of a key pair from the server key.
pub(crate) fn aws_secret(server_key: &ServerKey, id: &str) -> Secret {
    let digest = server_key.digest(&format!("aws-secret\n{id}"));
    let more = server_key.digest(&format!("aws-secret more\n{id}"));
    let bytes = digest.iter().chain(&more).take(40);
    Secret::new(bytes.map(|byte| letter(*byte)).collect::<String>())
}

fn letter(byte: u8) -> char {
    let letter = LETTERS.get(usize::from(byte & 31)).copied();
    char::from(letter.unwrap_or(b'A'))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    let pairs = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    pairs.map(digit).collect()
}

/// Ends a credential after a while, or at once.
pub(crate) fn ending(document: &Document, grace: Duration, now: Timestamp) -> Command {
    if grace.is_zero() {
        return Command::RemoveDocument(document.key.clone());
    }
    let end = now.after(grace);
    let document = Document {
        expiry: Some(document.expiry.map_or(end, |expiry| expiry.min(end))),
        ..document.clone()
    };
    Command::PutDocument {
        document: Arc::new(document),
        expected: None,
    }
}

/// Makes the document by which the server key is recognised.
pub(crate) fn mark(digest: &[u8]) -> Document {
    Document {
        key: DocumentKey {
            kind: text(MARK),
            key: text("mark"),
        },
        bytes: hex(digest).into_bytes().into(),
        expiry: None,
    }
}

/// A document that must not be there yet.
pub const NEW: Option<Revision> = Some(Revision::ZERO);
