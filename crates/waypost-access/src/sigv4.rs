//! AWS Signature Version 4, the verifying side (AWS General Reference, "Signature Version 4 signing process").
//!
//! A request is taken apart as it came. Which headers are signed is the signer's choice but for `host`, `content-type`
//! and every `x-amz-*` that is sent: one that is not signed could be changed on the way, the operation among them.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use waypost_core::Timestamp;

mod canonical;
mod error;
mod keys;
#[cfg(test)]
mod tests;
mod time;

pub use error::SigV4Error;
pub use keys::SigningKeys;

use canonical::{canonical_headers, canonical_path, canonical_query};
use time::{from_http_date, from_iso, to_iso};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
/// Longest difference between the signer's clock and ours, in both directions.
const SKEW_MINUTES: u64 = 15;
/// Longest Authorization header that is read.
const AUTHORIZATION_BYTES_MAX: usize = 8 * 1_024;
/// Most headers that may be signed.
const SIGNED_HEADERS_MAX: usize = 64;
const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const AMZ_CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const AMZ_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

type Sha256Mac = Hmac<Sha256>;

/// What was sent, as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, not decoded.
    pub path: &'a str,
    /// The query, not decoded, without its `?`.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
}

/// The secret of an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySecret {
    /// The secret access key.
    pub secret: crate::Secret,
    /// The session token that temporary credentials send beside.
    pub session_token: Option<crate::Secret>,
}

/// What a request claims: the parts of its Authorization header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The access key id.
    pub key_id: String,
    /// The day in the scope, `YYYYMMDD`.
    day: String,
    /// The region in the scope.
    pub region: String,
    service: String,
    signed: Vec<String>,
    signature: String,
}

impl Claim {
    /// Reads the Authorization header of a request.
    ///
    /// # Errors
    /// `MissingAuthenticationToken` without a header of this algorithm, `IncompleteSignature` for one that lacks a part.
    pub fn read(headers: &HeaderMap) -> Result<Self, SigV4Error> {
        let value = headers
            .get(http::header::AUTHORIZATION)
            .ok_or(SigV4Error::Missing)?;
        let text = value.to_str().map_err(|_| SigV4Error::Missing)?;
        if text.len() > AUTHORIZATION_BYTES_MAX {
            return Err(SigV4Error::incomplete(format!(
                "Authorization header has more than {AUTHORIZATION_BYTES_MAX} bytes"
            )));
        }
        let rest = text
            .strip_prefix(ALGORITHM)
            .filter(|rest| rest.starts_with(' '))
            .ok_or(SigV4Error::Missing)?;
        let part = |name: &str| {
            let parts = rest.split(',').map(str::trim);
            let mut found = parts.filter_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            let value = found.next().filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| {
                SigV4Error::incomplete(format!("Authorization header requires '{name}' parameter"))
            })?;
            match found.next() {
                None => Ok(value),
                Some(_) => Err(SigV4Error::incomplete(format!(
                    "Authorization header has more than one '{name}' parameter"
                ))),
            }
        };
        let credential = part("Credential")?;
        let signed = part("SignedHeaders")?;
        let signature = part("Signature")?;
        let mut scope = credential.rsplitn(5, '/');
        let mut next = || scope.next().filter(|part| !part.is_empty());
        let (terminator, service, region, day, key_id) = (next(), next(), next(), next(), next());
        let (Some(TERMINATOR), Some(service), Some(region), Some(day), Some(key_id)) =
            (terminator, service, region, day, key_id)
        else {
            return Err(SigV4Error::incomplete(format!(
                "Credential must have the form KEY/YYYYMMDD/REGION/SERVICE/{TERMINATOR}"
            )));
        };
        Ok(Self {
            key_id: key_id.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed: signed_headers(signed)?,
            signature: signature.to_owned(),
        })
    }

    /// Checks the request against what it claims.
    ///
    /// `secret` is the key's, or `None` for a key that nobody knows: both take the same time. `service` is the one that
    /// must be in the scope.
    ///
    /// # Errors
    /// [`SigV4Error`] says what does not hold.
    pub fn verify(
        &self,
        request: &SignedRequest<'_>,
        (service, secret): (&str, Option<&KeySecret>),
        now: Timestamp,
        keys: &SigningKeys,
    ) -> Result<(), SigV4Error> {
        let at = signed_at(request.headers)?;
        self.check_scope(service, &at, now)?;
        self.check_signed_headers(request.headers)?;
        let payload = hex(&Sha256::digest(request.body));
        check_content(request.headers, &payload)?;
        let canonical = self.canonical(request, &payload);
        let to_sign = format!(
            "{ALGORITHM}\n{}\n{}/{}/{}/{TERMINATOR}\n{}",
            at.iso,
            self.day,
            self.region,
            self.service,
            hex(&Sha256::digest(canonical))
        );
        let nobody = KeySecret {
            secret: crate::Secret::new("nobody has this key"),
            session_token: None,
        };
        let known = secret.unwrap_or(&nobody);
        let key = keys.of(
            (&self.key_id, known.secret.expose()),
            (&self.day, &self.region, &self.service),
        );
        let expected = hex(&sign(&key, to_sign.as_bytes()));
        let is_right = bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes()));
        if secret.is_none() {
            return Err(SigV4Error::Unknown);
        }
        check_session(request.headers, known)?;
        if is_right {
            Ok(())
        } else {
            Err(SigV4Error::Mismatch)
        }
    }

    fn check_scope(&self, service: &str, at: &SignedAt, now: Timestamp) -> Result<(), SigV4Error> {
        if self.service != service {
            return Err(SigV4Error::scope(format!(
                "Credential should be scoped to correct service: '{service}'."
            )));
        }
        if at.iso.get(..8) != Some(&*self.day) {
            return Err(SigV4Error::scope(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', from '{}'.",
                self.day,
                at.iso.get(..8).unwrap_or_default(),
                at.iso
            )));
        }
        let skew = SKEW_MINUTES * 60;
        let seconds = now.0 / 1_000;
        if at.seconds.saturating_add(skew) < seconds {
            return Err(SigV4Error::skew(format!(
                "Signature expired: {} is now earlier than {} ({} - {SKEW_MINUTES} min.)",
                at.iso,
                to_iso(seconds.saturating_sub(skew)),
                to_iso(seconds)
            )));
        }
        if at.seconds > seconds.saturating_add(skew) {
            return Err(SigV4Error::skew(format!(
                "Signature not yet current: {} is still later than {} ({} + {SKEW_MINUTES} min.)",
                at.iso,
                to_iso(seconds.saturating_add(skew)),
                to_iso(seconds)
            )));
        }
        Ok(())
    }

    /// What names the operation, the body and the host must be signed, and what is signed must be there.
    fn check_signed_headers(&self, headers: &HeaderMap) -> Result<(), SigV4Error> {
        let is_signed = |name: &str| self.signed.iter().any(|signed| signed == name);
        if !is_signed("host") {
            return Err(SigV4Error::unsigned("host"));
        }
        for name in headers.keys().map(HeaderName::as_str) {
            let must = name == "content-type" || name.starts_with("x-amz-");
            if must && !is_signed(name) {
                return Err(SigV4Error::unsigned(name));
            }
        }
        match self.signed.iter().find(|name| !headers.contains_key(*name)) {
            None => Ok(()),
            Some(name) => Err(SigV4Error::scope(format!(
                "Header '{name}' is signed and was not sent."
            ))),
        }
    }

    fn canonical(&self, request: &SignedRequest<'_>, payload: &str) -> String {
        let names = self.signed.join(";");
        format!(
            "{}\n{}\n{}\n{}\n{names}\n{payload}",
            request.method,
            canonical_path(request.path),
            canonical_query(request.query),
            canonical_headers(&self.signed, request.headers),
        )
    }
}

