//! AWS's own clients against the Cloud Map API, with and without credentials.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use serde_json::{Value, json};

use crate::server::{Server, Setup, waypost};
use crate::skips::{peer, skipped};

mod agreement;
mod attacker;
mod endpoints;
mod health;
mod limits;
mod matrix;
mod signed;
mod tampered;
mod terraform;

const FLOW: &str = include_str!("cloudmap/flow.py");
const CBOR: &str = include_str!("cloudmap/cbor.py");
const KEY: &str = "AKIAWAYPOSTTEST00001";
const SECRET: &str = "it+is/only/for/the/tests/of/waypost/0001";

fn python(test: &str) -> Option<PathBuf> {
    match peer("WAYPOST_PEER_PYTHON") {
        Ok(path) => Some(path),
        Err(why) => {
            skipped(&format!("cloudmap::{test}"), &why);
            None
        }
    }
}

/// Prepares a Python program that talks to the server as any user of AWS's SDK would.
fn program(python: &Path, server: &Server, (key, secret): (&str, &str), text: &str) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-c", text])
        .env_clear()
        .env("AWS_ENDPOINT_URL_SERVICEDISCOVERY", server.url())
        .env("AWS_DISABLE_HOST_PREFIX_INJECTION", "true")
        .env("AWS_DEFAULT_REGION", "eu-west-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", secret);
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

/// A server that knows one key pair, which may do everything, and one that may only read.
fn with_keys() -> Setup {
    Setup::new().file(format!(
        "[[access.aws_keys]]\nid = \"{KEY}\"\nsecret = \"{SECRET}\"\naccount = \"123456789012\"\n\n\
         [[access.aws_keys]]\nid = \"AKIAWAYPOSTTEST00002\"\nsecret = \"{SECRET}\"\n\
         grants = [{{ verbs = [\"read\"], namespaces = \"*\", services = \"*\" }}]\n"
    ))
}

#[test]
fn the_flow_of_source_002_works_with_boto3_as_it_does_in_aws() {
    let test = "the_flow_of_source_002_works_with_boto3_as_it_does_in_aws";
    let Some(python) = python(test) else { return };
    let server = Server::start();
    let port = server.dns().port().to_string();
    succeeds(program(&python, &server, ("any", "thing"), FLOW).arg(&port));
}

#[test]
fn signatures_are_verified_as_soon_as_there_is_a_key() {
    let Some(python) = python("signatures_are_verified_as_soon_as_there_is_a_key") else {
        return;
    };
    let server = with_keys().start();
    let port = server.dns().port().to_string();
    succeeds(program(&python, &server, (KEY, SECRET), FLOW).arg(&port));
    let listing =
        "import boto3; print(boto3.client('servicediscovery').list_namespaces()['Namespaces'])";
    let code = |key: (&str, &str), text: &str| {
        told(&program(&python, &server, key, text).output().unwrap())
    };
    let wrong = code((KEY, "another secret of forty characters...."), listing);
    assert!(wrong.contains("InvalidSignatureException"), "{wrong}");
    let unknown = code(("AKIAWAYPOSTTEST00009", SECRET), listing);
    assert!(unknown.contains("UnrecognizedClientException"), "{unknown}");
    let reader = ("AKIAWAYPOSTTEST00002", SECRET);
    assert_eq!(code(reader, listing), "[]\n");
    let creating = "import boto3; boto3.client('servicediscovery').create_http_namespace(Name='x')";
    let denied = code(reader, creating);
    assert!(denied.contains("AccessDeniedException"), "{denied}");
    // Without any signature at all.
    let request = request("ListNamespaces", &json!({}));
    let answer = server.post_aws(&request);
    assert_eq!(answer.0, 400);
    assert_eq!(answer.1["__type"], "MissingAuthenticationTokenException");
}

