//! Who calls: a signature, a token, or nobody on an open server.

use waypost_access::sigv4::{SigV4Error, SignedRequest};
use waypost_core::Access;
use waypost_http::RequestHead;

use crate::fault::Fault;
use crate::state::CloudMap;
use crate::wire::{DIALECT, UNKNOWN};

/// The name of the service in signatures.
const SERVICE: &str = "servicediscovery";

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
        .authenticate(head.bearer(), head.peer().ip(), DIALECT, is_read)
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
