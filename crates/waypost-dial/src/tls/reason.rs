//! What went wrong in TLS, in words for those who read `waypost explain`.

use rustls::{AlertDescription, CertificateError, Error};

#[cfg(test)]
mod tests;

/// How many names of a certificate a reason repeats.
const NAMES_MAX: usize = 3;
/// How much of a name a reason repeats.
const NAME_CHARACTERS_MAX: usize = 80;

/// Gives the part of a sentence after `TLS with ADDRESS failed: `.
pub(crate) fn sentence(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => certificate(why),
        Error::AlertReceived(alert) => refused(*alert),
        Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        Error::PeerIncompatible(why) => {
            format!("there is no version or cipher in common: {why:?}")
        }
        Error::NoApplicationProtocol => {
            "it speaks none of the protocols that were offered (ALPN)".to_owned()
        }
        other => other.to_string(),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "the certificate is not valid for {}; {}",
            expected.to_str(),
            names(presented)
        ),
        CertificateError::NotValidForName => "the certificate is not valid for the name".to_owned(),
        CertificateError::UnknownIssuer => "the certificate is from an unknown issuer".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is not one for servers".to_owned()
        }
        CertificateError::BadEncoding => "the certificate cannot be read".to_owned(),
        CertificateError::BadSignature => {
            "the certificate is not signed by the authority that it names, or its key is not the server's".to_owned()
        }
        CertificateError::Other(why) if why.to_string().contains("CaUsedAsEndEntity") => {
            "the certificate is that of an authority (CA:TRUE), which cannot be a server's own"
                .to_owned()
        }
        other => format!("the certificate is not valid: {other}"),
    }
}

/// `presented` has each name as rustls shows it: `DnsName("a.example")` or `IpAddress(10.0.0.1)`.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "it names nobody".to_owned();
    }
    let shown = presented.iter().take(NAMES_MAX).map(|name| {
        let inner = name.split_once('(').map_or(&**name, |(_, inner)| inner);
        let inner = inner.trim_end_matches(')').trim_matches('"');
        let cut: String = inner.chars().take(NAME_CHARACTERS_MAX).collect();
        cut.escape_debug().to_string()
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match presented.len().saturating_sub(NAMES_MAX) {
        0 => format!("it is for {shown}"),
        more => format!("it is for {shown} and {more} more"),
    }
}

fn refused(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => "it asks for a client certificate".to_owned(),
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            format!("it does not accept the client certificate ({alert:?})")
        }
        AlertDescription::ProtocolVersion => {
            "there is no version of TLS in common; 1.2 and 1.3 are spoken here".to_owned()
        }
        AlertDescription::UnrecognisedName => "it knows no server of that name".to_owned(),
        AlertDescription::NoApplicationProtocol => {
            "it speaks none of the protocols that were offered (ALPN)".to_owned()
        }
        other => format!("it ended the handshake ({other:?})"),
    }
}
