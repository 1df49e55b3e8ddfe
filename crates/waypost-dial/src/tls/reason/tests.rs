use rustls::pki_types::ServerName;

use super::*;

fn not_valid_for(presented: &[&str]) -> String {
    sentence(&Error::InvalidCertificate(
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("a.example").unwrap(),
            presented: presented.iter().map(|name| (*name).to_owned()).collect(),
        },
    ))
}

#[test]
fn names_of_a_certificate_are_few_and_printable() {
    let prefix = "the certificate is not valid for a.example; ";
    for (presented, names) in [
        (&[][..], "it names nobody"),
        (&[r#"DnsName("b.example")"#], "it is for b.example"),
        (
            &[r#"DnsName("b")"#, "IpAddress(10.0.0.1)"],
            "it is for b, 10.0.0.1",
        ),
        (&["1", "2", "3", "4", "5"], "it is for 1, 2, 3 and 2 more"),
        (&["DnsName(\"a\u{1b}[2J\")"], r"it is for a\u{1b}[2J"),
    ] {
        assert_eq!(not_valid_for(presented), format!("{prefix}{names}"));
    }
    let long = not_valid_for(&[&"x".repeat(10_000)]);
    assert!(long.len() < 200, "{long}");
}

#[test]
fn what_the_other_side_says_is_told_in_words() {
    for (alert, reason) in [
        (
            AlertDescription::CertificateRequired,
            "it asks for a client certificate",
        ),
        (
            AlertDescription::UnknownCA,
            "it does not accept the client certificate (UnknownCA)",
        ),
        (
            AlertDescription::InternalError,
            "it ended the handshake (InternalError)",
        ),
    ] {
        assert_eq!(sentence(&Error::AlertReceived(alert)), reason);
    }
}
