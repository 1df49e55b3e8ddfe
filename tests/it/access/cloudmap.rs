//! Every operation of Cloud Map with no, a wrong and too narrow credential.

use serde_json::{Value, json};

use super::{Guarded, HIDDEN, PLACE};

/// Every operation with an input that is about what is hidden, and whether it changes something.
#[expect(
    clippy::too_many_lines,
    reason = "a table, or one story, is told at once"
)]
fn operations(namespace: &str, service: &str) -> Vec<(&'static str, Value, bool)> {
    let instance = json!({ "ServiceId": service, "InstanceId": "hidden-1" });
    let with = |mut of: Value, name: &str, value: Value| {
        of[name] = value;
        of
    };
    let attributes = json!({ "AWS_INSTANCE_IPV4": "127.0.0.1", "AWS_INSTANCE_PORT": "9" });
    let discover =
        json!({ "NamespaceName": "svc.internal", "ServiceName": "hidden", "HealthStatus": "ALL" });
    let arn = format!("arn:aws:servicediscovery:us-east-1:000000000000:service/{service}");
    let change = json!({ "Description": "changed" });
    let of_namespace =
        |name: &str| json!({ "Id": namespace, "Namespace": { "Description": name } });
    vec![
        (
            "CreateHttpNamespace",
            json!({ "Name": "svc.internal" }),
            true,
        ),
        (
            "CreatePrivateDnsNamespace",
            json!({ "Name": "svc.internal", "Vpc": "vpc-1" }),
            true,
        ),
        (
            "CreatePublicDnsNamespace",
            json!({ "Name": "svc.internal" }),
            true,
        ),
        (
            "CreateService",
            json!({ "Name": "hidden", "NamespaceId": namespace }),
            true,
        ),
        ("DeleteNamespace", json!({ "Id": namespace }), true),
        ("DeleteService", json!({ "Id": service }), true),
        (
            "DeleteServiceAttributes",
            json!({ "ServiceId": service, "Attributes": ["a"] }),
            true,
        ),
        ("DeregisterInstance", instance.clone(), true),
        ("DiscoverInstances", discover.clone(), false),
        (
            "DiscoverInstancesRevision",
            json!({ "NamespaceName": "svc.internal", "ServiceName": "hidden" }),
            false,
        ),
        ("GetInstance", instance.clone(), false),
        (
            "GetInstancesHealthStatus",
            json!({ "ServiceId": service }),
            false,
        ),
        ("GetNamespace", json!({ "Id": namespace }), false),
        (
            "GetOperation",
            json!({ "OperationId": "operation-1" }),
            false,
        ),
        ("GetService", json!({ "Id": service }), false),
        (
            "GetServiceAttributes",
            json!({ "ServiceId": service }),
            false,
        ),
        ("ListInstances", json!({ "ServiceId": service }), false),
        ("ListNamespaces", json!({}), false),
        ("ListOperations", json!({}), false),
        ("ListServices", json!({}), false),
        ("ListTagsForResource", json!({ "ResourceARN": arn }), false),
        (
            "RegisterInstance",
            with(instance.clone(), "Attributes", attributes),
            true,
        ),
        (
            "TagResource",
            json!({ "ResourceARN": arn, "Tags": [{ "Key": "k", "Value": "v" }] }),
            true,
        ),
        (
            "UntagResource",
            json!({ "ResourceARN": arn, "TagKeys": ["k"] }),
            true,
        ),
        ("UpdateHttpNamespace", of_namespace("changed"), true),
        (
            "UpdateInstanceCustomHealthStatus",
            with(instance, "Status", json!("UNHEALTHY")),
            true,
        ),
        ("UpdatePrivateDnsNamespace", of_namespace("changed"), true),
        ("UpdatePublicDnsNamespace", of_namespace("changed"), true),
        (
            "UpdateService",
            json!({ "Id": service, "Service": change }),
            true,
        ),
        (
            "UpdateServiceAttributes",
            json!({ "ServiceId": service, "Attributes": { "a": "b" } }),
            true,
        ),
    ]
}

