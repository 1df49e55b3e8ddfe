//! JSON text laid out anew.

use super::{compact, pretty};

const TEXT: &str = r#"{ "b":1.50, "a" : [ ], "c":{}, "d":["x,{\"y\":2\\}" , null],
    "e": {"f": -1e9} }"#;

#[test]
fn pretty_puts_each_member_on_a_line_and_keeps_order_and_numbers() {
    assert_eq!(
        pretty(TEXT),
        r#"{
  "b": 1.50,
  "a": [],
  "c": {},
  "d": [
    "x,{\"y\":2\\}",
    null
  ],
  "e": {
    "f": -1e9
  }
}"#
    );
}

#[test]
fn compact_is_one_line() {
    assert_eq!(
        compact("{ \"b\":1.50,\n \"a\" : [ ], \"s\": \"x , \\\" : {\" }"),
        "{\"b\":1.50,\"a\":[],\"s\":\"x , \\\" : {\"}"
    );
}

#[test]
fn nothing_but_space_changes() {
    let value =
        serde_json::json!({"text": "a \"b\" \\ \n {[,:]}", "list": [[], {}, [1, {"x": []}]]});
    for text in [
        value.to_string(),
        serde_json::to_string_pretty(&value).expect("JSON"),
    ] {
        assert_eq!(
            pretty(&text),
            serde_json::to_string_pretty(&value).expect("JSON")
        );
        assert_eq!(compact(&text), value.to_string());
    }
}
