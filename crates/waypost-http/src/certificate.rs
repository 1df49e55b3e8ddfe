//! Who a client certificate says that its owner is.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// Most names of a certificate that are looked at; the rest say nothing.
const NAMES_MAX: usize = 64;

/// How a fingerprint begins.
const FINGERPRINT: &str = "sha256:";

/// What the client's certificate says; nothing without one. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct ClientCertificate(Option<Arc<Shown>>);

#[derive(Debug)]
struct Shown {
    names: Box<[Box<str>]>,
    ends: Option<SystemTime>,
}

impl ClientCertificate {
    pub(crate) fn read(certificate: &CertificateDer<'_>) -> Self {
        let names = names_of(certificate).into();
        let ends = end_of(certificate);
        Self(Some(Arc::new(Shown { names, ends })))
    }

    /// Returns its `sha256:` fingerprint and the URIs and DNS names in it: none without one, and none once it has ended,
    /// which it may while its connection is open.
    #[must_use]
    pub fn names(&self) -> &[Box<str>] {
        match self.0.as_deref() {
            Some(shown) if shown.ends.is_none_or(|ends| now() <= ends) => &shown.names,
            _ => &[],
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a certificate ends by the calendar"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Reads when a certificate ends; none where that cannot be read or told.
pub(crate) fn end_of(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Lists the subject alternative names that are DNS names or URIs, and the SHA-256 fingerprint as `sha256:<hex>`.
///
/// The common name is not among them: what stands there is a matter of taste (RFC 9525, section 2).
fn names_of(certificate: &CertificateDer<'_>) -> Vec<Box<str>> {
    let mut names = vec![fingerprint(certificate)];
    if let Ok(parsed) = EndEntityCert::try_from(certificate) {
        // One without a scheme could pass for a host name, or for a fingerprint.
        let uris = parsed.valid_uri_names().filter(|uri| uri.contains("://"));
        let hosts = parsed.valid_dns_names();
        // A name that an authority wrote must not pass for the fingerprint, which is what nobody can write.
        let written = uris.chain(hosts).filter(|name| !is_fingerprint(name));
        names.extend(written.take(NAMES_MAX).map(Box::from));
    }
    names
}

fn is_fingerprint(name: &str) -> bool {
    let start = name.get(..FINGERPRINT.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(FINGERPRINT))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Box<str> {
    let digest = ring::default_provider()
        .cipher_suites
        .iter()
        .filter_map(rustls::SupportedCipherSuite::tls13)
        .map(|suite| suite.common.hash_provider)
        .find(|hash| hash.output_len() == 32)
        .map(|hash| hash.hash(certificate));
    let mut text = String::from(FINGERPRINT);
    for byte in digest.iter().flat_map(AsRef::<[u8]>::as_ref) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}
