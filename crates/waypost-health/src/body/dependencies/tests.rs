use crate::body::HealthBody;

fn read(body: &str) -> Vec<String> {
    let body = HealthBody::read(body.as_bytes());
    let said = body.dependencies.iter().map(|dependency| {
        let detail = dependency.detail.as_deref().unwrap_or_default();
        format!("{} {} {detail}", dependency.name, dependency.state.as_str())
    });
    said.map(|said| said.trim_end().to_owned()).collect()
}

#[test]
fn every_form_of_a_dependency_is_read() {
    assert_eq!(
        read(
            r#"{"custom_checks": {"db": {"status": "unhealthy", "error": "no route"}, "cache": "degraded"},
                "checks": {"kinesis": true, "disk": [{"status": "pass"}, {"status": "warn", "output": "81 %"}]},
                "components": {"mail": {"status": "UP"}}, "dependencies": {"billing": false, "queue": 7}}"#
        ),
        [
            "cache warning",
            "db failing no route",
            "disk warning 81 %",
            "kinesis passing",
            "mail passing",
            "billing failing",
            "queue unknown 7"
        ]
    );
}

#[test]
fn what_is_no_map_of_names_says_nothing() {
    for body in [
        "",
        "[]",
        r#"{"checks": ["db"]}"#,
        r#"{"checks": 3, "dependencies": null}"#,
        r#"{"status": "healthy"}"#,
    ] {
        assert_eq!(read(body), [""; 0], "{body}");
    }
}

#[test]
fn names_and_details_are_bounded_and_of_one_line() {
    let long = "x".repeat(500);
    let said = read(&format!(r#"{{"checks": {{"{long}": "{long}"}}}}"#));
    assert_eq!(said[0].len(), 64 + " unknown ".len() + 200);
    assert_eq!(read(r#"{"checks": {"a\nb": "c\nd"}}"#), ["a b unknown c d"]);
    let many: Vec<String> = (0..100).map(|n| format!(r#""d{n}": true"#)).collect();
    assert_eq!(
        read(&format!(r#"{{"checks": {{{}}}}}"#, many.join(","))).len(),
        32
    );
}