#[test]
fn a_key_pair_that_was_issued_signs_within_its_grants() {
    let Some(python) = python("a_key_pair_that_was_issued_signs_within_its_grants") else {
        return;
    };
    let server = Server::start();
    let issue = |token: &str, arguments: &[&str]| -> Value {
        let whole = [&["token", "create"], arguments, &["-q", "-o", "json"]].concat();
        let mut command = waypost(&whole);
        command
            .env("SERVICE_DISCOVERY_URL", server.url())
            .env("WAYPOST_TOKEN", token);
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    };
    let admin = issue("", &["admin"])["secret"].as_str().unwrap().to_owned();
    let account = ["--aws", "--account", "210987654321"];
    let all = issue(&admin, &[&["all"], account.as_slice()].concat());
    let pair = |made: &Value| -> (String, String) {
        let of = |name: &str| made[name].as_str().unwrap().to_owned();
        (of("id"), of("secret"))
    };
    let (id, secret) = pair(&all);
    let port = server.dns().port().to_string();
    succeeds(program(&python, &server, (&id, &secret), FLOW).arg(&port));
    let reader = issue(&admin, &["reader", "--aws", "--allow", "read"]);
    let (id, secret) = pair(&reader);
    let creating = "import boto3; boto3.client('servicediscovery').create_http_namespace(Name='x')";
    let denied = program(&python, &server, (&id, &secret), creating);
    let denied = told(&{ denied }.output().unwrap());
    assert!(denied.contains("AccessDeniedException"), "{denied}");
}

#[test]
fn what_is_sent_in_cbor_is_answered_in_cbor_errors_included() {
    let Some(python) = python("what_is_sent_in_cbor_is_answered_in_cbor_errors_included") else {
        return;
    };
    let server = with_keys().start();
    succeeds(&mut program(&python, &server, (KEY, SECRET), CBOR));
}

