use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;

use waypost_core::{Dialect, ErrorKind, NamespaceName, ServiceKey, Verb};

use crate::{
    AccessConfig, AccessError, Authenticator, Caller, PUBLIC_READER, SHARED_SECRET, Secret,
    ServerKey, ServerKeyError,
};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const TOKEN: &str = "f3c1a9e0-correct-horse";

fn key() -> ServerKey {
    ServerKey::from_bytes(&[7; 32])
}

fn caller(bearer: Option<&str>) -> Caller<'_> {
    Caller {
        bearer,
        ..Caller::nobody(PEER)
    }
}

fn with_secret(secret: &str) -> AccessConfig {
    AccessConfig {
        shared_secret: Some(Secret::new(secret)),
        ..AccessConfig::default()
    }
}

fn web() -> ServiceKey {
    ServiceKey::new("svc.internal", "web").unwrap()
}

#[test]
fn a_server_without_credentials_is_open_on_loopback() {
    let authenticator = Authenticator::new(&AccessConfig::default(), key(), true).unwrap();
    let access = authenticator
        .authenticate(&caller(None), Dialect::Discovery, false)
        .unwrap();
    assert!(access.is_everything());
    assert_eq!(access.dialect(), Dialect::Discovery);
    assert_eq!(access.address(), Some(PEER));
    assert!(!authenticator.needs_credentials());
}

#[test]
fn a_server_without_credentials_lets_nobody_in_from_elsewhere_unless_told_to() {
    let authenticator = Authenticator::new(&AccessConfig::default(), key(), false).unwrap();
    let refused = authenticator.authenticate(&caller(None), Dialect::Rest, true);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unauthenticated);
    let config = AccessConfig {
        allow_anonymous: true,
        ..AccessConfig::default()
    };
    let authenticator = Authenticator::new(&config, key(), false).unwrap();
    assert!(
        authenticator
            .authenticate(&caller(None), Dialect::Rest, false)
            .is_ok()
    );
}

#[test]
fn the_shared_secret_allows_everything_and_nothing_else_does() {
    let authenticator = Authenticator::new(&with_secret(TOKEN), key(), true).unwrap();
    let ask = |token| authenticator.authenticate(&caller(token), Dialect::Rest, false);
    let access = ask(Some(TOKEN)).unwrap();
    assert!(access.is_everything());
    assert_eq!(&**access.subject(), SHARED_SECRET);
    for wrong in [
        None,
        Some(""),
        Some("f3c1a9e0-correct-hors"),
        Some("F3C1A9E0-correct-horse"),
    ] {
        assert_eq!(ask(wrong).unwrap_err().kind(), ErrorKind::Unauthenticated);
    }
    assert!(
        authenticator
            .authenticate(&caller(None), Dialect::Rest, true)
            .is_err()
    );
}

#[test]
fn public_reads_open_reads_without_a_token_and_no_writes() {
    let config = AccessConfig {
        public_reads: true,
        ..with_secret(TOKEN)
    };
    let authenticator = Authenticator::new(&config, key(), false).unwrap();
    let access = authenticator
        .authenticate(&caller(None), Dialect::Discovery, true)
        .unwrap();
    assert_eq!(&**access.subject(), PUBLIC_READER);
    assert!(access.allows(Verb::Read, &web()));
    let namespace = NamespaceName::new("svc.internal").unwrap();
    assert!(access.allows_namespace(Verb::Read, &namespace));
    for verb in [Verb::Register, Verb::Operate, Verb::Configure, Verb::Admin] {
        assert!(!access.allows(verb, &web()));
    }
    assert!(
        authenticator
            .authenticate(&caller(None), Dialect::Discovery, false)
            .is_err()
    );
    assert!(
        authenticator
            .authenticate(&caller(Some("not-the-token")), Dialect::Discovery, true)
            .is_err()
    );
}

