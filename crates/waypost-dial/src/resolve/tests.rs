use super::*;
use crate::error::DialErrorKind;
use crate::policy::Rule;
use crate::testing;

fn strict() -> Resolver {
    let config = DialConfig::default();
    Resolver::new(&config, AddressPolicy::new(&config, false))
}

#[tokio::test]
async fn localhost_is_pinned_to_loopback_where_that_is_allowed() {
    let pinned = testing::resolver()
        .resolve("localhost", 8080)
        .await
        .unwrap();
    assert!(pinned.addresses().len() >= 1);
    assert!(pinned.addresses().all(|address| address.ip().is_loopback()));
    assert_eq!(pinned.authority(), "localhost:8080");
}

#[tokio::test]
async fn localhost_is_refused_where_loopback_is_not_allowed() {
    let error = strict().resolve("localhost", 8080).await.unwrap_err();
    let DialError::Policy { host, refused } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(host, "localhost");
    assert!(
        refused
            .iter()
            .all(|r| r.rule == Rule::Loopback && r.ip.is_loopback())
    );
    assert!(
        error
            .to_string()
            .starts_with("host name localhost has no address that may be")
    );
}

#[tokio::test]
async fn a_number_that_the_system_reads_as_an_address_is_judged_after_resolution() {
    for host in ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"] {
        let error = strict().resolve(host, 80).await.unwrap_err();
        assert!(
            matches!(error.kind(), DialErrorKind::Policy | DialErrorKind::Resolve),
            "{host}"
        );
    }
    let error = strict().resolve("127.1", 80).await.unwrap_err();
    assert_eq!(error.kind(), DialErrorKind::Policy, "{error}");
}

#[tokio::test]
async fn an_address_literal_is_judged_without_a_lookup() {
    let error = strict().resolve("169.254.169.254", 80).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "address 169.254.169.254 refused: cloud metadata addresses are always refused"
    );
    let error = strict().resolve("[fe80::1]", 80).await.unwrap_err();
    assert_eq!(error.kind(), DialErrorKind::Policy);
    let pinned = strict().resolve("[2001:db8::1]", 80).await.unwrap();
    assert_eq!(pinned.authority(), "[2001:db8::1]:80");
}

#[test]
fn only_the_refused_addresses_of_an_answer_are_left_out() {
    let answer: Vec<IpAddr> = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "10.0.0.2"]
        .map(|ip| ip.parse().unwrap())
        .into();
    let pinned = strict().judge("mixed.example", 80, &answer).unwrap();
    let kept: Vec<String> = pinned
        .addresses()
        .map(|address| address.to_string())
        .collect();
    assert_eq!(kept, ["10.0.0.1:80", "10.0.0.2:80"]);
}

#[test]
fn a_long_answer_is_cut() {
    let answer: Vec<IpAddr> = (0..200).map(|n| IpAddr::from([10, 0, 0, n])).collect();
    assert_eq!(
        strict()
            .judge("many.example", 80, &answer)
            .unwrap()
            .addresses()
            .len(),
        MAX_PINNED
    );
    let hidden: Vec<IpAddr> = std::iter::repeat_n(IpAddr::from([127, 0, 0, 1]), MAX_ANSWERS)
        .chain([IpAddr::from([10, 0, 0, 1])])
        .collect();
    let error = strict().judge("many.example", 80, &hidden).unwrap_err();
    assert_eq!(error.kind(), DialErrorKind::Policy);
}

#[test]
fn a_mapped_answer_is_pinned_as_the_ipv4_address() {
    let pinned = strict()
        .judge("m", 80, &["::ffff:10.0.0.1".parse().unwrap()])
        .unwrap();
    assert_eq!(pinned.address().to_string(), "10.0.0.1:80");
}

#[tokio::test]
async fn what_is_no_host_name_is_refused_before_the_lookup() {
    let long = "a".repeat(254);
    for host in [
        "",
        "a b",
        "user@host",
        "host/path",
        "h\u{e9}te",
        "a\r\nb",
        "[::1",
        &long,
    ] {
        let error = strict().resolve(host, 80).await.unwrap_err();
        assert!(
            matches!(error, DialError::Invalid { field: "host", .. }),
            "{host:?}: {error}"
        );
    }
}

#[tokio::test]
async fn port_zero_is_refused() {
    let error = strict().resolve("10.0.0.1", 0).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "port \"0\" cannot be used: ports are from 1 to 65535"
    );
}

#[tokio::test]
async fn a_name_without_an_address_says_so() {
    // RFC 6761: names under `.invalid` never exist. Without any DNS the lookup fails as well.
    let error = strict().resolve("nothing.invalid", 80).await.unwrap_err();
    assert_eq!(error.kind(), DialErrorKind::Resolve);
    assert!(
        error.to_string().starts_with("host name nothing.invalid "),
        "{error}"
    );
}

#[tokio::test]
async fn a_lookup_that_finds_no_free_thread_gives_up_in_time() {
    let resolver = Resolver {
        timeout: Duration::from_millis(50),
        ..strict()
    };
    let taken = u32::try_from(MAX_LOOKUPS).unwrap();
    let _all = Arc::clone(&resolver.lookups)
        .acquire_many_owned(taken)
        .await
        .unwrap();
    let error = resolver.resolve("localhost", 80).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "host name localhost was not resolved within 50 ms"
    );
}