impl Guarded {
    fn call(&self, token: &str, operation: &str, input: &Value) -> (u16, String) {
        let target = format!("Route53AutoNaming_v20170314.{operation}");
        let bearer = format!("Bearer {token}");
        let mut headers = vec![
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", target.as_str()),
        ];
        if !token.is_empty() {
            headers.push(("Authorization", &bearer));
        }
        let answer = self
            .server
            .request("POST", "/", &headers, input.to_string().as_bytes());
        (answer.status, answer.text())
    }

    /// Finds the ids that AWS's clients need.
    fn ids(&self) -> (String, String) {
        let find = |operation: &str, list: &str, name: &str| {
            let (_, text) = self.call(&self.admin, operation, &json!({}));
            let all: Value = serde_json::from_str(&text).unwrap();
            let mut found = all[list].as_array().unwrap().iter();
            let found = found
                .find(|it| it["Name"] == name)
                .unwrap_or_else(|| panic!("{name} in {text}"));
            found["Id"].as_str().unwrap().to_owned()
        };
        (
            find("ListNamespaces", "Namespaces", "svc.internal"),
            find("ListServices", "Services", "hidden"),
        )
    }
}

#[test]
fn every_operation_of_cloud_map_decides_who_may() {
    let guarded = Guarded::start();
    let (namespace, service) = guarded.ids();
    let all = ["read", "register", "operate", "configure"];
    let elsewhere = json!([{ "verbs": all, "namespaces": "other.internal" }, { "verbs": all, "services": "mine*", "namespaces": "svc.internal" }]);
    let (_, narrow) = guarded.issue(&json!({ "name": "narrow", "grants": elsewhere }));
    let (_, reader) =
        guarded.issue(&json!({ "name": "reader", "grants": [{ "verbs": ["read"] }] }));
    let operations = operations(&namespace, &service);
    let known = include_str!("../../../crates/waypost-api-cloudmap/src/model.rs");
    assert_eq!(operations.len(), 30);
    for (name, ..) in &operations {
        assert!(
            known.contains(&format!("\"{name}\"")),
            "{name} is no operation"
        );
    }
    let before = guarded.everything();
    for (operation, input, is_change) in &operations {
        for (token, code) in [
            ("", "MissingAuthenticationTokenException"),
            ("wp_WRONG", "UnrecognizedClientException"),
        ] {
            let (status, text) = guarded.call(token, operation, input);
            assert!(
                status == 400 && text.contains(code),
                "{operation} with {token:?}: {status} {text}"
            );
        }
        let (status, text) = guarded.call(&narrow, operation, input);
        let told = text
            .replace(&service, "")
            .replace("hidden-1", "")
            .replace("svc.internal/hidden", "");
        assert!(
            !told.contains(HIDDEN[1]) && !told.contains("127.0.0.1"),
            "{operation}: {text}"
        );
        let is_list = operation.starts_with("List");
        let of_a_namespace = *operation == "GetNamespace";
        // A namespace may be seen by whoever may read one of its services.
        if !is_list && !of_a_namespace {
            assert!(
                status >= 400,
                "{operation} by who may nothing here: {status} {text}"
            );
        }
        if *is_change {
            let (status, text) = guarded.call(&reader, operation, input);
            let is_refused = text.contains("AccessDenied")
                || text.contains("AlreadyExists")
                || text.contains("NotFound")
                // Which kind it is, is told to whoever may read it.
                || text.contains("is of type");
            assert!(
                status >= 400 && is_refused,
                "{operation} by a reader: {status} {text}"
            );
        }
    }
    assert_eq!(guarded.everything(), before, "nothing was changed");
    assert_eq!(
        guarded.ask(&guarded.admin, "GET", PLACE, &Value::Null).0,
        200
    );
}