#[test]
fn listening_elsewhere_without_a_credential_is_refused_in_a_sentence() {
    let anywhere: IpAddr = Ipv4Addr::UNSPECIFIED.into();
    let refused = AccessConfig::default().startup_check(anywhere).unwrap_err();
    let sentence = refused.to_string();
    assert!(sentence.contains("0.0.0.0") && sentence.contains("SERVICE_DISCOVERY_SECRET"));
    assert!(
        AccessConfig::default()
            .startup_check(Ipv4Addr::LOCALHOST.into())
            .is_ok()
    );
    assert!(with_secret(TOKEN).startup_check(anywhere).is_ok());
    let anonymous = AccessConfig {
        allow_anonymous: true,
        ..AccessConfig::default()
    };
    assert!(anonymous.startup_check(anywhere).is_ok());
}

#[test]
fn short_known_and_unsendable_secrets_refuse_the_start() {
    for secret in [
        "",
        "short",
        "your-secret-key",
        "ChangeMe",
        "aaaaaaaaaaaa",
        "with a space",
        "schlüssel-lang",
    ] {
        let refused = Authenticator::new(&with_secret(secret), key(), true).unwrap_err();
        assert!(matches!(refused, AccessError::Secret { .. }), "{secret}");
        assert!(secret.is_empty() || !refused.to_string().contains(secret));
    }
}

#[test]
fn a_secret_is_shown_nowhere() {
    let config = with_secret(TOKEN);
    let authenticator = Authenticator::new(&config, key(), true).unwrap();
    let shown = format!("{config:?} {authenticator:?} {:?}", key());
    assert!(!shown.contains("correct-horse"), "{shown}");
}

#[test]
fn another_server_key_gives_another_digest() {
    let other = ServerKey::from_bytes(&[8; 32]);
    assert_ne!(key().digest(TOKEN), other.digest(TOKEN));
}

#[test]
fn the_digest_is_hmac_sha256() {
    // RFC 4231 test case 2 has a shorter key; this value is from `openssl dgst -sha256 -mac HMAC`.
    let digest = ServerKey::from_bytes(b"0123456789abcdef0123456789abcdef").digest("waypost");
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, HMAC_OF_WAYPOST);
}

const HMAC_OF_WAYPOST: &str = "4a7ac6412b048f4fc34b66d81e566003dc53215dead370f194a79bd7b15298d5";

#[test]
fn the_server_key_is_made_once_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.key");
    let made = ServerKey::load_or_create(&path).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(metadata.len(), 32);
    let read = ServerKey::load_or_create(&path).unwrap();
    assert_eq!(made.digest(TOKEN), read.digest(TOKEN));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_temporary_key_of_a_process_that_died_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.key");
    fs::write(directory.path().join("server.key.new"), b"half").unwrap();
    ServerKey::load_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 32);
}

#[test]
fn a_server_key_of_another_length_or_open_to_others_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.key");
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    for length in [0, 31, 33, 4_096] {
        fs::write(&path, vec![1; length]).unwrap();
        mode(0o600);
        let refused = ServerKey::load_or_create(&path).unwrap_err();
        assert!(
            matches!(refused, ServerKeyError::Length { .. }),
            "{refused}"
        );
    }
    fs::write(&path, [1; 32]).unwrap();
    mode(0o640);
    let refused = ServerKey::load_or_create(&path).unwrap_err();
    assert!(refused.to_string().contains("mode 640"), "{refused}");
    assert!(matches!(refused, ServerKeyError::Permissions { .. }));
}

#[test]
fn the_section_reads_with_defaults_and_refuses_unknown_fields() {
    let read: AccessConfig = serde_json::from_str(r#"{"shared_secret":"abcdefgh1"}"#).unwrap();
    assert_eq!(read.shared_secret.unwrap().expose(), "abcdefgh1");
    assert!(!read.public_reads && !read.allow_anonymous);
    assert!(serde_json::from_str::<AccessConfig>(r#"{"secret":"x"}"#).is_err());
}
