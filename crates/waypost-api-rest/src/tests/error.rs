use waypost_core::{ErrorKind, RegistryError};

use crate::error::{Problem, in_words_of, status_and_code};

fn body(error: &RegistryError) -> String {
    let response = Problem::from(error).response();
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    String::from_utf8(response.body().as_bytes().unwrap().to_vec()).unwrap()
}

#[test]
fn a_refused_value_has_exactly_these_bytes() {
    let error = RegistryError::invalid("port", 0, "must be a whole number from 1 to 65535");
    let golden = concat!(
        r#"{"type":"about:blank","title":"Unprocessable Entity","status":422,"#,
        r#""detail":"port \"0\": must be a whole number from 1 to 65535","success":false,"#,
        r#""message":"port \"0\": must be a whole number from 1 to 65535","code":"invalid","#,
        r#""field":"port","value":"0","rule":"must be a whole number from 1 to 65535"}"#
    );
    assert_eq!(body(&error), golden);
}

#[test]
fn a_missing_thing_has_exactly_these_bytes() {
    let golden = concat!(
        r#"{"type":"about:blank","title":"Not Found","status":404,"#,
        r#""detail":"service web is not registered","success":false,"#,
        r#""message":"service web is not registered","code":"not_found"}"#
    );
    assert_eq!(body(&RegistryError::not_found("service web")), golden);
}

#[test]
fn every_kind_has_its_status_and_code() {
    let shown: Vec<String> = ErrorKind::ALL
        .iter()
        .map(|kind| {
            let (status, code) = status_and_code(*kind);
            format!("{} {code}", status.as_u16())
        })
        .collect();
    let golden = [
        "422 invalid",
        "404 not_found",
        "409 already_exists",
        "409 conflict",
        "409 in_use",
        "403 denied",
        "401 unauthenticated",
        "429 throttled",
        "413 too_large",
        "503 unavailable",
        "500 unknown",
    ];
    assert_eq!(shown, golden);
}

#[test]
fn the_headers_that_a_status_demands_are_there() {
    let header = |error: RegistryError, name: &str| {
        let response = Problem::from(&error).response();
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let why = String::new;
    let unauthenticated = RegistryError::Unauthenticated { why: why() };
    assert_eq!(
        header(unauthenticated, "www-authenticate").as_deref(),
        Some("Bearer")
    );
    let throttled = RegistryError::Throttled { what: why() };
    assert_eq!(header(throttled, "retry-after").as_deref(), Some("1"));
    let unavailable = RegistryError::Unavailable { why: why() };
    assert_eq!(header(unavailable, "retry-after").as_deref(), Some("5"));
}

#[test]
fn fields_are_named_as_the_source_names_them() {
    let words = [
        ("attributes", "metadata"),
        ("checks.http.path", "health_endpoint"),
    ];
    let field = |field: &'static str| {
        in_words_of(RegistryError::invalid(field, "x", "rule"), &words)
            .subject()
            .to_owned()
    };
    assert_eq!(field("attributes"), "metadata");
    assert_eq!(field("attributes.version"), "metadata.version");
    assert_eq!(field("checks.http.path"), "health_endpoint");
    assert_eq!(field("attributesx"), "attributesx");
}
