//! What AWS limits, what it waits for, and what emulators take: settings of the API.

use std::thread;

use serde_json::{Value, json};

use super::request;
use crate::server::{Server, Setup, eventually};

fn ask(server: &Server, operation: &str, body: &Value) -> (u16, Value) {
    server.post_aws(&request(operation, body))
}

fn done(server: &Server, operation: &str, body: &Value) -> Value {
    let (status, answer) = ask(server, operation, body);
    assert_eq!(status, 200, "{operation} {body}: {answer}");
    answer
}

fn is_refused(answer: &(u16, Value), status: u16, code: &str) {
    assert_eq!(
        (answer.0, &answer.1["__type"]),
        (status, &json!(code)),
        "{}",
        answer.1
    );
}

/// Makes an HTTP namespace and returns its id.
fn namespace(server: &Server, name: &str) -> String {
    let made = done(server, "CreateHttpNamespace", &json!({ "Name": name }));
    let id = json!({ "OperationId": made["OperationId"] });
    let operation = done(server, "GetOperation", &id);
    let id = &operation["Operation"]["Targets"]["NAMESPACE"];
    id.as_str().unwrap().to_owned()
}

/// Makes a service whose health clients set, and returns its id.
fn service(server: &Server, namespace: &str, name: &str) -> String {
    let body = json!({
        "Name": name, "NamespaceId": namespace, "HealthCheckCustomConfig": { "FailureThreshold": 1 },
    });
    let made = done(server, "CreateService", &body);
    made["Service"]["Id"].as_str().unwrap().to_owned()
}

fn instance(service: &str, id: &str) -> Value {
    json!({ "ServiceId": service, "InstanceId": id, "Attributes": { "AWS_INSTANCE_IPV4": "10.0.0.1" } })
}

fn status_of(server: &Server, service: &str, id: &str) -> String {
    let answer = done(
        server,
        "GetInstancesHealthStatus",
        &json!({ "ServiceId": service }),
    );
    answer["Status"][id].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_quota_holds_also_when_many_ask_at_once_and_what_is_there_may_change() {
    let toml = "[cloudmap.quotas]\nnamespaces = 2\ninstances_per_service = 5\ninstances_per_namespace = 8\n";
    let server = Setup::new().file(toml).start();
    let first = namespace(&server, "one");
    namespace(&server, "two");
    let third = ask(&server, "CreateHttpNamespace", &json!({ "Name": "three" }));
    is_refused(&third, 400, "ResourceLimitExceeded");
    let message = third.1["Message"].as_str().unwrap();
    assert!(message.contains("cloudmap.quotas.namespaces"), "{message}");
    let (web, jobs) = (
        service(&server, &first, "web"),
        service(&server, &first, "jobs"),
    );
    let register_at_once = |service: &str| -> usize {
        thread::scope(|scope| {
            let calls: Vec<_> = (0..12)
                .map(|at| {
                    let body = instance(service, &format!("i{at}"));
                    let server = &server;
                    scope.spawn(move || ask(server, "RegisterInstance", &body))
                })
                .collect();
            let answers: Vec<_> = calls.into_iter().map(|call| call.join().unwrap()).collect();
            let refused = answers.iter().filter(|answer| answer.0 != 200);
            refused.for_each(|answer| is_refused(answer, 400, "ResourceLimitExceeded"));
            answers.iter().filter(|answer| answer.0 == 200).count()
        })
    };
    assert_eq!(register_at_once(&web), 5, "as many as a service may have");
    assert_eq!(
        register_at_once(&jobs),
        3,
        "as many as are left in the namespace"
    );
    let listed = done(&server, "ListInstances", &json!({ "ServiceId": web }));
    let known = listed["Instances"][0]["Id"].as_str().unwrap();
    done(&server, "RegisterInstance", &instance(&web, known));
}

#[test]
fn a_rate_is_answered_with_what_sdks_back_off_on() {
    let toml = "[cloudmap.rates]\nDiscoverInstances = { per_second = 1, burst = 3 }\nListNamespaces = { per_second = 1 }\n";
    let server = Setup::new().file(toml).start();
    let web = service(&server, &namespace(&server, "one"), "web");
    done(&server, "RegisterInstance", &instance(&web, "a"));
    let discover = json!({ "NamespaceName": "one", "ServiceName": "web" });
    let until_refused = |operation: &str, body: &Value| -> (u16, Value) {
        let mut answers = (0..1_000).map(|_| ask(&server, operation, body));
        answers.find(|answer| answer.0 != 200).unwrap()
    };
    for _ in 0..3 {
        done(&server, "DiscoverInstances", &discover);
    }
    is_refused(
        &until_refused("DiscoverInstances", &discover),
        429,
        "RequestLimitExceeded",
    );
    is_refused(
        &until_refused("ListNamespaces", &json!({})),
        400,
        "ThrottlingException",
    );
    // Others have no limit, and tokens come back.
    for _ in 0..20 {
        done(&server, "ListServices", &json!({}));
    }
    eventually("a token comes back", || {
        (ask(&server, "DiscoverInstances", &discover).0 == 200).then_some(())
    });
}

#[test]
fn settings_that_cannot_be_are_refused_by_name() {
    for (toml, field) in [
        (
            "[cloudmap.rates]\nDiscover = { per_second = 1 }\n",
            "cloudmap.rates.Discover",
        ),
        (
            "[cloudmap.rates]\nGetService = { per_second = 0 }\n",
            "cloudmap.rates.GetService",
        ),
        (
            "[cloudmap]\ncustom_health_delay_seconds = 4000\n",
            "cloudmap.custom_health_delay_seconds",
        ),
        (
            "[cloudmap.quotas]\nservices = 1\n",
            "cloudmap.quotas.services",
        ),
    ] {
        let refused = Setup::new().file(toml).refusal();
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains(field), "{field}: {told}");
    }
}

