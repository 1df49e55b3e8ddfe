use super::*;

fn read(json: &str) -> Result<DialConfig, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn an_empty_section_is_the_default() {
    assert_eq!(read("{}").unwrap(), DialConfig::default());
}

#[test]
fn networks_are_read_as_cidr() {
    let config = read(r#"{"allow": ["10.0.0.0/8"], "deny": ["fd00::/8"]}"#).unwrap();
    assert_eq!(config.allow[0].to_string(), "10.0.0.0/8");
    assert!(read(r#"{"allow": ["10.0.0.0/40"]}"#).is_err());
}

#[test]
fn a_limit_of_zero_is_refused() {
    for field in [
        "resolve_timeout_seconds",
        "connect_timeout_seconds",
        "max_in_flight",
        "max_in_flight_per_host",
    ] {
        let error = read(&format!("{{\"{field}\": 0}}")).unwrap_err();
        assert!(error.starts_with("must be 1 or more"), "{field}: {error}");
    }
}

#[test]
fn an_unknown_setting_is_refused() {
    assert!(read(r#"{"alow": []}"#).unwrap_err().contains("alow"));
}
