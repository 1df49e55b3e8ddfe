//! Rules between fields, which the derived schemas cannot say.

use serde_json::{Map, Value, json};

/// Fields of a check by its kind, besides those that every kind has.
const CHECK_FIELDS: [(&str, &[&str]); 7] = [
    (
        "http",
        &[
            "path",
            "method",
            "headers",
            "expected_status",
            "port",
            "interval_seconds",
            "unhealthy_interval_seconds",
            "timeout_seconds",
        ],
    ),
    (
        "https",
        &[
            "path",
            "method",
            "headers",
            "expected_status",
            "tls",
            "port",
            "interval_seconds",
            "unhealthy_interval_seconds",
            "timeout_seconds",
        ],
    ),
    (
        "grpc",
        &[
            "service",
            "tls",
            "port",
            "interval_seconds",
            "unhealthy_interval_seconds",
            "timeout_seconds",
        ],
    ),
    (
        "tcp",
        &[
            "port",
            "interval_seconds",
            "unhealthy_interval_seconds",
            "timeout_seconds",
        ],
    ),
    ("heartbeat", &["within_seconds"]),
    ("reported", &[]),
    ("observed", &[]),
];

/// Kinds that are shown and cannot be sent: no path takes their results.
const SHOWN_ONLY: [&str; 1] = ["observed"];

/// Adds the rules to a document.
pub(super) fn refine(document: &mut Value) {
    let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") else {
        return;
    };
    if let Some(check) = schemas.get("Check") {
        let shown = check_by_kind(check, |_| true);
        let sent = check_by_kind(check, |kind| !SHOWN_ONLY.contains(&kind));
        schemas.insert("CheckShown".to_owned(), shown);
        schemas.insert("Check".to_owned(), sent);
        show_checks(schemas, "Service");
        show_checks(schemas, "Instance");
    }
    add_patch(schemas, "NamespaceSettings", "NamespacePatch");
    add_patch(schemas, "ServiceSettings", "ServicePatch");
    add_patch(schemas, "Registration", "RegistrationPatch");
    let rules = registration();
    add(schemas, "RegistrationPatch", apart_from_needed(&rules));
    add(schemas, "Registration", rules);
    add(schemas, "ServiceDiscoveryHeartbeat", heartbeat());
    add(schemas, "ModeSettings", mode());
}

/// Lets a document that is shown have every kind of check.
fn show_checks(schemas: &mut Map<String, Value>, name: &str) {
    let document = schemas.get_mut(name);
    if let Some(items) = document.and_then(|it| it.pointer_mut("/properties/checks/items")) {
        *items = json!({"$ref": "#/components/schemas/CheckShown"});
    }
}

fn add(schemas: &mut Map<String, Value>, name: &str, rules: Value) {
    if let Some(Value::Object(schema)) = schemas.get_mut(name) {
        schema.insert("allOf".to_owned(), rules);
    }
}

/// Makes the schema of a merge patch: every member may be left out, and may be null.
fn add_patch(schemas: &mut Map<String, Value>, of: &str, name: &str) {
    let Some(Value::Object(members)) = schemas.get(of).and_then(|it| it.get("properties")) else {
        return;
    };
    let members: Map<String, Value> = members
        .iter()
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            if let Some(values) = schema.get_mut("additionalProperties") {
                *values = json!({"anyOf": [values.take(), {"type": "null"}]});
            }
            let either = json!({"anyOf": [schema, {"type": "null"}]});
            (name.clone(), either)
        })
        .collect();
    let patch = json!({
        "type": "object",
        "description": "A merge patch: what is left out stays as it is, null takes away.",
        "properties": members,
        "additionalProperties": false,
    });
    schemas.insert(name.to_owned(), patch);
}

/// Leaves the rules on what excludes each other: a patch need not name an address.
fn apart_from_needed(rules: &Value) -> Value {
    let rules = rules.as_array().into_iter().flatten();
    Value::Array(
        rules
            .filter(|rule| rule.get("not").is_some())
            .cloned()
            .collect(),
    )
}

/// An address is one word, or comes in parts; so do ports. Null says the same as leaving a field out.
fn registration() -> Value {
    let given = |names: &[&str]| {
        let said = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({"not": {"type": "null"}})));
        json!({"required": names, "properties": said.collect::<Map<String, Value>>()})
    };
    let one_of = ["address", "ipv4", "ipv6", "hostname"].map(|name| given(&[name]));
    json!([
        {"anyOf": one_of},
        {"not": given(&["address", "ipv4"])},
        {"not": given(&["address", "ipv6"])},
        {"not": given(&["address", "hostname"])},
        {"not": given(&["port", "ports"])}
    ])
}

/// Something has to be said, an end has one form, and a process speaks of the mode alone.
fn mode() -> Value {
    let is_given = json!({"not": {"type": "null"}});
    json!([
        {"anyOf": [{"required": ["mode"]}, {"required": ["weight"]}, {"required": ["health"]}]},
        {"not": {"required": ["until", "for_seconds"], "properties": {"until": is_given, "for_seconds": is_given}}},
        {"if": {"required": ["registration_id"], "properties": {"registration_id": is_given}},
         "then": {"required": ["mode"], "properties": {"weight": false, "health": false}}}
    ])
}

/// An id, or what it was made of.
fn heartbeat() -> Value {
    json!([{"anyOf": [
        {"required": ["instance_id"], "properties": {"instance_id": {"type": "string"}}},
        {"required": ["host", "port"]}
    ]}])
}

fn check_by_kind(check: &Value, is_taken: impl Fn(&str) -> bool) -> Value {
    let none = Map::new();
    let properties = check
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    let taken = CHECK_FIELDS.iter().filter(|(kind, _)| is_taken(kind));
    let kinds = taken.map(|(kind, fields)| {
        let common = ["id", "unhealthy_after", "healthy_after"];
        let names = common.iter().chain(*fields);
        let mut own: Map<String, Value> = names
            .filter_map(|name| Some(((*name).to_owned(), properties.get(*name)?.clone())))
            .collect();
        own.insert("kind".to_owned(), json!({"type": "string", "const": kind}));
        let mut required = vec!["id", "kind"];
        if *kind == "heartbeat" {
            required.push("within_seconds");
            own.insert("within_seconds".to_owned(), json!({"type": "integer", "minimum": 1, "maximum": u32::MAX}));
        }
        json!({"type": "object", "title": kind, "required": required, "properties": own, "additionalProperties": false})
    });
    json!({"description": check.get("description"), "oneOf": kinds.collect::<Vec<Value>>()})
}
