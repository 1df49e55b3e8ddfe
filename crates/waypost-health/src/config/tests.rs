use waypost_core::{CheckId, CheckKind, ProbeProtocol, validate_checks};

use super::HealthConfig;

fn read(json: &str) -> Result<HealthConfig, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn an_empty_section_is_the_default() {
    assert_eq!(read("{}").unwrap(), HealthConfig::default());
}

#[test]
fn values_that_would_stop_every_check_are_refused_with_the_rule() {
    for (json, rule) in [
        (r#"{"interval_seconds": 0}"#, "must be 1 or more"),
        (r#"{"unhealthy_interval_seconds": 0}"#, "must be 1 or more"),
        (r#"{"unhealthy_after": 0}"#, "must be 1 or more"),
        (r#"{"healthy_after": 0}"#, "must be 1 or more"),
        (r#"{"timeout_seconds": 0}"#, "must be 1 to 60"),
        (r#"{"timeout_seconds": 61}"#, "must be 1 to 60"),
        (r#"{"jitter_percent": 51}"#, "must be 0 to 50"),
        (r#"{"intervall_seconds": 5}"#, "unknown field"),
    ] {
        let error = read(json).unwrap_err();
        assert!(error.contains(rule), "{json}: {error}");
    }
}

#[test]
fn a_check_made_from_the_section_has_its_values_and_is_valid() {
    let config = read(
        r#"{"interval_seconds": 60, "unhealthy_interval_seconds": 7, "timeout_seconds": 10,
            "unhealthy_after": 4, "healthy_after": 1}"#,
    )
    .unwrap();
    let check = config.check(CheckId::new("tcp").unwrap(), ProbeProtocol::Tcp);
    validate_checks(std::slice::from_ref(&check)).unwrap();
    assert_eq!((check.unhealthy_after, check.healthy_after), (4, 1));
    let CheckKind::Probe(spec) = check.kind else {
        panic!("{:?} is no probe", check.kind);
    };
    assert_eq!(
        (spec.interval_seconds, spec.unhealthy_interval_seconds),
        (60, 7)
    );
    assert_eq!(spec.timeout_milliseconds, 10_000);
}