#[test]
fn the_aws_cli_manages_and_discovers_with_the_environment_that_is_printed() {
    let test = "the_aws_cli_manages_and_discovers_with_the_environment_that_is_printed";
    let Some(python) = python(test) else { return };
    let server = with_keys().start();
    let printed = told(&server.cli(&["env", "aws", "-o", "json"]));
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let aws = |arguments: &[&str]| -> Value {
        let mut command = Command::new(&python);
        command
            .args(["-m", "awscli", "servicediscovery"])
            .args(arguments);
        command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
        for variable in printed["variables"].as_array().unwrap() {
            let of = |name: &str| variable[name].as_str().unwrap();
            command.env(of("name"), of("value"));
        }
        command
            .env("AWS_DEFAULT_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    let made = aws(&["create-http-namespace", "--name", "plain"]);
    let id = made["OperationId"].as_str().unwrap();
    let operation = aws(&["get-operation", "--operation-id", id]);
    let namespace = &operation["Operation"]["Targets"]["NAMESPACE"];
    let namespace = namespace.as_str().unwrap();
    let arn = aws(&["get-namespace", "--id", namespace]);
    let arn = &arn["Namespace"]["Arn"];
    let expected = format!("arn:aws:servicediscovery:eu-west-1:123456789012:namespace/{namespace}");
    assert_eq!(*arn, json!(expected), "region and account are the key's");
    let made = aws(&[
        "create-service",
        "--name",
        "jobs",
        "--namespace-id",
        namespace,
    ]);
    let service = made["Service"]["Id"].as_str().unwrap();
    aws(&[
        "register-instance",
        "--service-id",
        service,
        "--instance-id",
        "one",
        "--attributes",
        "url=x",
    ]);
    // The operation whose host gets `data-` before it, unless the environment says otherwise.
    let names = ["--namespace-name", "plain", "--service-name", "jobs"];
    let found = aws(&[&["discover-instances"], names.as_slice()].concat());
    assert_eq!(found["Instances"][0]["InstanceId"], "one");
}

#[test]
fn the_sdk_for_javascript_manages_and_discovers_with_its_option() {
    let modules = match peer("WAYPOST_PEER_JAVASCRIPT") {
        Ok(modules) => modules,
        Err(why) => {
            let test = "cloudmap::the_sdk_for_javascript_manages_and_discovers_with_its_option";
            return skipped(test, &why);
        }
    };
    let server = with_keys().start();
    let output = Command::new("node")
        .args(["-e", include_str!("cloudmap/flow.js")])
        .env("NODE_PATH", modules)
        .env("AWS_ENDPOINT_URL_SERVICEDISCOVERY", server.url())
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn the_name_of_the_api_and_its_data_twin_are_answered_by_dns() {
    let setup = Setup::new().file("[cloudmap]\napi_name = \"sd.example\"\n");
    let server = setup.start();
    for name in ["sd.example", "data-sd.example"] {
        let output = server.cli(&["resolve", name, "-o", "json"]);
        let resolved: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(resolved["answers"][0]["data"], "127.0.0.1", "{resolved}");
    }
    let refused = Setup::new()
        .file("[cloudmap]\napi_name = \"a b\"\n")
        .refusal();
    assert!(
        told(&refused).contains("cloudmap.api_name"),
        "{}",
        told(&refused)
    );
}

#[test]
fn a_page_of_another_site_is_refused_while_the_server_is_open() {
    let server = Server::start();
    let mut connection = server.connect();
    let headers = [
        ("Content-Type", "application/x-amz-json-1.1"),
        (
            "X-Amz-Target",
            "Route53AutoNaming_v20170314.CreateHttpNamespace",
        ),
        ("Origin", "http://rebound.example"),
    ];
    let answer = connection.request("POST", "/", &headers, br#"{"Name":"x"}"#);
    let answer = answer.unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["__type"], "AccessDeniedException");
    let listed = server.post_aws(&request("ListNamespaces", &json!({})));
    assert_eq!(listed.1, json!({ "Namespaces": [] }));
}

#[test]
fn what_is_no_request_of_cloud_map_is_told_why() {
    let server = Server::start();
    let ask = |headers: &[(&str, &str)], body: &[u8]| -> (u16, Value) {
        let mut connection = server.connect();
        let answer = connection.request("POST", "/", headers, body).unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    };
    let json = ("Content-Type", "application/x-amz-json-1.1");
    let target = |name: &'static str| ("X-Amz-Target", name);
    let list = target("Route53AutoNaming_v20170314.ListNamespaces");
    for (headers, body, code) in [
        (vec![json], &b"{}"[..], "UnknownOperationException"),
        (
            vec![json, target("Route53AutoNaming_v20170314.Nothing")],
            b"{}",
            "UnknownOperationException",
        ),
        (
            vec![json, target("DynamoDB_20120810.GetItem")],
            b"{}",
            "UnknownOperationException",
        ),
        (vec![json, list], b"{", "SerializationException"),
        (vec![json, list], b"[]", "InvalidInput"),
        (
            vec![("Content-Type", "text/plain"), list],
            b"{}",
            "SerializationException",
        ),
    ] {
        let (status, answer) = ask(&headers, body);
        assert_eq!(
            (status, &answer["__type"]),
            (400, &json!(code)),
            "{headers:?}"
        );
        assert!(!answer["message"].as_str().unwrap().is_empty());
    }
    let huge = vec![b' '; 2 << 20];
    let (status, answer) = ask(&[json, list], &huge);
    assert_eq!(status, 413, "{answer}");
}

#[test]
fn operations_and_request_ids_outlive_the_server() {
    let mut server = Server::start();
    let create = json!({ "Name": "plain", "CreatorRequestId": "once" });
    let first = server.post_aws(&request("CreateHttpNamespace", &create));
    assert_eq!(first.0, 200, "{}", first.1);
    server.kill9();
    server.restart();
    let id = json!({ "OperationId": first.1["OperationId"] });
    let found = server.post_aws(&request("GetOperation", &id));
    assert_eq!(found.1["Operation"]["Status"], "SUCCESS");
    let again = server.post_aws(&request("CreateHttpNamespace", &create));
    assert_eq!(again, first, "the same request meets itself");
    let other = json!({ "Name": "plain", "CreatorRequestId": "once", "Description": "other" });
    let refused = server.post_aws(&request("CreateHttpNamespace", &other));
    assert_eq!(
        (refused.0, &refused.1["__type"]),
        (409, &json!("DuplicateRequest"))
    );
    assert_eq!(refused.1["DuplicateOperationId"], first.1["OperationId"]);
}

#[test]
fn one_request_that_is_sent_many_times_at_once_happens_once() {
    let server = Server::start();
    let create = json!({ "Name": "plain", "CreatorRequestId": "once" });
    let (operations, services): (Vec<Value>, Vec<Value>) = thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let made = server.post_aws(&request("CreateHttpNamespace", &create));
                    assert_eq!(made.0, 200, "{}", made.1);
                    let id = json!({ "OperationId": made.1["OperationId"] });
                    let operation = server.post_aws(&request("GetOperation", &id)).1;
                    let namespace = &operation["Operation"]["Targets"]["NAMESPACE"];
                    let service = json!({
                        "Name": "jobs", "NamespaceId": namespace, "CreatorRequestId": "twice",
                    });
                    let made = server.post_aws(&request("CreateService", &service));
                    assert_eq!(made.0, 200, "{}", made.1);
                    (id, made.1["Service"]["Id"].clone())
                })
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).unzip()
    });
    assert!(
        operations.iter().all(|id| *id == operations[0]),
        "{operations:?}"
    );
    assert!(services.iter().all(|id| *id == services[0]), "{services:?}");
    let listed = server.post_aws(&request("ListNamespaces", &json!({}))).1;
    assert_eq!(listed["Namespaces"].as_array().unwrap().len(), 1);
    assert_eq!(listed["Namespaces"][0]["ServiceCount"], 1);
}