/// Reads `SignedHeaders`: names in lower case, in order, each once.
fn signed_headers(text: &str) -> Result<Vec<String>, SigV4Error> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    let is_ordered = names.is_sorted_by(|one, other| one < other);
    let is_lower = names.iter().all(|name| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
    });
    if names.len() > SIGNED_HEADERS_MAX || !is_ordered || !is_lower {
        return Err(SigV4Error::incomplete(format!(
            "SignedHeaders must be at most {SIGNED_HEADERS_MAX} names in lower case, in order, each once"
        )));
    }
    Ok(names)
}

/// When a request was signed.
struct SignedAt {
    iso: String,
    seconds: u64,
}

fn signed_at(headers: &HeaderMap) -> Result<SignedAt, SigV4Error> {
    let missing = || {
        SigV4Error::incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header",
        )
    };
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(iso) = text(&AMZ_DATE) {
        let seconds = from_iso(iso).ok_or_else(|| {
            SigV4Error::incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{}'",
                iso.escape_default()
            ))
        })?;
        return Ok(SignedAt {
            iso: iso.to_owned(),
            seconds,
        });
    }
    let date = text(&http::header::DATE).ok_or_else(missing)?;
    let seconds = from_iso(date)
        .or_else(|| from_http_date(date))
        .ok_or_else(missing)?;
    Ok(SignedAt {
        iso: to_iso(seconds),
        seconds,
    })
}

/// A hash that is sent must be the body's; what leaves the body out is for S3 alone.
fn check_content(headers: &HeaderMap, payload: &str) -> Result<(), SigV4Error> {
    let Some(sent) = headers.get(&AMZ_CONTENT) else {
        return Ok(());
    };
    if bool::from(sent.as_bytes().ct_eq(payload.as_bytes())) {
        return Ok(());
    }
    Err(SigV4Error::scope(
        "The value of x-amz-content-sha256 is not the SHA-256 of the body.".to_owned(),
    ))
}

fn check_session(headers: &HeaderMap, known: &KeySecret) -> Result<(), SigV4Error> {
    let sent = headers.get(&AMZ_TOKEN);
    match (&known.session_token, sent) {
        (None, None) => Ok(()),
        (Some(token), Some(sent))
            if bool::from(sent.as_bytes().ct_eq(token.expose().as_bytes())) =>
        {
            Ok(())
        }
        _ => Err(SigV4Error::Unknown),
    }
}

fn sign(key: &[u8], message: &[u8]) -> [u8; 32] {
    // A key of any length is taken.
    let Ok(mut mac) = Sha256Mac::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string cannot fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}
