//! One entry for each route, in the order of the page.

use utoipa::openapi::path::HttpMethod::{Delete, Get, Patch, Post, Put};

use super::{Answered, Body, Route};
use crate::handlers::audit::FILTERS;

const DISCOVERY: &str = "/v1/discovery (source 003)";
const SERVICE_DISCOVERY: &str = "/service-discovery (source 004)";
const OWN: &str = "Namespaces, services and instances";
const FIND: &str = "Finding and explaining";
const SERVER: &str = "The server";

const ACROSS: &[&str] = &[
    "namespace",
    "service",
    "health",
    "mode",
    "tag",
    "version",
    "zone",
    "owner",
    "limit",
    "after",
    "revision",
    "wait",
];
const WITHIN: &[&str] = &[
    "health", "mode", "tag", "version", "zone", "owner", "limit", "after", "revision", "wait",
];

const READ: &[u16] = &[400, 401, 403];
const FIND_ONE: &[u16] = &[400, 401, 403, 404, 422];
const WRITE: &[u16] = &[400, 401, 403, 409, 413, 422, 503];
const CHANGE: &[u16] = &[400, 401, 403, 404, 409, 413, 422, 503];
const BEATS: &[u16] = &[400, 401, 403, 413, 422, 503];
const PATCH: &[u16] = &[400, 401, 403, 404, 409, 413, 415, 422, 503];

const AUDITED: &[u16] = &[400, 401, 403, 422, 503];

/// What a read takes that can wait for a change.
const WAIT: &[&str] = &["revision", "wait"];

macro_rules! route {
    ($method:ident $path:literal, $tag:expr, $summary:literal, $query:expr, $body:expr, $answer:expr, $problems:expr) => {
        Route {
            method: $method,
            path: $path,
            tag: $tag,
            summary: $summary,
            query: $query,
            body: $body,
            answer: $answer,
            problems: $problems,
        }
    };
}

