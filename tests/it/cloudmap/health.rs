//! HealthCheckConfig of type HTTPS against servers with certificates that nobody vouches for.

use serde_json::{Value, json};

use super::request;
use crate::checks::secured::{Pair, Secured};
use crate::server::{PATIENCE, Server, Setup, eventually_within};

fn done(server: &Server, operation: &str, body: &Value) -> Value {
    let (status, answer) = server.post_aws(&request(operation, body));
    assert_eq!(status, 200, "{operation} {body}: {answer}");
    answer
}

fn namespace(server: &Server, operation: &str, body: &Value) -> String {
    let made = done(server, operation, body);
    let id = json!({ "OperationId": made["OperationId"] });
    let made = done(server, "GetOperation", &id);
    let id = &made["Operation"]["Targets"]["NAMESPACE"];
    id.as_str().unwrap().to_owned()
}

fn probed(namespace: &str) -> Value {
    json!({
        "Name": "web", "NamespaceId": namespace,
        "DnsConfig": { "DnsRecords": [{ "Type": "A", "TTL": 10 }] },
        "HealthCheckConfig": { "Type": "HTTPS", "ResourcePath": "/up", "FailureThreshold": 1 },
    })
}

/// Registers one instance that answers 302 and one that answers 500, and waits for what is found.
fn is_checked(server: &Server, namespace: &str) {
    let service = done(server, "CreateService", &probed(namespace));
    let config = &service["Service"]["HealthCheckConfig"];
    let expected = json!({ "Type": "HTTPS", "ResourcePath": "/up", "FailureThreshold": 1 });
    assert_eq!(*config, expected);
    let service = &service["Service"]["Id"];
    let [well, ill] = [302, 500].map(|status| {
        let target = Secured::start(&Pair::self_signed(), None);
        target.turns_to(status);
        target
    });
    for (id, target) in [("well", &well), ("ill", &ill)] {
        let port = target.port().to_string();
        let attributes = json!({ "AWS_INSTANCE_IPV4": "127.0.0.1", "AWS_INSTANCE_PORT": port });
        let body = json!({ "ServiceId": service, "InstanceId": id, "Attributes": attributes });
        done(server, "RegisterInstance", &body);
    }
    let expected = json!({ "well": "HEALTHY", "ill": "UNHEALTHY" });
    let mut last = Value::Null;
    eventually_within(3 * PATIENCE, "the answers decide", || {
        let answer = done(
            server,
            "GetInstancesHealthStatus",
            &json!({ "ServiceId": service }),
        );
        last = answer["Status"].clone();
        (last == expected).then_some(())
    });
}

#[test]
fn an_https_health_check_in_a_public_namespace_takes_any_certificate_and_the_status_decides() {
    let server = Server::start();
    let body = json!({ "Name": "example.com", "CreatorRequestId": "1" });
    let public = namespace(&server, "CreatePublicDnsNamespace", &body);
    is_checked(&server, &public);
}

#[test]
fn an_https_health_check_in_a_private_namespace_is_lenient_s_alone() {
    let strict = Server::start();
    let body = json!({ "Name": "demo.local", "Vpc": "vpc-1" });
    let private = namespace(&strict, "CreatePrivateDnsNamespace", &body);
    let (status, answer) = strict.post_aws(&request("CreateService", &probed(&private)));
    assert_eq!(
        (status, &answer["__type"]),
        (400, &json!("InvalidInput")),
        "{answer}"
    );
    let lenient = Setup::new()
        .file("[cloudmap]\nvalidation = \"lenient\"\n")
        .start();
    let private = namespace(&lenient, "CreatePrivateDnsNamespace", &body);
    is_checked(&lenient, &private);
}
