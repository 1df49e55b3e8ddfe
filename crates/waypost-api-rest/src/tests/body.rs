use serde_json::Value;

use crate::body::parse;
use crate::error::Refusal;
use crate::wire::discovery::ServiceRegistrationRequest;
use crate::wire::own::{Registration, ServiceSettings};

/// Status, field, value and rule of a refusal.
fn refused<T: serde::de::DeserializeOwned + std::fmt::Debug>(
    body: &[u8],
) -> (u64, String, String, String) {
    let refusal = parse::<T>(body).unwrap_err();
    let Refusal::Problem(problem) = refusal else {
        panic!("a problem, not {refusal:?}");
    };
    let problem = serde_json::to_value(&*problem).unwrap();
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(problem["message"], problem["detail"]);
    (
        problem["status"].as_u64().unwrap(),
        text("field"),
        text("value"),
        text("rule"),
    )
}

fn of_source(body: &str) -> (u64, String, String, String) {
    refused::<ServiceRegistrationRequest>(body.as_bytes())
}

fn expected(status: u64, field: &str, value: &str, rule: &str) -> (u64, String, String, String) {
    (status, field.to_owned(), value.to_owned(), rule.to_owned())
}

const PORT_RULE: &str = "must be a whole number from 1 to 65535";

#[test]
fn a_wrong_port_is_named_with_its_value_and_the_rule() {
    for port in [
        "0", "65536", "-1", "80.5", "true", "null", "\"\"", "\"x\"", "1e30",
    ] {
        let body = format!(r#"{{"service_name":"a","instance_id":"b","host":"c","port":{port}}}"#);
        let (status, field, value, rule) = of_source(&body);
        let shown = if port == "1e30" {
            "1e30"
        } else {
            port.trim_matches('"')
        };
        assert_eq!(
            (status, field.as_str(), rule.as_str()),
            (422, "port", PORT_RULE),
            "{port}"
        );
        assert_eq!(value.replace("1e+30", "1e30"), shown);
    }
}

#[test]
fn the_sources_take_a_port_as_text_and_our_own_paths_do_not() {
    let body = br#"{"service_name":"a","instance_id":"b","host":"c","port":"8080"}"#;
    assert_eq!(
        parse::<ServiceRegistrationRequest>(body).unwrap().port.0,
        8_080
    );
    let own = refused::<Registration>(br#"{"address":"c","port":"8080"}"#);
    assert_eq!(own, expected(422, "port", "8080", PORT_RULE));
}

#[test]
fn a_missing_field_and_a_wrong_type_are_named() {
    let missing = of_source(r#"{"service_name":"a","host":"c","port":1}"#);
    assert_eq!(missing, expected(422, "instance_id", "", "is missing"));
    let wrong = of_source(r#"{"service_name":5,"instance_id":"b","host":"c","port":1}"#);
    assert_eq!(
        wrong,
        expected(422, "service_name", "5", "must be a string")
    );
    let value = of_source(
        r#"{"service_name":"a","instance_id":"b","host":"c","port":1,"metadata":{"n":7}}"#,
    );
    assert_eq!(value, expected(422, "metadata.n", "7", "must be a string"));
    let map =
        of_source(r#"{"service_name":"a","instance_id":"b","host":"c","port":1,"metadata":[]}"#);
    assert_eq!(map, expected(422, "metadata", "[]", "must be an object"));
}

#[test]
fn a_field_inside_a_list_is_named_with_its_place() {
    let body = br#"{"address":"c","ports":[{"number":1},{"number":0}]}"#;
    assert_eq!(
        refused::<Registration>(body),
        expected(422, "ports[1].number", "0", PORT_RULE)
    );
    let body = br#"{"checks":[{"id":"a","kind":"ftp"}]}"#;
    let (status, field, value, rule) = refused::<ServiceSettings>(body);
    assert_eq!(
        (status, field.as_str(), value.as_str()),
        (422, "checks[0].kind", "ftp")
    );
    assert!(
        rule.starts_with("must be one of `http`, `https`, `grpc`, `tcp`"),
        "{rule}"
    );
}

#[test]
fn unknown_fields_are_ignored_for_the_sources_and_refused_for_us() {
    let body = br#"{"service_name":"a","instance_id":"b","host":"c","port":1,"new":{"x":[1]}}"#;
    assert!(parse::<ServiceRegistrationRequest>(body).is_ok());
    let (status, field, value, rule) = refused::<Registration>(br#"{"adress":"c"}"#);
    assert_eq!(
        (status, field.as_str(), value.as_str()),
        (422, "adress", "c")
    );
    assert!(
        rule.starts_with("is not known; known are `address`"),
        "{rule}"
    );
    let (_, field, ..) =
        refused::<ServiceSettings>(br#"{"checks":[{"id":"a","kind":"tcp","ttl":1}]}"#);
    assert_eq!(field, "checks[0].ttl");
}

#[test]
fn what_is_no_json_object_is_told_apart() {
    let of = |body: &[u8]| refused::<ServiceRegistrationRequest>(body);
    assert_eq!(of(b"").0, 400);
    assert_eq!(of(b" \n").3, "must be a JSON object, and is empty");
    assert_eq!(of(b"{\"a\":").0, 400);
    assert_eq!(of(b"{} {}").0, 400);
    assert_eq!(of(b"{\"service_name\":\"\xff\"}").3, "must be UTF-8");
    assert_eq!(
        of(b"[1,2]"),
        expected(422, "body", "[1,2]", "must be a JSON object")
    );
    assert_eq!(
        of(b"\"x\""),
        expected(422, "body", "x", "must be a JSON object")
    );
}

#[test]
fn json_may_nest_32_deep_and_no_deeper() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!(r#"{{"service_name":"a","instance_id":"b","host":"c","port":1,"x":{open}{close}}}"#)
    };
    assert!(parse::<ServiceRegistrationRequest>(nested(32).as_bytes()).is_ok());
    let (status, field, _, rule) = of_source(&nested(33));
    assert_eq!((status, field.as_str()), (400, "body"));
    assert_eq!(rule, "must not nest deeper than 32 levels");
    // Far deeper than any stack: refused before anything is built.
    assert_eq!(of_source(&nested(500_000)).0, 400);
}

#[test]
fn brackets_in_strings_do_not_count_as_nesting() {
    let text = "[{\\\"".repeat(50);
    let body =
        format!(r#"{{"service_name":"a","instance_id":"b","host":"c","port":1,"x":"{text}"}}"#);
    assert!(parse::<ServiceRegistrationRequest>(body.as_bytes()).is_ok());
    assert!(parse::<Value>(br#"{"a":"\\","b":[]}"#).is_ok());
}

#[test]
fn a_number_out_of_range_is_told_its_own_range() {
    let own = |body: &str| {
        let (status, field, _, rule) = refused::<Registration>(body.as_bytes());
        (status, field, rule)
    };
    let check = |field: &str, value: &str| {
        own(&format!(
            r#"{{"checks":[{{"id":"a","kind":"http","{field}":{value}}}]}}"#
        ))
    };
    let expected = |field: &str, range: &str| {
        let rule = format!("must be a whole number from {range}");
        (422, field.to_owned(), rule)
    };
    for value in ["-1", "65536", "1.5", "\"x\"", "1e30"] {
        let body = format!(r#"{{"weight":{value}}}"#);
        assert_eq!(own(&body), expected("weight", "0 to 65535"), "{value}");
    }
    for value in ["-1", "0", "86401"] {
        let body = format!(r#"{{"lease_seconds":{value}}}"#);
        assert_eq!(own(&body), expected("lease_seconds", "1 to 86400"));
    }
    for field in ["unhealthy_after", "healthy_after"] {
        for value in ["-1", "0", "65536", "true"] {
            let named = format!("checks[0].{field}");
            assert_eq!(check(field, value), expected(&named, "1 to 65535"));
        }
    }
    let interval = expected("checks[0].interval_seconds", "1 to 4294967295");
    assert_eq!(check("interval_seconds", "0"), interval);
    let service = refused::<ServiceSettings>(br#"{"remove_after_seconds":-1}"#);
    assert_eq!(service.3, "must be a whole number from 0 to 2592000");
    assert!(parse::<Registration>(br#"{"weight":65535.0,"lease_seconds":null}"#).is_ok());
}

#[test]
fn an_unknown_field_of_any_name_is_named_with_its_value() {
    for name in ["`", "``", "a`b", "a.b", "", "`, expected x", "a[0]"] {
        let body = serde_json::json!({"address": "c", name: 7}).to_string();
        let (_, field, value, rule) = refused::<Registration>(body.as_bytes());
        assert_eq!((field.as_str(), value.as_str()), (name, "7"));
        assert!(
            rule.starts_with("is not known; known are `address`, "),
            "{rule}"
        );
        let check = serde_json::json!({"id": "a", "kind": "tcp", name: 7});
        let body = serde_json::json!({"checks": [check]}).to_string();
        let (_, field, value, _) = refused::<ServiceSettings>(body.as_bytes());
        assert_eq!((field, value.as_str()), (format!("checks[0].{name}"), "7"));
    }
}
