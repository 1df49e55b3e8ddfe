//! Credentials that the server issued: documents of the registry, so that they outlive it and hold on every node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use getrandom::fill;
use serde::{Deserialize, Serialize};
use waypost_core::{
    Access, Dialect, Document, DocumentKey, Grant, Revision, Snapshot, Snapshots, Timestamp, text,
};

use crate::Secret;
use crate::server_key::ServerKey;
use crate::sigv4::KeySecret;

/// Tokens, by the keyed hash of each.
const TOKENS: &str = "access/token";
/// AWS key pairs, by access key id. Their secrets are kept nowhere: they are drawn from the server key.
const KEYS: &str = "access/key";
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
}

impl Issued {
    fn read(document: &Document) -> Option<Self> {
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

    fn access(&self) -> Access {
        if self.grants.is_empty() {
            Access::everything(&self.name, Dialect::Internal, None)
        } else {
            let grants = Arc::from(self.grants.as_slice());
            Access::granted(&self.name, Dialect::Internal, None, grants)
        }
    }
}

/// The issued credentials, as the registry has them now.
#[derive(Debug)]
pub(crate) struct Book {
    snapshots: Snapshots,
    /// Twice the revision that was looked at last, and one more when nothing was issued then.
    seen: AtomicU64,
}

impl Book {
    pub(crate) fn new(snapshots: Snapshots) -> Self {
        Self {
            snapshots,
            seen: AtomicU64::new(u64::MAX),
        }
    }

    /// Says whether nothing was issued. Every request to an open server asks, so that one look holds for a revision.
    pub(crate) fn is_empty(&self) -> bool {
        let seen = self.seen.load(Ordering::Relaxed);
        if seen >> 1 == self.snapshots.revision().0 {
            return seen & 1 == 1;
        }
        let snapshot = self.snapshots.latest();
        let mut kinds = [TOKENS, KEYS].into_iter();
        let is_empty = !kinds.any(|kind| snapshot.documents_of(kind).next().is_some());
        let seen = (snapshot.revision().0 << 1) | u64::from(is_empty);
        self.seen.store(seen, Ordering::Relaxed);
        is_empty
    }

    /// Finds what the token of a keyed hash allows.
    pub(crate) fn token(&self, digest: &[u8]) -> Option<Access> {
        let key = DocumentKey::new(TOKENS, &hex(digest)).ok()?;
        let now = self.snapshots.wall();
        Some(self.find(&key, now)?.access())
    }

    /// Finds a key pair: its secret, account and access.
    pub(crate) fn key(
        &self,
        id: &str,
        server_key: &ServerKey,
        now: Timestamp,
    ) -> Option<(KeySecret, String, Access)> {
        let key = DocumentKey::new(KEYS, id).ok()?;
        let issued = self.find(&key, now)?;
        let secret = KeySecret {
            secret: aws_secret(server_key, id),
            session_token: None,
        };
        Some((secret, issued.account.clone(), issued.access()))
    }

    fn find(&self, key: &DocumentKey, now: Timestamp) -> Option<Issued> {
        let snapshot = self.snapshots.latest();
        let (document, _) = snapshot.document(key)?;
        // The registry removes it soon after; it ends on time all the same.
        let is_over = document.expiry.is_some_and(|expiry| expiry <= now);
        Issued::read(document).filter(|_| !is_over)
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
fn aws_secret(server_key: &ServerKey, id: &str) -> Secret {
    let digest = server_key.digest(&format!("aws-secret\n{id}"));
    let more = server_key.digest(&format!("aws-secret more\n{id}"));
    let bytes = digest.iter().chain(&more).take(40);
    Secret::new(bytes.map(|byte| letter(*byte)).collect::<String>())
}

fn letter(byte: u8) -> char {
    let letter = LETTERS.get(usize::from(byte & 31)).copied();
    char::from(letter.unwrap_or(b'A'))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A document that must not be there yet.
pub const NEW: Option<Revision> = Some(Revision::ZERO);
