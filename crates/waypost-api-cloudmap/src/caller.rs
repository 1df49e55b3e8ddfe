//! Who calls: a signature, a token, or nobody on an open server.

use http::StatusCode;
use waypost_access::sigv4::{SigV4Error, SignedRequest};
use waypost_core::{Access, Author, text};
use waypost_http::RequestHead;

use crate::fault::Fault;
use crate::state::CloudMap;
use crate::wire::{DIALECT, UNKNOWN, is_read};

/// The name of the service in signatures.
const SERVICE: &str = "servicediscovery";

/// Codes of refusals whose status does not say that they are about who asks.
const ABOUT_ACCESS: [&str; 6] = [
    "AccessDeniedException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "ThrottlingException",
    "UnrecognizedClientException",
];

/// The caller of a request.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) access: Access,
    pub(crate) region: String,
    pub(crate) account: String,
}

/// Finds out who calls, and for which region.
pub(crate) fn authenticate(
    cloud_map: &CloudMap,
    head: &RequestHead,
    body: &[u8],
    is_read: bool,
) -> Result<Caller, Fault> {
    let config = &cloud_map.config;
    let authorization = head.header("authorization");
    let is_signed = authorization.is_some_and(|value| value.starts_with("AWS4-"));
    let needs = cloud_map.authenticator.needs_credentials();
    if needs && is_signed {
        return signer(cloud_map, head, body);
    }
    let is_of_a_page = ["origin", "sec-fetch-site"]
        .iter()
        .any(|name| head.header(name).is_some());
    if !needs && is_of_a_page {
        // Any Host is taken, so that a page under any name could reach a server on loopback (DNS rebinding).
        return Err(Fault::bad(
            "AccessDeniedException",
            "Requests of web pages are refused while the server knows no credential.",
        ));
    }
    // Whoever signs to an open server names a region all the same.
    let region = authorization.and_then(region_of);
    let access = cloud_map
        .authenticator
        .authenticate(&shown(head), DIALECT, is_read)
        .map_err(|error| match authorization {
            Some(_) => Fault::of(&error, UNKNOWN),
            None => refusal(&SigV4Error::Missing),
        })?;
    Ok(Caller {
        access,
        region: region.unwrap_or(&config.region).to_owned(),
        account: config.account.clone(),
    })
}

/// Notes in the journal that a request was refused, or that a change was.
pub(crate) fn note_refusal(
    cloud_map: &CloudMap,
    head: &RequestHead,
    operation: &str,
    fault: &Fault,
) {
    let is_about_access = fault.status == StatusCode::UNAUTHORIZED
        || fault.status == StatusCode::FORBIDDEN
        || fault.status == StatusCode::TOO_MANY_REQUESTS
        || ABOUT_ACCESS.contains(&fault.code);
    if !is_about_access && (is_read(operation) || fault.code.ends_with("NotFound")) {
        return;
    }
    // Who signed is told by the key, whether the signature was right or not.
    let claimed = head.header("authorization").and_then(key_of);
    let subject = match claimed {
        Some(key) => format!("key {key}"),
        None => cloud_map.authenticator.subject_of(&shown(head)),
    };
    let author = Author {
        subject: text(&subject),
        address: Some(head.peer().ip()),
        dialect: DIALECT,
    };
    let registry = &cloud_map.registry;
    registry.note_refusal(&author, operation, fault.code, &fault.message);
}

fn shown(head: &RequestHead) -> waypost_access::Caller<'_> {
    waypost_access::Caller {
        bearer: head.bearer(),
        certificate: head.certificate().names(),
        last: head.kept(),
        peer: head.peer().ip(),
    }
}

/// Reads the access key id that a signature claims, as far as it is one.
fn key_of(authorization: &str) -> Option<&str> {
    let (_, rest) = authorization.split_once("Credential=")?;
    let key = rest.split('/').next()?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    ((16..=128).contains(&key.len()) && key.bytes().all(is_word)).then_some(key)
}

fn signer(cloud_map: &CloudMap, head: &RequestHead, body: &[u8]) -> Result<Caller, Fault> {
    let request = SignedRequest {
        method: head.method().as_str(),
        path: head.path(),
        query: head.raw_query(),
        headers: head.headers(),
        body,
    };
    let now = cloud_map.registry.clock().wall();
    let peer = (head.peer().ip(), DIALECT);
    let signer = cloud_map
        .authenticator
        .authenticate_signed(&request, SERVICE, peer, now)
        .map_err(|error| refusal(&error))?;
    Ok(Caller {
        access: signer.access,
        region: signer.region,
        account: signer.account,
    })
}

fn refusal(error: &SigV4Error) -> Fault {
    Fault::bad(error.code(), error.to_string())
}

/// Reads the region out of the scope that a signature claims: `KEY/20260101/eu-west-1/servicediscovery/aws4_request`.
fn region_of(authorization: &str) -> Option<&str> {
    let (_, rest) = authorization.split_once("Credential=")?;
    let region = rest.split('/').nth(2)?;
    let is_region = (1..=32).contains(&region.len())
        && region
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    is_region.then_some(region)
}
