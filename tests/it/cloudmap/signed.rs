//! Each part of each signed request of AWS's clients, changed on the way to the running binary.

use std::process::Command;

use super::attacker::{Attacker, Seen};
use super::{CBOR, KEY, SECRET, program, python, succeeds, told};
use crate::server::{Server, Setup};
use crate::skips::{peer, skipped};

const OPERATIONS: &str = include_str!("operations.py");
const ELSEWHERE: &str = include_str!("elsewhere.py");
/// What may read the metrics.
const TOKEN: &str = "only-for-these-tests-0001";
/// Temporary credentials.
const SESSION_KEY: &str = "ASIAWAYPOSTTEST00004";
const SESSION_TOKEN: &str = "a+session/token//of+waypost==0001";
/// What every signature has, whoever made it.
const PARTS: [&str; 21] = [
    "algorithm",
    "body",
    "date",
    "header content-type",
    "header host",
    "header that is not signed",
    "header x-amz-date",
    "key",
    "list of signed headers",
    "method",
    "no authorization",
    "no credential",
    "no list of signed headers",
    "no signature",
    "operation",
    "path",
    "query",
    "scope's date",
    "scope's region",
    "scope's service",
    "scope's terminator",
];
/// What no signature protects, because it leads to no operation.
const WITHOUT_ROUTE: [&str; 3] = ["header x-amz-target", "method", "path"];

/// A server with two key pairs of one secret; the second one is of temporary credentials.
fn server(secret: &str) -> Server {
    let keys = format!(
        "[access]\nshared_secret = \"{TOKEN}\"\n\n\
         [[access.aws_keys]]\nid = \"{KEY}\"\nsecret = \"{secret}\"\n\n\
         [[access.aws_keys]]\nid = \"{SESSION_KEY}\"\nsecret = \"{secret}\"\nsession_token = \"{SESSION_TOKEN}\"\n"
    );
    Setup::new().file(keys).start()
}

/// Runs a client whose requests go through the attacker; all of its own requests succeed, and no changed one.
fn attacked(thorough: Option<&'static str>, client: impl FnOnce(&Server, &str) -> Command) -> Seen {
    let mut other = SECRET.as_bytes().to_vec();
    *other.last_mut().unwrap() ^= 1;
    let other = server(std::str::from_utf8(&other).unwrap());
    let server = server(SECRET);
    let attacker = Attacker::start(&server, Some(&other), TOKEN, thorough);
    let output = client(&server, &attacker.url()).output().unwrap();
    let seen = attacker.seen();
    let said = told(&output);
    assert!(output.status.success(), "{said}\n{:#?}", seen.findings);
    assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
    for part in PARTS.iter().chain(&["signature", "secret"]) {
        assert!(seen.parts.contains(*part), "{part} in {:?}", seen.parts);
    }
    seen
}

fn signed_headers(seen: &Seen) -> Vec<&str> {
    let parts = seen.parts.iter();
    parts
        .filter_map(|part| part.strip_prefix("header "))
        .filter(|name| !name.contains(' '))
        .collect()
}

#[test]
fn no_part_of_any_request_of_boto3_can_be_changed_on_the_way() {
    let Some(python) = python("signed::no_part_of_any_request_of_boto3_can_be_changed_on_the_way")
    else {
        return;
    };
    let seen = attacked(Some("CreateHttpNamespace"), |server, url| {
        let mut command = program(&python, server, (KEY, SECRET), OPERATIONS);
        command.arg("boto3");
        command.env("AWS_ENDPOINT_URL_SERVICEDISCOVERY", url);
        command
    });
    assert_eq!(seen.operations.len(), 30, "{:?}", seen.operations);
    assert_eq!(
        signed_headers(&seen),
        ["content-type", "host", "x-amz-date", "x-amz-target"]
    );
    // Every bit of one request, and each part of all.
    assert!(seen.copies > 3_000, "{} copies", seen.copies);
}

