use std::path::PathBuf;

use waypost_core::text;

use super::*;
use crate::TlsProfile;
use crate::testing::tls::Authority;

fn with(profile: TlsProfile) -> HealthConfig {
    HealthConfig {
        tls_profiles: [("edge".to_owned(), profile)].into(),
        ..HealthConfig::default()
    }
}

fn fault(profile: TlsProfile) -> (String, String) {
    let mut errors = Tls::load(&with(profile)).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let error = errors.remove(0);
    (error.field, error.rule)
}

#[test]
fn a_profile_that_cannot_be_used_is_refused_with_setting_file_and_rule() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| -> Option<PathBuf> {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        Some(path)
    };
    let authority = Authority::new();
    let (one, other) = (authority.client(), authority.client());
    let (cert_file, key_file) = (write("a.pem", &one.certificate), write("a.key", &one.key));
    let other_key = write("b.key", &other.key);
    let nothing = TlsProfile::default;
    let missing = Some(folder.path().join("missing"));
    let ca = |ca_file| TlsProfile {
        ca_file,
        ..nothing()
    };
    let identity = |cert_file: &Option<PathBuf>, key_file: &Option<PathBuf>| TlsProfile {
        cert_file: cert_file.clone(),
        key_file: key_file.clone(),
        ..nothing()
    };
    for (profile, field, rule) in [
        (nothing(), "ca_file", "must be set"),
        (ca(missing), "ca_file", "cannot read"),
        (
            ca(write("no.pem", "nothing")),
            "ca_file",
            "must hold a certificate in PEM",
        ),
        (ca(key_file.clone()), "ca_file", "it holds a private key"),
        (
            ca(write("big.pem", &"x".repeat((1 << 20) + 1))),
            "ca_file",
            "at most 1 MiB",
        ),
        (identity(&cert_file, &None), "key_file", "beside cert_file"),
        (identity(&None, &key_file), "cert_file", "beside key_file"),
        (
            identity(&key_file, &key_file),
            "key_file",
            "must hold a certificate in PEM",
        ),
        (
            identity(&cert_file, &cert_file),
            "key_file",
            "must hold a private key in PEM",
        ),
        (
            identity(&cert_file, &other_key),
            "key_file",
            "must be a key of the certificate",
        ),
    ] {
        let (found, why) = fault(profile);
        assert_eq!(found, format!("tls_profiles.edge.{field}"), "{why}");
        assert!(why.contains(rule), "{field}: {why}");
    }
    Tls::load(&with(identity(&cert_file, &key_file))).unwrap();
}

#[test]
fn a_profile_that_no_check_could_name_is_refused() {
    let config = HealthConfig {
        tls_profiles: [("a b".to_owned(), TlsProfile::default())].into(),
        ..HealthConfig::default()
    };
    let errors = Tls::load(&config).unwrap_err();
    assert_eq!(errors[0].field, "tls_profiles.a b");
    assert!(errors[0].rule.contains("1 to 64 letters"), "{errors:?}");
}

#[test]
fn certificates_that_nobody_can_read_and_profiles_that_are_not_there_are_refused() {
    let tls = Tls::load(&HealthConfig::default()).unwrap();
    let authority = Authority::new();
    let of = |pem: &str| TlsProbe {
        ca_pem: Some(text(pem)),
        ..TlsProbe::default()
    };
    tls.judge(&TlsProbe::default()).unwrap();
    tls.judge(&of(&authority.pem)).unwrap();
    let both = format!("a comment\n{}{}", authority.pem, Authority::new().pem);
    tls.judge(&of(&both)).unwrap();
    let torn = authority.pem.replace("MII", "AAA");
    let secret = format!("{}{}", authority.pem, authority.client().key);
    for (pem, rule) in [
        (
            "",
            "must hold a certificate in PEM (-----BEGIN CERTIFICATE-----)",
        ),
        (
            "x",
            "must hold a certificate in PEM (-----BEGIN CERTIFICATE-----)",
        ),
        (&*torn, "must hold X.509 certificates; number 1 is none"),
        (
            &*secret,
            "it holds a private key, which has to be taken for known now",
        ),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "must be PEM"),
    ] {
        let unfit = tls.judge(&of(pem)).unwrap_err();
        assert_eq!(unfit.field, "ca_pem");
        assert!(unfit.rule.contains(rule), "{pem:?}: {}", unfit.rule);
    }
    let unknown = TlsProbe {
        profile: Some(text("edge")),
        ..TlsProbe::default()
    };
    assert_eq!(tls.judge(&unknown).unwrap_err().field, "profile");
}

#[tokio::test]
async fn clients_are_kept_up_to_a_bound() {
    let tls = Tls::load(&HealthConfig::default()).unwrap();
    let named = |at: usize| TlsProbe {
        server_name: Some(text(&format!("host-{at}.example"))),
        insecure: true,
        ..TlsProbe::default()
    };
    let patience = Duration::from_secs(60);
    for at in 0..CLIENTS_MAX {
        tls.client(&named(at), Alpn::Http1, patience).await.unwrap();
        tls.client(&named(at), Alpn::Http1, patience).await.unwrap();
    }
    assert_eq!(locked(&tls.shared.clients).len(), CLIENTS_MAX);
    tls.client(&named(CLIENTS_MAX), Alpn::Http1, patience)
        .await
        .unwrap();
    assert_eq!(locked(&tls.shared.clients).len(), 1);
}
