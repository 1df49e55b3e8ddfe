//! Schemas of fields that mean the same in every dialect.

use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

/// An address as a host: the forms the registry takes, a little narrower than the rules it applies.
const HOST: &str = "^([A-Za-z_][0-9A-Za-z_-]{0,62}(\\.[A-Za-z_][0-9A-Za-z_-]{0,62}){0,2}|((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])|::[0-9a-f]{1,4})$";

/// A key of at most 255, then perhaps a value of at most 1,024 without control characters.
const SERVICE_TAG: &str =
    "^[^=\\u0000-\\u001f\\u007f-\\u009f]{1,255}(=[^\\u0000-\\u001f\\u007f-\\u009f]{0,1024})?$";

fn word() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// An IPv4 address, an IPv6 address or a host name.
pub(crate) fn host() -> Object {
    word()
        .description(Some("IPv4 address, IPv6 address or host name."))
        .min_length(Some(1))
        .max_length(Some(253))
        .pattern(Some(HOST))
        .build()
}

/// The name of a namespace, or null.
pub(crate) fn namespace_or_null() -> Object {
    word()
        .schema_type(or_null(Type::String))
        .description(Some(
            "Name of the namespace; without it the server's default one.",
        ))
        .min_length(Some(1))
        .max_length(Some(253))
        .pattern(Some("^[!-~]+$"))
        .build()
}

/// The name of a service.
pub(crate) fn service() -> Object {
    word()
        .description(Some("Name of the service."))
        .min_length(Some(1))
        .max_length(Some(127))
        .pattern(Some("^[!-~]+$"))
        .build()
}

/// The id of an instance.
pub(crate) fn instance() -> Object {
    word()
        .description(Some("Id of the instance in its service."))
        .min_length(Some(1))
        .max_length(Some(64))
        .pattern(Some("^[0-9A-Za-z_/:.@-]+$"))
        .build()
}

/// An owner, or null.
pub(crate) fn owner_or_null() -> Object {
    word()
        .schema_type(or_null(Type::String))
        .description(Some("Who keeps it registered; empty: itself."))
        .max_length(Some(253))
        .pattern(Some("^[!-~]*$"))
        .build()
}

/// The types of a field that may be null, which says the same as leaving it out.
fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

fn object_or_null(mut object: Object, kind: Type) -> Object {
    object.schema_type = or_null(kind);
    object
}

/// The same, or null.
pub(crate) fn host_or_null() -> Object {
    object_or_null(host(), Type::String)
}

/// A map of strings.
pub(crate) fn attributes() -> Object {
    let key = word()
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[ -~]+$"));
    let value = word()
        .max_length(Some(1_024))
        .pattern(Some("^[^\\u0000-\\u001f\\u007f-\\u009f]*$"));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "Free text by key: at most 30 pairs, 5,000 bytes together, no control characters.",
        ))
        .property_names(Some(key.build()))
        .additional_properties(Some(value))
        .max_properties(Some(30))
        .build()
}

/// The same, or null.
pub(crate) fn attributes_or_null() -> Object {
    object_or_null(attributes(), Type::Object)
}

/// A port number; the sources' servers take digits in a string too.
pub(crate) fn lenient_port() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("1 to 65535; digits in a string are taken too."))
        .minimum(Some(1))
        .maximum(Some(65_535))
        .build()
}

/// A set of words.
pub(crate) fn tags() -> Array {
    let tag = word()
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[ -~]+$"));
    ArrayBuilder::new()
        .description(Some("Words: at most 64."))
        .items(tag)
        .max_items(Some(64))
        .build()
}

/// Tags of a service: words, or `key=value`; or null.
pub(crate) fn service_tags_or_null() -> Array {
    let tag = word()
        .min_length(Some(1))
        .max_length(Some(1_280))
        .pattern(Some(SERVICE_TAG));
    ArrayBuilder::new()
        .schema_type(or_null(Type::Array))
        .description(Some("Words, or key=value: at most 30."))
        .items(tag)
        .max_items(Some(30))
        .build()
}

/// An IPv4 address, or null.
pub(crate) fn ipv4_or_null() -> Object {
    word()
        .schema_type(or_null(Type::String))
        .description(Some("IPv4 address."))
        .pattern(Some(
            "^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$",
        ))
        .build()
}

/// An IPv6 address, or null.
pub(crate) fn ipv6_or_null() -> Object {
    word()
        .schema_type(or_null(Type::String))
        .description(Some("IPv6 address."))
        .pattern(Some("^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$|^::[0-9a-f]{1,4}$"))
        .build()
}

/// A host name, or null.
pub(crate) fn hostname_or_null() -> Object {
    word()
        .schema_type(or_null(Type::String))
        .description(Some("Host name."))
        .min_length(Some(1))
        .max_length(Some(253))
        .pattern(Some(
            "^[A-Za-z_][0-9A-Za-z_-]{0,62}(\\.[A-Za-z_][0-9A-Za-z_-]{0,62}){0,2}$",
        ))
        .build()
}

/// Headers of a probe.
pub(crate) fn headers() -> Object {
    let name = word().min_length(Some(1)).pattern(Some("^[0-9A-Za-z-]+$"));
    let value = word().max_length(Some(1_024)).pattern(Some("^[ -~]*$"));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Further headers."))
        .property_names(Some(name.build()))
        .additional_properties(Some(value))
        .max_properties(Some(16))
        .build()
}