#[test]
fn no_part_of_any_request_of_the_aws_cli_with_temporary_credentials_can_be_changed_on_the_way() {
    let test = "signed::no_part_of_any_request_of_the_aws_cli_with_temporary_credentials_can_be_changed_on_the_way";
    let Some(python) = python(test) else { return };
    let seen = attacked(None, |server, url| {
        let mut command = program(&python, server, (SESSION_KEY, SECRET), OPERATIONS);
        command.arg("cli");
        command.env("AWS_ENDPOINT_URL_SERVICEDISCOVERY", url);
        command.env("AWS_SESSION_TOKEN", SESSION_TOKEN);
        command
    });
    assert_eq!(seen.operations.len(), 30, "{:?}", seen.operations);
    assert!(signed_headers(&seen).contains(&"x-amz-security-token"));
}

#[test]
fn no_part_of_a_request_in_cbor_can_be_changed_on_the_way() {
    let Some(python) = python("signed::no_part_of_a_request_in_cbor_can_be_changed_on_the_way")
    else {
        return;
    };
    let seen = attacked(None, |server, url| {
        let mut command = program(&python, server, (KEY, SECRET), CBOR);
        command.env("AWS_ENDPOINT_URL_SERVICEDISCOVERY", url);
        command
    });
    assert_eq!(
        signed_headers(&seen),
        [
            "accept",
            "content-type",
            "host",
            "smithy-protocol",
            "x-amz-date"
        ]
    );
}

#[test]
fn no_part_of_a_request_of_the_sdk_for_javascript_can_be_changed_on_the_way() {
    let modules = match peer("WAYPOST_PEER_JAVASCRIPT") {
        Ok(modules) => modules,
        Err(why) => {
            let test = "cloudmap::signed::no_part_of_a_request_of_the_sdk_for_javascript_can_be_changed_on_the_way";
            return skipped(test, &why);
        }
    };
    let seen = attacked(None, |_, url| {
        let mut command = Command::new("node");
        command
            .args(["-e", include_str!("flow.js")])
            .env("NODE_PATH", modules)
            .env("AWS_ENDPOINT_URL_SERVICEDISCOVERY", url)
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    });
    assert_eq!(
        signed_headers(&seen),
        [
            "amz-sdk-invocation-id",
            "amz-sdk-request",
            "content-length",
            "content-type",
            "host",
            "x-amz-content-sha256",
            "x-amz-date",
            "x-amz-target",
            "x-amz-user-agent"
        ]
    );
}

/// An open server takes any signature, like a verifier that says yes to everything.
#[test]
fn a_verifier_that_says_yes_to_everything_is_noticed_in_every_part() {
    let test = "signed::a_verifier_that_says_yes_to_everything_is_noticed_in_every_part";
    let Some(python) = python(test) else { return };
    for text in [
        "import boto3; boto3.client('servicediscovery').list_namespaces()",
        CBOR,
    ] {
        let server = Server::start();
        let attacker = Attacker::start(&server, Some(&server), TOKEN, None);
        let mut command = program(&python, &server, (KEY, SECRET), text);
        command.env("AWS_ENDPOINT_URL_SERVICEDISCOVERY", attacker.url());
        // What the client makes of it does not matter.
        drop(command.output().unwrap());
        let mut seen = attacker.seen();
        assert!(!seen.parts.is_empty());
        for part in WITHOUT_ROUTE {
            seen.parts.remove(part);
        }
        assert_eq!(seen.passed, seen.parts);
    }
}

#[test]
fn right_signatures_of_another_time_service_or_session_are_refused() {
    let test = "signed::right_signatures_of_another_time_service_or_session_are_refused";
    let Some(python) = python(test) else { return };
    let server = server(SECRET);
    let mut command = program(&python, &server, (SESSION_KEY, SECRET), ELSEWHERE);
    succeeds(command.env("AWS_SESSION_TOKEN", SESSION_TOKEN));
}

#[test]
fn every_operation_of_boto3_and_of_the_aws_cli_needs_the_right_credentials() {
    let test = "signed::every_operation_of_boto3_and_of_the_aws_cli_needs_the_right_credentials";
    let Some(python) = python(test) else { return };
    for client in ["boto3", "cli"] {
        let server = server(SECRET);
        let mut command = program(&python, &server, (KEY, SECRET), OPERATIONS);
        succeeds(command.args([client, "bad"]));
    }
}
