//! Inputs of operations that were good once, in both encodings, and names that were.

use waypost_testkit::mutations;

use crate::arn;
use crate::model::OPERATIONS;
use crate::shape::{sentence, violations};
use crate::value::Value;

const SAMPLES: [&str; 5] = [
    r#"{"Name":"shop.example","CreatorRequestId":"a","Tags":[{"Key":"k","Value":"v"}],"Properties":{"DnsProperties":{"SOA":{"TTL":60}}}}"#,
    r#"{"ServiceId":"srv-1","InstanceId":"a","CreatorRequestId":"r","Attributes":{"AWS_INSTANCE_IPV4":"10.0.0.1","AWS_INSTANCE_PORT":"80"}}"#,
    r#"{"Name":"web","NamespaceId":"ns-1","DnsConfig":{"RoutingPolicy":"MULTIVALUE","DnsRecords":[{"Type":"A","TTL":10}]},"HealthCheckCustomConfig":{"FailureThreshold":1}}"#,
    r#"{"NamespaceName":"a","ServiceName":"b","MaxResults":10,"QueryParameters":{"a":"b"},"HealthStatus":"ALL"}"#,
    r#"{"Filters":[{"Name":"TYPE","Values":["HTTP"],"Condition":"EQ"}],"NextToken":"abc","MaxResults":100}"#,
];
const WORDS: [&str; 14] = [
    r#""Name":"#,
    r#""Tags":"#,
    r#""Attributes":"#,
    r#""MaxResults":"#,
    r#""Filters":"#,
    "MULTIVALUE",
    "null",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\u{a0}",
    "1.0",
];

/// Every operation looks at the value: what is wrong with it is told in bounded sentences.
fn is_looked_at(value: &Value, bytes: usize) -> bool {
    let mut fits = false;
    for operation in &OPERATIONS {
        let broken = violations(operation.input, value);
        fits |= broken.is_empty();
        let told = sentence(&broken).len();
        assert!(told <= 64 * (bytes + 1_024), "{told} bytes of {bytes}");
    }
    fits
}

/// Numbers that are none are not equal to themselves.
fn is_comparable(value: &Value) -> bool {
    match value {
        Value::Float(number) => !number.is_nan(),
        Value::List(list) => list.iter().all(is_comparable),
        Value::Map(map) => map.iter().all(|(_, value)| is_comparable(value)),
        _ => true,
    }
}

#[test]
fn an_input_in_json_is_read_the_same_again_or_refused() {
    let corpus = SAMPLES.map(str::as_bytes);
    mutations(&corpus, &WORDS, |input| {
        let Ok(json) = serde_json::from_slice(input) else {
            return false;
        };
        let value = Value::of_json(json);
        let written = value.clone().into_json().to_string();
        let again = Value::of_json(serde_json::from_str(&written).unwrap());
        assert_eq!(again, value);
        is_looked_at(&value, input.len());
        true
    });
}

#[test]
fn an_input_in_cbor_is_read_the_same_again_or_refused() {
    let samples =
        SAMPLES.map(|text| Value::of_json(serde_json::from_str(text).unwrap()).into_cbor());
    let corpus: Vec<&[u8]> = samples.iter().map(Vec::as_slice).collect();
    mutations(&corpus, &["\u{7f}", "a", "Name", "Tags"], |input| {
        let Ok(value) = Value::of_cbor(input) else {
            return false;
        };
        let written = value.clone().into_cbor();
        assert!(written.len() <= 16 * input.len() + 64);
        let again = Value::of_cbor(&written).unwrap();
        if is_comparable(&value) {
            assert_eq!(again, value);
        }
        is_looked_at(&value, input.len());
        true
    });
}

#[test]
fn an_arn_is_read_or_refused() {
    let corpus: [&[u8]; 2] = [
        b"arn:aws:servicediscovery:eu-west-1:123456789012:namespace/ns-abc",
        b"arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-abc",
    ];
    let words = ["arn:", ":", "/", "service/", "namespace/"];
    mutations(&corpus, &words, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return false;
        };
        let Some((kind, id)) = arn::read(text) else {
            return false;
        };
        assert!(text.ends_with(id));
        let written = arn::arn("eu-west-1", "123456789012", kind, id);
        assert!(arn::read(&written) == Some((kind, id)), "{written}");
        true
    });
}
