//! The parameters of the journal's paths.

use utoipa::openapi::schema::{ObjectBuilder, Type};

pub(super) fn parameter(name: &str) -> (ObjectBuilder, &'static str) {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let integer = |least: i64, most: i64| {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(least))
            .maximum(Some(most))
    };
    let time = || text().pattern(Some("^[0-9]{1,12}$"));
    match name {
        "kind" => (
            text().pattern(Some(
                "^(changed|edge|refused)(,(changed|edge|refused)){0,2}$",
            )),
            "Only lines of these kinds, by comma",
        ),
        "subject" => (text().max_length(Some(255)), "Only lines of this author"),
        "address" => (
            text().pattern(Some(
                "^(([1-9]?[0-9]|1[0-9]{2})\\.){3}([1-9]?[0-9]|1[0-9]{2})$",
            )),
            "Only lines that came from this address",
        ),
        "dialect" => (
            text().pattern(Some(
                "^(rest|discovery|service-discovery|cloudmap|internal|dns)$",
            )),
            "Only lines that came by this protocol",
        ),
        "cause" => (
            text().max_length(Some(64)),
            "Only changes with this cause, such as register; or refusals of this kind, such as denied",
        ),
        "namespace" => (
            text().max_length(Some(253)),
            "Only lines about this namespace",
        ),
        "service" => (
            text().max_length(Some(127)),
            "Only lines about this service, of the default namespace unless namespace is given",
        ),
        "since" => (
            time(),
            "Only lines at this time or later: seconds since 1970, or a time such as 2026-01-15T10:30:00Z",
        ),
        "until" => (time(), "Only lines before this time"),
        "before" => (
            integer(0, i64::MAX),
            "Only lines before this number: the `next` of the page before",
        ),
        "after" => (
            integer(0, i64::MAX),
            "Only lines after this number, oldest first",
        ),
        "owner" => (
            text().max_length(Some(253)).pattern(Some("^[!-~]*$")),
            "Owner of the instance",
        ),
        _ => (integer(1, 1_000), "Most lines; without it 100"),
    }
}
