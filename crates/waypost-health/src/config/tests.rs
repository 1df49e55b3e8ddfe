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
        (r#"{"jitter_percent": 51}"#, "must be 0 to 50"),
        (r#"{"intervall_seconds": 5}"#, "unknown field"),
    ] {
        let error = read(json).unwrap_err();
        assert!(error.contains(rule), "{json}: {error}");
    }
}