pub(super) const ROUTES: &[Route] = &[
    route!(Post "/v1/discovery/register", DISCOVERY, "Registers an instance, or updates it", &[],
        Body::Needed("ServiceRegistrationRequest"), Answered::Document("Success"), WRITE),
    route!(Post "/v1/discovery/heartbeat", DISCOVERY, "Says that an instance lives", &[],
        Body::Needed("ServiceHeartbeatRequest"), Answered::Document("Success"), CHANGE),
    route!(Delete "/v1/discovery/unregister/{service_name}/{instance_id}", DISCOVERY, "Removes an instance", &[],
        Body::None, Answered::Document("Success"), CHANGE),
    route!(Get "/v1/discovery/services", DISCOVERY, "Lists every service with its instances", &[],
        Body::None, Answered::Versioned("AllServices"), READ),
    route!(Get "/v1/discovery/services/{service_name}", DISCOVERY, "Lists the instances of a service", &[],
        Body::None, Answered::Versioned("ServiceInstances"), FIND_ONE),
    route!(Get "/v1/discovery/services/{service_name}/healthy", DISCOVERY,
        "Lists the instances that may be sent traffic", &[],
        Body::None, Answered::Versioned("HealthyInstances"), FIND_ONE),
    route!(Get "/v1/discovery/services/{service_name}/instances", DISCOVERY,
        "Lists targets for Prometheus' HTTP service discovery", &[],
        Body::None, Answered::VersionedList("TargetGroup"), &[400, 401, 403, 422]),
    route!(Post "/service-discovery/register", SERVICE_DISCOVERY, "Registers an instance, or updates it", &[],
        Body::Needed("ServiceDiscoveryRegistration"), Answered::Document("Registered"), WRITE),
    route!(Post "/service-discovery/heartbeat", SERVICE_DISCOVERY, "Says that an instance lives", &[],
        Body::Needed("ServiceDiscoveryHeartbeat"), Answered::Document("Success"), CHANGE),
    route!(Delete "/service-discovery/{service_name}/{instance_id}", SERVICE_DISCOVERY, "Removes an instance", &[],
        Body::None, Answered::Document("Success"), CHANGE),
    route!(Delete "/service-discovery/discover/{service_name}", SERVICE_DISCOVERY,
        "Removes an instance, whose id stands last, of the service named discover", &[],
        Body::None, Answered::Document("Success"), CHANGE),
    route!(Delete "/service-discovery/health/aggregated", SERVICE_DISCOVERY,
        "Removes the instance aggregated of the service named health", &[],
        Body::None, Answered::Document("Success"), CHANGE),
    route!(Delete "/service-discovery/services/healthy", SERVICE_DISCOVERY,
        "Removes the instance healthy of the service named services", &[],
        Body::None, Answered::Document("Success"), CHANGE),
    route!(Get "/service-discovery/discover/{service_name}", SERVICE_DISCOVERY, "Picks an instance, in turn", &[],
        Body::None, Answered::Document("Discovered"), FIND_ONE),
    route!(Get "/service-discovery/health/aggregated", SERVICE_DISCOVERY, "Shows the health of every service", &[],
        Body::None, Answered::Versioned("Aggregated"), READ),
    route!(Get "/service-discovery/services", SERVICE_DISCOVERY, "Lists every service", &[],
        Body::None, Answered::Versioned("ServiceList"), READ),
    route!(Get "/service-discovery/services/healthy", SERVICE_DISCOVERY, "Lists the healthy services", &[],
        Body::None, Answered::Versioned("ServiceList"), READ),
    route!(Get "/service-discovery/services/by-tag/{tag}", SERVICE_DISCOVERY,
        "Lists the services that have an instance with a tag", &[],
        Body::None, Answered::Versioned("ServiceList"), READ),
    route!(Get "/v1/namespaces", OWN, "Lists the namespaces", &["limit", "after"],
        Body::None, Answered::Versioned("NamespacePage"), &[400, 401, 403, 422]),
    route!(Get "/v1/namespaces/{namespace}", OWN, "Shows a namespace", &[],
        Body::None, Answered::Versioned("Namespace"), FIND_ONE),
    route!(Put "/v1/namespaces/{namespace}", OWN, "Creates a namespace, or changes what is sent of it", &[],
        Body::Optional("NamespaceSettings"), Answered::Written("Namespace"), WRITE),
    route!(Patch "/v1/namespaces/{namespace}", OWN, "Changes what is sent of a namespace; null takes it away", &[],
        Body::Patch("NamespacePatch"), Answered::Changed("Namespace"), PATCH),
    route!(Delete "/v1/namespaces/{namespace}", OWN, "Removes a namespace without services", &[],
        Body::None, Answered::Nothing, CHANGE),
    route!(Get "/v1/namespaces/{namespace}/services", OWN, "Lists the services of a namespace", &["limit", "after"],
        Body::None, Answered::Versioned("ServicePage"), FIND_ONE),
    route!(Get "/v1/namespaces/{namespace}/services/{service}", OWN, "Shows a service", WAIT,
        Body::None, Answered::Versioned("Service"), FIND_ONE),
    route!(Put "/v1/namespaces/{namespace}/services/{service}", OWN,
        "Creates a service, or changes what is sent of it", &[],
        Body::Optional("ServiceSettings"), Answered::Written("Service"), WRITE),
    route!(Patch "/v1/namespaces/{namespace}/services/{service}", OWN,
        "Changes what is sent of a service; null takes it away", &[],
        Body::Patch("ServicePatch"), Answered::Changed("Service"), PATCH),
    route!(Delete "/v1/namespaces/{namespace}/services/{service}", OWN, "Removes a service without instances", &[],
        Body::None, Answered::Nothing, CHANGE),
    route!(Get "/v1/namespaces/{namespace}/services/{service}/instances", OWN, "Lists the instances of a service",
        WITHIN, Body::None, Answered::Versioned("InstancePage"), FIND_ONE),
    route!(Get "/v1/namespaces/{namespace}/services/{service}/instances/{id}", OWN, "Shows an instance",
        &["owner", "revision", "wait"],
        Body::None, Answered::Versioned("Instance"), &[400, 401, 403, 404, 409, 422]),
    route!(Put "/v1/namespaces/{namespace}/services/{service}/instances/{id}", OWN,
        "Registers an instance, or updates it", &["owner"],
        Body::Needed("Registration"), Answered::Written("Instance"), WRITE),
    route!(Patch "/v1/namespaces/{namespace}/services/{service}/instances/{id}", OWN,
        "Changes what is sent of a registration; null takes it away. It is no sign of life", &["owner"],
        Body::Patch("RegistrationPatch"), Answered::Changed("Instance"), PATCH),
    route!(Delete "/v1/namespaces/{namespace}/services/{service}/instances/{id}", OWN, "Removes an instance",
        &["owner", "block_seconds", "reason", "author"], Body::None, Answered::Nothing, CHANGE),
    route!(Post "/v1/namespaces/{namespace}/services/{service}/instances/{id}/heartbeat", OWN,
        "Says that an instance lives", &["owner"],
        Body::Optional("HeartbeatBody"), Answered::Document("HeartbeatAnswer"), CHANGE),
    route!(Put "/v1/namespaces/{namespace}/services/{service}/instances/{id}/checks/{check}", OWN,
        "Reports what a check of the kind reported says", &["owner"],
        Body::Needed("ReportBody"), Answered::Document("ReportAnswer"), CHANGE),
    route!(Get "/v1/namespaces/{namespace}/services/{service}/instances/{id}/history", OWN,
        "Lists the changes of an instance's health, also of one that is gone", &["owner", "before", "limit"],
        Body::None, Answered::Document("HistoryPage"), &[400, 401, 403, 404, 409, 422, 503]),
    route!(Get "/v1/namespaces/{namespace}/services/{service}/instances/{id}/mode", OWN,
        "Shows what operators said of an instance, also of one that is gone", &["owner"],
        Body::None, Answered::Versioned("ModeReport"), &[400, 401, 403, 404, 409, 422]),
    route!(Put "/v1/namespaces/{namespace}/services/{service}/instances/{id}/mode", OWN,
        "Takes an instance out of rotation or back in, or overrides its weight or health", &["owner"],
        Body::Needed("ModeSettings"), Answered::Document("Instance"), CHANGE),
    route!(Delete "/v1/namespaces/{namespace}/services/{service}/instances/{id}/mode", OWN,
        "Takes back all that was said of an instance, a block too", &["owner"], Body::None, Answered::Nothing, CHANGE),
    route!(Get "/v1/instances", OWN, "Lists the instances of all services", ACROSS,
        Body::None, Answered::Versioned("InstanceList"), &[400, 401, 403, 422]),
    route!(Post "/v1/batch/register", OWN, "Registers several instances, or updates them", &[],
        Body::Needed("RegisterBatch"), Answered::Document("BatchAnswer"), WRITE),
    route!(Post "/v1/batch/heartbeat", OWN, "Says that several instances live", &[],
        Body::Needed("HeartbeatBatch"), Answered::Document("BatchAnswer"), BEATS),
    route!(Post "/v1/batch/deregister", OWN, "Removes several instances", &[],
        Body::Needed("DeregisterBatch"), Answered::Document("BatchAnswer"), CHANGE),
    route!(Get "/v1/discover/{service}", FIND, "Shows who may be sent traffic", 
        &["namespace", "revision", "wait"],
        Body::None, Answered::Versioned("Rotation"), FIND_ONE),
    route!(Get "/sd/prometheus", FIND, "Lists targets for Prometheus' HTTP service discovery, with everything in __meta_waypost_*",
        &["namespace", "service", "tag", "port"],
        Body::None, Answered::VersionedList("TargetGroup"), &[400, 401, 403, 413, 422]),
    route!(Get "/v1/watch", FIND, "Streams every change of services, as server-sent events",
        &["service", "namespace", "revision"],
        Body::None, Answered::Other("text/event-stream"), &[400, 401, 403, 413, 422]),
    route!(Get "/v1/explain/{service}/{id}", FIND, "Explains why an instance is in rotation or out",
        &["namespace", "owner"], Body::None, Answered::Document("Explanation"), &[400, 401, 403, 404, 409, 422]),
    route!(Get "/health", SERVER, "Tells how this server is; needs no credential", &[],
        Body::None, Answered::Document("ServerHealth"), &[]),
    route!(Get "/v1/dns", SERVER, "Tells where DNS is answered", &[],
        Body::None, Answered::Document("DnsServer"), READ),
    route!(Get "/v1/tokens", SERVER, "Lists the credentials that were issued", &[],
        Body::None, Answered::Document("TokenList"), READ),
    route!(Post "/v1/tokens", SERVER, "Issues a token, or a key pair of AWS's kind", &[],
        Body::Needed("TokenSettings"), Answered::Written("Token"), WRITE),
    route!(Delete "/v1/tokens/{id}", SERVER, "Revokes a credential", &[],
        Body::None, Answered::Nothing, CHANGE),
    route!(Post "/v1/tokens/{id}/rotate", SERVER, "Issues a credential in the place of another one, which ends", &[],
        Body::Optional("RotationBody"), Answered::Written("Token"), CHANGE),
    route!(Get "/v1/audit", SERVER, "Lists accepted changes, refused requests and changes of health",
        &FILTERS, Body::None, Answered::Document("AuditPage"), AUDITED),
    route!(Get "/v1/snapshot", SERVER, "Streams everything there is, to restore a registry from; needs the verb admin everywhere",
        &[], Body::None, Answered::Other("application/octet-stream"), &[400, 401, 403, 429]),
    route!(Get "/openapi.json", SERVER, "Returns this document", &[],
        Body::None, Answered::Other("application/json"), READ),
    route!(Get "/docs", SERVER, "Shows this document as a page", &[],
        Body::None, Answered::Other("text/html; charset=utf-8"), READ),
];
