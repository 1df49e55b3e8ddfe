//! The two protocols: AWS JSON 1.1 by `X-Amz-Target`, and Smithy RPC v2 CBOR by path.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use waypost_core::{Dialect, NamespaceKind};
use waypost_http::{Request, RequestHead, Response, Router, bytes};

use crate::fault::{About, Fault};
use crate::model::OPERATIONS;
use crate::settings::Validation;
use crate::shape::{Operation, Rule, Violation, sentence, violations};
use crate::state::{Call, CloudMap};
use crate::value::Value;
use crate::{instances, namespaces, operations, services, tags};

const TARGET: &str = "x-amz-target";
const TARGET_PREFIX: &str = "Route53AutoNaming_v20170314.";
const CBOR_PATH: &str = "/service/Route53AutoNaming_v20170314/operation/{operation}";
const JSON: &str = "application/x-amz-json-1.1";
const CBOR: &str = "application/cbor";
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const SMITHY: HeaderName = HeaderName::from_static("smithy-protocol");

/// How a request is written, and its answer with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Json,
    Cbor,
}

impl Protocol {
    fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Cbor => "cbor",
        }
    }
}

/// Makes the routes.
pub(crate) fn router(cloud_map: &Arc<CloudMap>) -> Router {
    let router = json_route(Router::new(), cloud_map, "/");
    let router = cbor_route(router, cloud_map, CBOR_PATH);
    let Some(base) = &cloud_map.config.base_path else {
        return router;
    };
    // botocore sends to the path as it is written, the SDK for JavaScript puts a slash behind it.
    let router = json_route(router, cloud_map, base);
    let router = json_route(router, cloud_map, &format!("{base}/"));
    cbor_route(router, cloud_map, &format!("{base}{CBOR_PATH}"))
}

fn json_route(router: Router, cloud_map: &Arc<CloudMap>, pattern: &str) -> Router {
    let json = Arc::clone(cloud_map);
    router.post(pattern, move |request: Request| {
        let cloud_map = Arc::clone(&json);
        async move { serve(&cloud_map, request, Protocol::Json).await }
    })
}

fn cbor_route(router: Router, cloud_map: &Arc<CloudMap>, pattern: &str) -> Router {
    let cbor = Arc::clone(cloud_map);
    router.post(pattern, move |request: Request| {
        let cloud_map = Arc::clone(&cbor);
        async move { serve(&cloud_map, request, Protocol::Cbor).await }
    })
}

async fn serve(cloud_map: &CloudMap, mut request: Request, protocol: Protocol) -> Response {
    let operation = operation_of(&request.head, protocol);
    let name = operation
        .as_ref()
        .map_or("unknown", |operation| operation.name);
    let outcome = match operation {
        Ok(operation) => answer(cloud_map, &mut request, operation, protocol).await,
        Err(fault) => Err(fault),
    };
    let code = outcome.as_ref().map_or_else(|fault| fault.code, |_| "ok");
    cloud_map.metrics.count(name, code, protocol.word());
    if let Err(fault) = &outcome {
        crate::caller::note_refusal(cloud_map, &request.head, name, fault);
    }
    respond(&request.head, outcome, protocol)
}

fn operation_of(head: &RequestHead, protocol: Protocol) -> Result<&'static Operation, Fault> {
    let unknown = |what: &str| {
        Fault::bad(
            "UnknownOperationException",
            format!("There is no operation {what:?} of AWS Cloud Map."),
        )
    };
    let name = match protocol {
        Protocol::Json => {
            let target = head.header(TARGET).ok_or_else(|| {
                Fault::bad(
                    "UnknownOperationException",
                    "The header X-Amz-Target must name an operation of AWS Cloud Map.",
                )
            })?;
            target
                .strip_prefix(TARGET_PREFIX)
                .ok_or_else(|| unknown(target))?
        }
        Protocol::Cbor => head.param("operation").unwrap_or_default(),
    };
    OPERATIONS
        .iter()
        .find(|operation| operation.name == name)
        .ok_or_else(|| unknown(name))
}

async fn answer(
    cloud_map: &CloudMap,
    request: &mut Request,
    operation: &'static Operation,
    protocol: Protocol,
) -> Result<Value, Fault> {
    let body = request.read_body().await.map_err(|rejection| {
        let status = rejection.status();
        let code = if status == StatusCode::PAYLOAD_TOO_LARGE {
            "RequestEntityTooLargeException"
        } else {
            "SerializationException"
        };
        Fault::new(
            status,
            code,
            format!("The body cannot be read: {}.", rejection.reason()),
        )
    })?;
    let head = &request.head;
    let caller = crate::caller::authenticate(cloud_map, head, &body, is_read(operation.name))?;
    let now = cloud_map.registry.clock().monotonic();
    if !cloud_map.rates.take(operation.name, &caller.account, now) {
        return Err(Fault::throttled(operation.name));
    }
    let input = read(head, &body, protocol)?;
    let broken: Vec<Violation> = violations(operation.input, &input)
        .into_iter()
        .filter(|violation| !is_let_pass(cloud_map, operation, violation))
        .collect();
    if !broken.is_empty() {
        return Err(Fault::invalid(sentence(&broken)));
    }
    let call = Call {
        cloud_map,
        operation: operation.name,
        access: caller.access,
        region: caller.region,
        account: caller.account,
        input,
    };
    dispatch(&call).await
}

