//! Where the API is found: in any region, behind a base path, at an IPv6 address.

use std::process::Command;

use super::{CBOR, KEY, SECRET, program, python, succeeds, told, with_keys};
use crate::server::{Server, Setup};
use crate::skips::{peer, skipped};

const OPERATIONS: &str = include_str!("operations.py");
const REGIONS: &str = include_str!("regions.py");

#[test]
fn two_regions_against_one_server_have_arns_of_their_own() {
    let Some(python) = python("endpoints::two_regions_against_one_server_have_arns_of_their_own")
    else {
        return;
    };
    let server = with_keys().start();
    succeeds(&mut program(&python, &server, (KEY, SECRET), REGIONS));
    // Whoever signs to an open server names a region all the same; the account is the server's.
    let open = Server::start();
    let text = REGIONS.replace("123456789012", "000000000000");
    succeeds(&mut program(&python, &open, ("any", "thing"), &text));
}

#[test]
fn every_operation_works_behind_a_base_path_and_at_an_ipv6_address() {
    let test = "endpoints::every_operation_works_behind_a_base_path_and_at_an_ipv6_address";
    let Some(python) = python(test) else { return };
    let server = with_base_path("/aws/v1").http("[::1]:0").start();
    let url = server.url();
    assert!(url.starts_with("http://[::1]:"), "{url}");
    for (client, base) in [
        ("boto3", ""),
        ("boto3", "/aws/v1"),
        ("boto3", "/aws/v1/"),
        ("cli", "/aws/v1"),
    ] {
        let mut command = program(&python, &server, (KEY, SECRET), OPERATIONS);
        command.env("AWS_ENDPOINT_URL_SERVICEDISCOVERY", format!("{url}{base}"));
        succeeds(command.arg(client));
    }
    let mut command = program(&python, &server, (KEY, SECRET), CBOR);
    command.env(
        "AWS_ENDPOINT_URL_SERVICEDISCOVERY",
        format!("{url}/aws/v1/"),
    );
    succeeds(&mut command);
    // The path is signed.
    let mut command = program(&python, &server, (KEY, SECRET), OPERATIONS);
    command.env("AWS_ENDPOINT_URL_SERVICEDISCOVERY", format!("{url}/other"));
    let refused = told(&command.arg("boto3").output().unwrap());
    assert!(
        refused.contains("'CreateHttpNamespace', '404'"),
        "{refused}"
    );
}

#[test]
fn the_sdk_for_javascript_works_behind_a_base_path() {
    let modules = match peer("WAYPOST_PEER_JAVASCRIPT") {
        Ok(modules) => modules,
        Err(why) => {
            let test = "cloudmap::endpoints::the_sdk_for_javascript_works_behind_a_base_path";
            return skipped(test, &why);
        }
    };
    let server = with_base_path("/aws").start();
    let output = Command::new("node")
        .args(["-e", include_str!("flow.js")])
        .env("NODE_PATH", modules)
        .env(
            "AWS_ENDPOINT_URL_SERVICEDISCOVERY",
            format!("{}/aws", server.url()),
        )
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn a_base_path_that_is_none_refuses_the_start() {
    let refused = with_base_path("/aws/").refusal();
    let said = told(&refused);
    assert!(said.contains("cloudmap.base_path"), "{said}");
}

fn with_base_path(path: &str) -> Setup {
    let text = format!(
        "[cloudmap]\nbase_path = \"{path}\"\n\n\
         [[access.aws_keys]]\nid = \"{KEY}\"\nsecret = \"{SECRET}\"\naccount = \"123456789012\"\n"
    );
    Setup::new().file(text)
}
