//! The OpenAPI 3.1 document, made of the wire types and of one line for each route.

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder, ResponsesBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApiBuilder, Ref, RefOr, Required, Schema};

use crate::error::Problem;
use crate::wire::{discovery, own, service_discovery};

mod audit;
mod refine;
mod routes;

/// The name of the security scheme.
const BEARER: &str = "bearer";

/// One route as the document shows it.
struct Route {
    method: HttpMethod,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    body: Body,
    answer: Answered,
    /// Statuses of problems that come by this route's own doing.
    problems: &'static [u16],
}

/// The body of a request.
enum Body {
    None,
    Needed(&'static str),
    Optional(&'static str),
    /// A JSON merge patch (RFC 7396).
    Patch(&'static str),
}

/// The answers that are no problems.
enum Answered {
    /// 200 with a document.
    Document(&'static str),
    /// 200, or 304 when the client has it.
    Versioned(&'static str),
    /// The same for a list.
    VersionedList(&'static str),
    /// 200 with a document and its ETag.
    Changed(&'static str),
    /// 201 when it is new, else 200.
    Written(&'static str),
    /// 204.
    Nothing,
    /// 200 with something of another media type.
    Other(&'static str),
}

/// Makes the document.
pub(crate) fn document(version: &str) -> Value {
    let mut paths = Paths::new();
    for route in routes::ROUTES {
        paths.add_path_operation(route.path, vec![method(&route.method)], operation(route));
    }
    let info = InfoBuilder::new()
        .title("Waypost")
        .version(version)
        .description(Some(
            "Register instances, find those that may be sent traffic, and ask why. Errors are problem documents \
             (RFC 9457) that also carry success and message.",
        ))
        .build();
    let anonymous = SecurityRequirement::default();
    let bearer = SecurityRequirement::new(BEARER, Vec::<String>::new());
    let document = OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components()))
        .security(Some([anonymous, bearer]))
        .build();
    // A document of strings and numbers always serializes.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    refine::refine(&mut document);
    document
}

fn method(method: &HttpMethod) -> HttpMethod {
    match method {
        HttpMethod::Post => HttpMethod::Post,
        HttpMethod::Put => HttpMethod::Put,
        HttpMethod::Patch => HttpMethod::Patch,
        HttpMethod::Delete => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(route: &Route) -> Operation {
    let names = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let leaves_discover = matches!(route.method, HttpMethod::Delete)
        && route.path == "/service-discovery/discover/{service_name}";
    // The router knows one name for each place in a pattern; what stands there is an id all the same.
    let in_path = names
        .map(|name| {
            let kind = if leaves_discover { "instance_id" } else { name };
            let mut shown = parameter(kind, ParameterIn::Path, route.path);
            name.clone_into(&mut shown.name);
            shown
        })
        .collect::<Vec<_>>();
    let in_query = route
        .query
        .iter()
        .map(|name| parameter(name, ParameterIn::Query, route.path));
    let in_headers = conditions(route);
    let mut responses = answers(&route.answer);
    for status in route.problems {
        responses = responses.response(status.to_string(), problem(reason(*status)));
    }
    let responses = responses.response("default", problem("Any other problem"));
    OperationBuilder::new()
        .tag(route.tag)
        .summary(Some(route.summary))
        .operation_id(Some(operation_id(route)))
        .parameters(Some(in_path.into_iter().chain(in_query).chain(in_headers)))
        .request_body(request_body(&route.body))
        .responses(responses.build())
        .build()
}

/// Lists the headers by which a change can depend on what is there.
fn conditions(route: &Route) -> Vec<Parameter> {
    let header = |name: &str, pattern: &str, about: &str| {
        let text = ObjectBuilder::new().schema_type(Type::String);
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(text.min_length(Some(1)).pattern(Some(pattern))))
            .build()
    };
    let is_thing = ["/{namespace}", "/services/{service}", "/instances/{id}"]
        .iter()
        .any(|end| route.path.ends_with(end) && route.path.starts_with("/v1/namespaces/"));
    let matching = header(
        "If-Match",
        "^(\\*|(W/)?\"[0-9a-f]{16}\\.[0-9]{1,18}\")$",
        "Only if it was not written after this ETag; what lies in it or beside it does not count",
    );
    let absent = header("If-None-Match", "^\\*$", "Only if it is not there");
    match route.method {
        HttpMethod::Put if is_thing => vec![matching, absent],
        HttpMethod::Patch | HttpMethod::Delete if is_thing => vec![matching],
        _ => Vec::new(),
    }
}

/// Makes an id of method and path: `get_v1_discover_by_service`.
fn operation_id(route: &Route) -> String {
    let method = match route.method {
        HttpMethod::Post => "post",
        HttpMethod::Put => "put",
        HttpMethod::Patch => "patch",
        HttpMethod::Delete => "delete",
        _ => "get",
    };
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let path: String = route
        .path
        .replace("/{", "_by_")
        .replace('}', "")
        .chars()
        .map(word)
        .collect();
    format!(
        "{method}{}{path}",
        if path.starts_with('_') { "" } else { "_" }
    )
}

fn parameter(name: &'static str, place: ParameterIn, path: &str) -> Parameter {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let name_of = |most: usize| text().min_length(Some(1)).max_length(Some(most));
    // A percent sign is legal too, and is not promised: hardly any client escapes it in a path.
    let visible = "^[!-$&-~]+$";
    let id = "^[0-9A-Za-z_/:.@-]+$";
    let (schema, about) = match name {
        "namespace" => (name_of(253).pattern(Some(visible)), "Name of the namespace"),
        "service" | "service_name" => (
            name_of(127).pattern(Some(visible)),
            "Name of the service; DNS labels joined by dots in a namespace that is looked up by DNS",
        ),
        "id" if path.starts_with("/v1/tokens") => (
            name_of(64).pattern(Some(id)),
            "Id of the credential, as the list shows it",
        ),
        "id" | "instance_id" => (
            name_of(64).pattern(Some(id)),
            "Id of the instance in its service",
        ),
        "owner" => (
            text().max_length(Some(253)).pattern(Some("^[!-~]*$")),
            "Who keeps the instance registered; empty: itself. Without it: itself, else the only owner there is",
        ),
        "limit" => (
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(1))
                .maximum(Some(1_000)),
            "Most entries of the page",
        ),
        "check" => (name_of(64).pattern(Some(id)), "Name of the check"),
        "after" if path.ends_with("/instances") => (
            text()
                .min_length(Some(1))
                .max_length(Some(2_048))
                .pattern(Some("^[0-9A-Za-z_-]+$")),
            "The `next` of the page before, of the same query",
        ),
        _ if path == "/v1/audit" || path.ends_with("/history") => audit::parameter(name),
        "after" => {
            let listed = match path.rsplit('/').next() {
                Some("namespaces") => name_of(253).pattern(Some(visible)),
                _ => name_of(127).pattern(Some(visible)),
            };
            (listed, "The `next` of the page before")
        }
        "tag" if path == "/sd/prometheus" => {
            (name_of(256), "Only those with this tag; may be given again")
        }
        "tag" => (text().min_length(Some(1)), "Tag of an instance"),
        _ => filter(name),
    };
    let required = if place == ParameterIn::Path {
        Required::True
    } else {
        Required::False
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(about))
        .schema(Some(schema))
        .build()
}

/// What reads are narrowed by, and what they wait for.
fn filter(name: &str) -> (ObjectBuilder, &'static str) {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    match name {
        "block_seconds" => (
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(1))
                .maximum(Some(2_592_000)),
            "Seconds for which nobody may register it again",
        ),
        "reason" => (text().max_length(Some(256)), "Why, with block_seconds"),
        "author" => (
            text().max_length(Some(64)).pattern(Some("^[!-~]*$")),
            "Who, with block_seconds, where nobody has a credential",
        ),
        "revision" => (
            text().pattern(Some("^[0-9a-f]{16}\\.[0-9]{1,18}(\\.[0-9a-f]{16})?$")),
            "The Waypost-Revision of the answer before, or its `revision`",
        ),
        "wait" => (
            text().pattern(Some("^([1-9]|[1-4][0-9]|50)s?$")),
            "Seconds to wait for an answer that differs from the one at `revision`",
        ),
        "health" => (
            text().pattern(Some(
                "^(Healthy|Warning|Unknown|Unhealthy)(,(Healthy|Warning|Unknown|Unhealthy)){0,3}$",
            )),
            "Only those in one of these healths, by comma",
        ),
        "mode" => (
            text().pattern(Some(
                "^(Active|Draining|Maintenance)(,(Active|Draining|Maintenance)){0,2}$",
            )),
            "Only those in one of these modes, by comma",
        ),
        "version" => (
            text().max_length(Some(1_024)),
            "Only those whose attribute version is this; attribute.KEY=VALUE asks for any attribute",
        ),
        "port" => (
            text().min_length(Some(1)).max_length(Some(256)),
            "Name of the port that is the target; without it metrics, else the first",
        ),
        _ => (text().max_length(Some(64)), "Only those in this zone"),
    }
}

fn request_body(body: &Body) -> Option<RequestBody> {
    let (name, required) = match body {
        Body::None => return None,
        Body::Needed(name) | Body::Patch(name) => (name, Required::True),
        Body::Optional(name) => (name, Required::False),
    };
    let mut read = RequestBodyBuilder::new().required(Some(required));
    if matches!(body, Body::Patch(_)) {
        read = read.content("application/merge-patch+json", of(name));
    }
    Some(read.content("application/json", of(name)).build())
}

fn of(name: &str) -> utoipa::openapi::Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(name)))
        .build()
}

fn list_of(name: &str) -> utoipa::openapi::Content {
    let list = ArrayBuilder::new().items(Ref::from_schema_name(name));
    ContentBuilder::new()
        .schema(Some(Schema::Array(list.build())))
        .build()
}

fn answers(answer: &Answered) -> ResponsesBuilder {
    let responses = ResponsesBuilder::new();
    let found = |content| {
        ResponseBuilder::new()
            .description("Found")
            .content("application/json", content)
            .build()
    };
    let known = || Response::new("Nothing but vitals differs from what the client has");
    match answer {
        Answered::Document(name) | Answered::Changed(name) => {
            let done = ResponseBuilder::new()
                .description("Done")
                .content("application/json", of(name));
            responses.response("200", done.build())
        }
        Answered::Versioned(name) => responses
            .response("200", found(of(name)))
            .response("304", known()),
        Answered::VersionedList(name) => responses
            .response("200", found(list_of(name)))
            .response("304", known()),
        Answered::Written(name) => {
            let is = |about: &str| {
                ResponseBuilder::new()
                    .description(about)
                    .content("application/json", of(name))
                    .build()
            };
            responses
                .response("200", is("It was there, and is now as sent"))
                .response("201", is("It is new"))
        }
        Answered::Nothing => responses.response("204", Response::new("It is gone")),
        Answered::Other(media_type) => {
            let any = ContentBuilder::new().schema(None::<RefOr<Schema>>).build();
            let found = ResponseBuilder::new()
                .description("Found")
                .content(*media_type, any);
            responses.response("200", found.build())
        }
    }
}

fn problem(about: &'static str) -> Response {
    ResponseBuilder::new()
        .description(about)
        .content("application/problem+json", of("Problem"))
        .build()
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "The body is no JSON this server reads, or the request is malformed",
        401 => "A credential is needed",
        403 => "The credential does not allow this, or a web page that may be anybody's asks",
        404 => "It is not registered",
        409 => "It conflicts with what is there",
        413 => "It is too large or too much",
        415 => "The body is of another kind than JSON",
        422 => "A value breaks a rule: see field, value and rule",
        429 => "Too many of these at once",
        503 => "The store takes no writes now",
        _ => "A problem",
    }
}

fn components() -> Components {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token, such as the shared secret"))
        .build();
    let mut builder =
        ComponentsBuilder::new().security_scheme(BEARER, SecurityScheme::Http(scheme));
    let mut schemas: Vec<(String, RefOr<Schema>)> = Vec::new();
    add::<Problem>(&mut schemas);
    add::<discovery::ServiceRegistrationRequest>(&mut schemas);
    add::<discovery::ServiceHeartbeatRequest>(&mut schemas);
    add::<discovery::Success>(&mut schemas);
    add::<discovery::AllServices<'_>>(&mut schemas);
    add::<discovery::ServiceInstances<'_>>(&mut schemas);
    add::<discovery::HealthyInstances<'_>>(&mut schemas);
    add::<discovery::TargetGroup>(&mut schemas);
    add::<service_discovery::Registration>(&mut schemas);
    add::<service_discovery::Registered>(&mut schemas);
    add::<service_discovery::Heartbeat>(&mut schemas);
    add::<service_discovery::Discovered<'_>>(&mut schemas);
    add::<service_discovery::Aggregated<'_>>(&mut schemas);
    add::<service_discovery::ServiceList<'_>>(&mut schemas);
    add::<service_discovery::ServerHealth>(&mut schemas);
    add::<own::NamespacePage>(&mut schemas);
    add::<own::ServicePage>(&mut schemas);
    add::<own::InstancePage>(&mut schemas);
    add::<own::InstanceList>(&mut schemas);
    add::<own::NamespaceSettings>(&mut schemas);
    add::<own::ModeSettings>(&mut schemas);
    add::<own::ModeReport>(&mut schemas);
    add::<own::ReportBody>(&mut schemas);
    add::<own::ReportAnswer>(&mut schemas);
    add::<own::DnsServer>(&mut schemas);
    add::<own::Token>(&mut schemas);
    add::<own::AuditPage>(&mut schemas);
    add::<own::HistoryPage>(&mut schemas);
    add::<own::RotationBody>(&mut schemas);
    add::<own::TokenList>(&mut schemas);
    add::<own::TokenSettings>(&mut schemas);
    add::<own::ServiceSettings>(&mut schemas);
    add::<own::Registration>(&mut schemas);
    add::<own::RegisterBatch>(&mut schemas);
    add::<own::DeregisterBatch>(&mut schemas);
    add::<own::HeartbeatBatch>(&mut schemas);
    add::<own::BatchAnswer>(&mut schemas);
    add::<own::HeartbeatBody>(&mut schemas);
    add::<own::HeartbeatAnswer>(&mut schemas);
    add::<own::Rotation>(&mut schemas);
    add::<own::Explanation>(&mut schemas);
    add::<own::ServiceUpdate>(&mut schemas);
    add::<own::ServiceGone>(&mut schemas);
    add::<own::StreamReset>(&mut schemas);
    for (name, schema) in schemas {
        builder = builder.schema(name, schema);
    }
    builder.build()
}

/// Adds a type and every type that it names.
fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