/// Reads the input; what is no map is told by the shape.
fn read(head: &RequestHead, body: &[u8], protocol: Protocol) -> Result<Value, Fault> {
    let wrong = |why: String| Fault::bad("SerializationException", why);
    let kind = head.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match protocol {
        Protocol::Json => {
            let is_json = kind.is_empty() || kind.starts_with("application/x-amz-json-1.");
            if !is_json && kind != "application/json" {
                return Err(wrong(format!("Content-Type {kind:?} must be {JSON}.")));
            }
            if body.is_empty() {
                return Ok(Value::Map(Vec::new()));
            }
            let json = serde_json::from_slice(body)
                .map_err(|error| wrong(format!("The body is no JSON: {error}.")))?;
            Ok(Value::of_json(json))
        }
        Protocol::Cbor => {
            if !kind.is_empty() && kind != CBOR {
                return Err(wrong(format!("Content-Type {kind:?} must be {CBOR}.")));
            }
            Value::of_cbor(body).map_err(|error| wrong(format!("The body is no CBOR: {error}.")))
        }
    }
}

/// Says whether `lenient` lets a broken rule pass, because emulators do.
fn is_let_pass(cloud_map: &CloudMap, operation: &Operation, violation: &Violation) -> bool {
    if cloud_map.config.validation == Validation::Strict {
        return false;
    }
    let path = violation.path.as_str();
    match (operation.name, violation.rule) {
        ("CreateService", Rule::Pattern) => path == "name",
        ("CreatePublicDnsNamespace", Rule::Pattern) => path == "name",
        (_, Rule::Range) => path.ends_with("failureThreshold"),
        _ => false,
    }
}

pub(crate) fn is_read(operation: &str) -> bool {
    ["Get", "List", "Discover"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}

async fn dispatch(call: &Call<'_>) -> Result<Value, Fault> {
    match call.operation {
        "CreateHttpNamespace" => namespaces::create(call, NamespaceKind::Http).await,
        "CreatePrivateDnsNamespace" => namespaces::create(call, NamespaceKind::PrivateDns).await,
        "CreatePublicDnsNamespace" => namespaces::create(call, NamespaceKind::PublicDns).await,
        "GetNamespace" => namespaces::get(call),
        "ListNamespaces" => namespaces::list(call),
        "UpdateHttpNamespace" => namespaces::update(call, NamespaceKind::Http).await,
        "UpdatePrivateDnsNamespace" => namespaces::update(call, NamespaceKind::PrivateDns).await,
        "UpdatePublicDnsNamespace" => namespaces::update(call, NamespaceKind::PublicDns).await,
        "DeleteNamespace" => namespaces::delete(call).await,
        "CreateService" => services::create(call).await,
        "GetService" => services::get(call),
        "ListServices" => services::list(call),
        "UpdateService" => services::update(call).await,
        "DeleteService" => services::delete(call).await,
        "GetServiceAttributes" => services::attributes(call),
        "UpdateServiceAttributes" => services::update_attributes(call).await,
        "DeleteServiceAttributes" => services::delete_attributes(call).await,
        "RegisterInstance" => instances::register(call).await,
        "DeregisterInstance" => instances::deregister(call).await,
        "GetInstance" => instances::get(call),
        "ListInstances" => instances::list(call),
        "GetInstancesHealthStatus" => instances::health(call),
        "UpdateInstanceCustomHealthStatus" => instances::set_health(call).await,
        "DiscoverInstances" => instances::discover(call),
        "DiscoverInstancesRevision" => instances::discover_revision(call),
        "GetOperation" => operations::get(call),
        "ListOperations" => operations::list(call),
        "TagResource" => tags::tag(call).await,
        "UntagResource" => tags::untag(call).await,
        "ListTagsForResource" => tags::list(call),
        other => Err(Fault::bad(
            "UnknownOperationException",
            format!("There is no operation {other:?} of AWS Cloud Map."),
        )),
    }
}

fn respond(head: &RequestHead, outcome: Result<Value, Fault>, protocol: Protocol) -> Response {
    let (status, value, error) = match outcome {
        Ok(value) => (StatusCode::OK, value, None),
        Err(fault) => (fault.status, fault.clone().body(), Some(fault.code)),
    };
    let mut response = match protocol {
        Protocol::Json => bytes(status, JSON, value.into_json().to_string()),
        Protocol::Cbor => bytes(status, CBOR, value.into_cbor()),
    };
    let headers: &mut HeaderMap = response.headers_mut();
    if protocol == Protocol::Cbor {
        headers.insert(SMITHY, HeaderValue::from_static("rpc-v2-cbor"));
    }
    if let Some(code) = error {
        headers.insert(ERROR_TYPE, HeaderValue::from_static(code));
    }
    if let Ok(id) = HeaderValue::from_str(head.request_id()) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// The protocol's name in logs and audit lines.
pub(crate) const DIALECT: Dialect = Dialect::CloudMap;

/// What a refusal by the registry's access is about when there is no object yet.
pub(crate) const UNKNOWN: About = About::Service;