#[test]
fn a_custom_health_status_that_counts_later_outlives_the_server_and_the_last_word_counts() {
    let toml = "[cloudmap]\ncustom_health_delay_seconds = 3\n";
    let mut server = Setup::new().file(toml).start();
    let web = service(&server, &namespace(&server, "one"), "web");
    for id in ["a", "b", "c"] {
        done(&server, "RegisterInstance", &instance(&web, id));
    }
    let say = |server: &Server, id: &str, status: &str| {
        let body = json!({ "ServiceId": web, "InstanceId": id, "Status": status });
        done(server, "UpdateInstanceCustomHealthStatus", &body);
    };
    say(&server, "a", "UNHEALTHY");
    say(&server, "b", "UNHEALTHY");
    say(&server, "b", "HEALTHY");
    say(&server, "c", "UNHEALTHY");
    assert_eq!(status_of(&server, &web, "a"), "HEALTHY", "not yet");
    // Another registration of that id starts anew.
    let gone = json!({ "ServiceId": web, "InstanceId": "c" });
    done(&server, "DeregisterInstance", &gone);
    done(&server, "RegisterInstance", &instance(&web, "c"));
    server.kill9();
    server.restart();
    eventually("it counts after its time", || {
        (status_of(&server, &web, "a") == "UNHEALTHY").then_some(())
    });
    assert_eq!(status_of(&server, &web, "b"), "HEALTHY");
    say(&server, "a", "HEALTHY");
    eventually("what was said later counts later", || {
        (status_of(&server, &web, "a") == "HEALTHY").then_some(())
    });
    assert_eq!(status_of(&server, &web, "c"), "HEALTHY");
}

#[test]
fn lenient_takes_services_without_a_namespace_and_health_without_a_check() {
    let lenient = "[cloudmap]\nvalidation = \"lenient\"\n";
    let (strict, lenient) = (Server::start(), Setup::new().file(lenient).start());
    let alone = json!({ "Name": "alone" });
    let lost = json!({ "Name": "lost", "NamespaceId": "ns-nobodyhasmadeit" });
    is_refused(&ask(&strict, "CreateService", &alone), 400, "InvalidInput");
    is_refused(
        &ask(&strict, "CreateService", &lost),
        404,
        "NamespaceNotFound",
    );
    done(&lenient, "CreateService", &alone);
    done(&lenient, "CreateService", &json!({ "Name": "alone too" }));
    let made = done(&lenient, "CreateService", &lost);
    assert_eq!(made["Service"]["NamespaceId"], "ns-nobodyhasmadeit");
    let listed = done(&lenient, "ListNamespaces", &json!({}));
    assert_eq!(
        listed["Namespaces"].as_array().unwrap().len(),
        2,
        "{listed}"
    );
    for (server, is_lenient) in [(&strict, false), (&lenient, true)] {
        let body = json!({ "Name": "plain", "NamespaceId": namespace(server, "one") });
        let made = done(server, "CreateService", &body);
        let id = made["Service"]["Id"].as_str().unwrap();
        done(server, "RegisterInstance", &instance(id, "a"));
        let body = json!({ "ServiceId": id, "InstanceId": "a", "Status": "UNHEALTHY" });
        let said = ask(server, "UpdateInstanceCustomHealthStatus", &body);
        if is_lenient {
            assert_eq!(said.0, 200, "{}", said.1);
            assert_eq!(status_of(server, id, "a"), "UNHEALTHY");
        } else {
            is_refused(&said, 404, "CustomHealthNotFound");
        }
    }
}
