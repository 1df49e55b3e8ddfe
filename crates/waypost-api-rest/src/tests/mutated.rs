//! Queries, tokens and bodies that were good once.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use waypost_core::{Epoch, InstanceKey, Position};
use waypost_http::Query;
use waypost_testkit::mutations;

use crate::body::parse;
use crate::error::Refusal;
use crate::filter::Filter;
use crate::live::Token;
use crate::merge::merged;
use crate::place::Place;
use crate::wire::discovery::ServiceRegistrationRequest;
use crate::wire::own::{Registration, ServiceSettings};

#[test]
fn a_filter_is_read_or_refused_by_name() {
    let corpus: [&[u8]; 4] = [
        b"namespace=svc.internal&service=web&health=Healthy,Warning&mode=Active",
        b"tag=a&tag=b&version=1.2&zone=eu-1a&owner=node/x",
        b"attribute.team=core&attribute.tier=gold&limit=10&after=abc",
        b"",
    ];
    let words = [
        "health=",
        "mode=",
        "attribute.",
        "tag=",
        "&",
        "=",
        ",",
        "%20",
        "+",
        "Unhealthy",
        "Draining",
    ];
    mutations(&corpus, &words, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return false;
        };
        let Ok(query) = Query::parse(text) else {
            return false;
        };
        match Filter::across(&query) {
            Ok(filter) => {
                let again = Filter::across(&query).unwrap();
                assert_eq!(filter.digest(), again.digest());
                if let Ok(within) = Filter::within(&query, "web") {
                    assert_ne!(filter.digest(), within.digest(), "it is another query");
                }
                true
            }
            Err(error) => {
                assert!(error.to_string().len() <= 4 * input.len() + 1_024);
                false
            }
        }
    });
}

#[test]
fn a_token_of_a_page_is_read_the_same_again_or_refused() {
    let key = InstanceKey::new("svc.internal", "two words", "a/b:1@x").unwrap();
    let whole = Place::after(&key);
    let service = Place {
        instance: None,
        ..whole.clone()
    };
    let samples = [whole, service].map(|place| place.write(Epoch(7), [1; 8]));
    let corpus: Vec<&[u8]> = samples.iter().map(String::as_bytes).collect();
    mutations(&corpus, &["A", "_", "-", "=", "AAAA"], |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return false;
        };
        let Ok(place) = Place::read(text, Epoch(7), [1; 8]) else {
            return false;
        };
        let written = place.write(Epoch(7), [1; 8]);
        assert_eq!(Place::read(&written, Epoch(7), [1; 8]).unwrap(), place);
        true
    });
}

#[test]
fn what_a_poll_or_a_stream_goes_on_from_is_read_the_same_again_or_refused() {
    let corpus: [&[u8]; 3] = [
        b"00000000000000a1.17",
        b"00000000000000a1.17.0123456789abcdef",
        b"ffffffffffffffff.18446744073709551615",
    ];
    let words = [".", "..", "+", "0x", "ffffffffffffffff"];
    mutations(&corpus, &words, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return false;
        };
        if let Ok(position) = text.parse::<Position>() {
            assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
        }
        let Ok(token) = Token::read(text) else {
            return false;
        };
        assert_eq!(Token::read(&token.to_string()).unwrap(), token);
        true
    });
}

const WORDS: [&str; 26] = [
    r#""address":"#,
    r#""port":"#,
    r#""ports":"#,
    r#""checks":"#,
    r#""attributes":"#,
    r#""tags":"#,
    r#""lease_seconds":"#,
    r#""kind":"http""#,
    r#""kind":"tcp""#,
    r#""dns":{"records":[{"type":"A","ttl":10}]}"#,
    r#""ttl":"#,
    r#""expected_status":"#,
    r#""200-299""#,
    r#""timeout_seconds":"#,
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    r#""10.0.0.1""#,
    r#""::1""#,
    r#""host.example""#,
    "65536",
    r#""id":"x""#,
    r#""checks":[{"id":"t","kind":"tcp"}]"#,
];

/// Reads a body; what is told of one that is refused does not grow with it.
fn reads<T: DeserializeOwned>(input: &[u8]) -> bool {
    match parse::<T>(input) {
        Ok(_) => true,
        Err(Refusal::Problem(problem)) => {
            let told = serde_json::to_vec(&*problem).unwrap().len();
            assert!(told <= 4 * 1_024, "{told} bytes of {}", input.len());
            false
        }
        Err(refusal) => panic!("{refusal:?}"),
    }
}

#[test]
fn a_long_name_that_is_not_known_is_told_in_short() {
    let name = "x".repeat(5_000);
    assert!(!reads::<Registration>(
        format!("{{\"{name}\": 1}}").as_bytes()
    ));
    assert!(!reads::<Registration>(
        format!("{{\"attributes\": {{\"{name}\": 1}}}}").as_bytes()
    ));
}

#[test]
fn a_registration_is_read_or_refused() {
    let corpus: [&[u8]; 3] = [
        br#"{"address":"10.0.0.1","port":8080,"attributes":{"a":"b"},"tags":["x"],"weight":2,"lease_seconds":30}"#,
        br#"{"ipv4":"10.0.0.1","ipv6":"::1","ports":[{"name":"a","number":1,"protocol":"grpc","path":"/x"}],"region":"r","zone":"z"}"#,
        br#"{"hostname":"h.example","port":1,"checks":[{"id":"h","kind":"http","path":"/","expected_status":"200-299","interval_seconds":1,"timeout_seconds":0.5}]}"#,
    ];
    mutations(&corpus, &WORDS, reads::<Registration>);
}

#[test]
fn settings_of_a_service_are_read_or_refused() {
    let corpus: [&[u8]; 2] = [
        br#"{"description":"d","fail_open":true,"remove_after_seconds":60,"lease_seconds":null,"tags":["a","k=v"],"attributes":{"x":"y"}}"#,
        br#"{"checks":[{"id":"t","kind":"tcp"}],"tags":[]}"#,
    ];
    mutations(&corpus, &WORDS, reads::<ServiceSettings>);
}

#[test]
fn a_registration_of_source_003_is_read_or_refused() {
    let corpus: [&[u8]; 1] = [
        br#"{"service_name":"web","instance_id":"a","host":"127.0.0.1","port":"8080","health_endpoint":"/h","metadata":{"a":"b"}}"#,
    ];
    mutations(&corpus, &WORDS, reads::<ServiceRegistrationRequest>);
}

#[test]
fn a_merge_patch_that_is_applied_twice_changes_nothing_more() {
    let corpus: [&[u8]; 3] = [
        br#"{"address":"10.0.0.2","port":null,"attributes":{"a":null,"b":"c"}}"#,
        br#"{"tags":["x"],"weight":3}"#,
        br#"{}"#,
    ];
    let target =
        serde_json::json!({"address": "10.0.0.1", "port": 1, "attributes": {"a": "b"}, "tags": []});
    mutations(&corpus, &WORDS, |input| {
        let Ok(patch) = parse::<Map<String, Value>>(input) else {
            return false;
        };
        let patch = Value::Object(patch);
        let once = merged(target.clone(), &patch);
        assert_eq!(merged(once.clone(), &patch), once);
        assert!(once.is_object());
        true
    });
}