#[test]
fn what_cloud_map_registers_rest_and_dns_show_and_the_other_way_round() {
    let server = Server::start();
    server
        .put(
            "/v1/namespaces/svc.internal/services/web/instances/a",
            &json!({ "address": "10.1.0.1", "port": 8080, "attributes": { "version": "1" } }),
        )
        .expect(201);
    let asked = json!({ "NamespaceName": "svc.internal", "ServiceName": "web" });
    let found = server.post_aws(&request("DiscoverInstances", &asked)).1;
    let instance = &found["Instances"][0];
    assert_eq!(instance["InstanceId"], "a");
    assert_eq!(
        instance["Attributes"],
        json!({ "AWS_INSTANCE_IPV4": "10.1.0.1", "AWS_INSTANCE_PORT": "8080", "version": "1" })
    );
    let services = server.post_aws(&request("ListServices", &json!({}))).1;
    let id = services["Services"][0]["Id"].as_str().unwrap().to_owned();
    let register = json!({
        "ServiceId": id,
        "InstanceId": "b",
        "Attributes": { "AWS_INSTANCE_IPV4": "10.1.0.2", "AWS_INSTANCE_PORT": "8081", "version": "2" },
    });
    // The namespace's defaults have AAAA records too, which AWS would ask an address for.
    let refused = server.post_aws(&request("RegisterInstance", &register));
    assert_eq!(refused.0, 200, "{}", refused.1);
    let shown = server
        .get("/v1/namespaces/svc.internal/services/web/instances/b")
        .expect(200)
        .json();
    assert_eq!(shown["ipv4"], "10.1.0.2");
    assert_eq!(shown["attributes"], json!({ "version": "2" }));
    let output = server.cli(&["resolve", "web", "-o", "json"]);
    let resolved: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        resolved["answers"].as_array().unwrap().len(),
        2,
        "{resolved}"
    );
}

/// One request as it goes over the wire: the operation and its body.
pub(crate) fn request(operation: &str, body: &Value) -> (String, String) {
    (operation.to_owned(), body.to_string())
}

impl Server {
    /// Calls an operation in JSON, without a signature.
    pub(crate) fn post_aws(&self, (operation, body): &(String, String)) -> (u16, Value) {
        let target = format!("Route53AutoNaming_v20170314.{operation}");
        let headers = [
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", target.as_str()),
        ];
        let mut connection = self.connect();
        let answer = connection
            .request("POST", "/", &headers, body.as_bytes())
            .unwrap();
        let json = serde_json::from_slice(&answer.body).unwrap();
        (answer.status, json)
    }
}
