//! Services.

use std::sync::Arc;

use waypost_core::{
    Check, CheckId, CheckKind, CheckState, Command, DnsRecord, DnsRecordKind, DnsSettings,
    HttpProbe, HttpsProbe, NamespaceChange, NamespaceKind, NamespaceName, NamespaceSpec,
    NamespaceState, ProbeProtocol, ProbeSpec, RoutingPolicy, Service, ServiceChange, ServiceKey,
    ServiceName, ServiceSpec, ServiceState, TlsProbe, text,
};

use crate::arn::{Kind, id_of};
use crate::fault::{About, Fault};
use crate::namespaces::{check_filters, values_of};
use crate::operation::{OperationType, Targets};
use crate::page::Page;
use crate::state::Call;
use crate::tags;
use crate::value::{Map, Value};

/// The check that `HealthCheckConfig` makes.
const PROBE: &str = "cloudmap";
/// Where services without a namespace are put.
const DEFAULT_NAMESPACE: &str = "default";
/// The check that `HealthCheckCustomConfig` makes.
pub(crate) const CUSTOM: &str = "custom";
/// What AWS's health checks do: every 30 seconds, at 2xx and 3xx.
const INTERVAL_SECONDS: u32 = 30;
const STATUS_MAX: u16 = 399;
const FAILURE_THRESHOLD_MAX: i64 = 10;

/// Says whether clients may set the health.
pub(crate) fn is_custom(service: &Service) -> bool {
    service
        .checks
        .iter()
        .any(|check| check.kind == CheckKind::Reported)
}

fn probe_of(service: &Service) -> Option<(&Check, &ProbeSpec)> {
    service.checks.iter().find_map(|check| match &check.kind {
        CheckKind::Probe(spec) => Some((check, spec)),
        _ => None,
    })
}

/// Says whether anything is known of the health of the service's instances.
pub(crate) fn is_checked(service: &Service) -> bool {
    !service.checks.is_empty()
}

pub(crate) async fn create(call: &Call<'_>) -> Result<Value, Fault> {
    let input = &call.input;
    let nothing = Value::Null;
    let dns = input.get("DnsConfig").unwrap_or(&nothing);
    let namespace = namespace_of(call, dns).await?;
    let given = input.text("Name").unwrap_or_default();
    let key = ServiceKey {
        namespace: namespace.namespace().name.clone(),
        name: ServiceName::new(given).map_err(|error| Fault::of(&error, About::Service))?,
    };
    if let Ok(known) = call.view().service(&key) {
        return repeated_or_there(call, known);
    }
    let kind = namespace.namespace().kind;
    let change = ServiceChange {
        description: input.text("Description").map(text),
        dns: Some(dns_settings(call, dns, kind)?),
        checks: Some(checks(call, kind)?),
        // Route 53 takes everybody for healthy when nobody is.
        fail_open: Some(
            input.get("HealthCheckConfig").is_some()
                || input.get("HealthCheckCustomConfig").is_some(),
        ),
        tags: Some(tags::given(input)?),
        ..ServiceChange::default()
    };
    check_alias(call, &change)?;
    let spec = ServiceSpec {
        key: key.clone(),
        change,
        request_id: input.text("CreatorRequestId").map(text),
    };
    let made = call
        .apply(Command::CreateService(spec), About::Service)
        .await;
    let view = call.view();
    let state = view.service(&key);
    match (made, state) {
        (Ok(_), Ok(state)) => Ok(Map::new().with("Service", shown(call, state)).done()),
        // Two calls of one request at once: whoever comes second finds the service of the first.
        (Err(fault), Ok(state)) if fault.code == "ServiceAlreadyExists" => {
            repeated_or_there(call, state)
        }
        (Err(fault), _) => Err(fault),
        (Ok(_), Err(error)) => Err(Fault::of(&error, About::Service)),
    }
}

/// Finds where the service goes: `NamespaceId`, or, as old templates have it, the one in `DnsConfig`.
async fn namespace_of(call: &Call<'_>, dns: &Value) -> Result<Arc<NamespaceState>, Fault> {
    let given = call.input.text("NamespaceId").or(dns.text("NamespaceId"));
    match given {
        Some(given) => match call.namespace(given) {
            Err(fault) if fault.code == "NamespaceNotFound" && !call.is_strict() => {
                implied(call, id_of(given, Kind::Namespace)?).await
            }
            found => found,
        },
        None if call.is_strict() => Err(Fault::invalid("NamespaceId must be given.")),
        None => implied(call, DEFAULT_NAMESPACE).await,
    }
}

/// Finds or makes the HTTP namespace that a service is put in for which there is none, as emulators let it be. Its name
/// is its id.
async fn implied(call: &Call<'_>, id: &str) -> Result<Arc<NamespaceState>, Fault> {
    let fault = |error| Fault::of(&error, About::Namespace);
    let name = NamespaceName::new(id).map_err(fault)?;
    let spec = NamespaceSpec {
        name: name.clone(),
        kind: NamespaceKind::Http,
        id: Some(text(id)),
        change: NamespaceChange::default(),
        request_id: None,
    };
    let command = Command::CreateNamespace(spec);
    match call.apply(command, About::Namespace).await {
        Err(fault) if fault.code != "NamespaceAlreadyExists" => return Err(fault),
        _ => {}
    }
    let view = call.view();
    view.namespace(&name).map(Arc::clone).map_err(fault)
}

/// Lets clients say how the instances of a service are that was made without `HealthCheckCustomConfig`.
pub(crate) async fn add_custom_check(call: &Call<'_>, state: &ServiceState) -> Result<(), Fault> {
    let mut checks = state.service().checks.to_vec();
    checks.push(custom_check(CheckState::Passing)?);
    let command = Command::UpdateService {
        key: state.service().key.clone(),
        change: ServiceChange {
            fail_open: Some(true),
            checks: Some(checks.into()),
            ..ServiceChange::default()
        },
        expected: Some(state.revision()),
    };
    match call.apply(command, About::Service).await {
        // Somebody has changed it: perhaps in the same way, as whoever looks next will see.
        Err(fault) if fault.code != "DuplicateRequest" => Err(fault),
        _ => Ok(()),
    }
}

fn repeated_or_there(call: &Call<'_>, known: &Arc<ServiceState>) -> Result<Value, Fault> {
    let service = known.service();
    let request_id = call.input.text("CreatorRequestId");
    if request_id.is_some() && request_id == service.request_id.as_deref() {
        return Ok(Map::new().with("Service", shown(call, known)).done());
    }
    let fault = Fault::bad(
        "ServiceAlreadyExists",
        format!("Service {} exists already.", service.key),
    )
    .with("ServiceId", service.id.to_string())
    .with("ServiceArn", call.arn(Kind::Service, &service.id));
    Err(match &service.request_id {
        Some(id) => fault.with("CreatorRequestId", id.to_string()),
        None => fault,
    })
}

fn records(dns: &Value) -> Result<Vec<DnsRecord>, Fault> {
    let records = dns.list("DnsRecords").iter().map(|record| {
        let kind = match record.text("Type").unwrap_or_default() {
            "A" => DnsRecordKind::A,
            "AAAA" => DnsRecordKind::Aaaa,
            "SRV" => DnsRecordKind::Srv,
            _ => DnsRecordKind::Cname,
        };
        let ttl_seconds = record.integer("TTL").unwrap_or_default();
        Ok(DnsRecord {
            kind,
            ttl_seconds: u32::try_from(ttl_seconds)
                .map_err(|_| Fault::invalid("TTL must be 0 to 2147483647."))?,
        })
    });
    records.collect()
}

/// Settings of a service that is not looked up by DNS.
fn no_records() -> DnsSettings {
    DnsSettings {
        routing: RoutingPolicy::Multivalue,
        records: Arc::from([]),
    }
}

fn dns_settings(
    call: &Call<'_>,
    dns: &Value,
    kind: NamespaceKind,
) -> Result<Option<DnsSettings>, Fault> {
    let is_api_only = call.input.text("Type") == Some("HTTP");
    if kind == NamespaceKind::Http {
        if !dns.is_null() && call.is_strict() {
            return Err(Fault::invalid(
                "DnsConfig cannot be given for a service in an HTTP namespace.",
            ));
        }
        return Ok(None);
    }
    if is_api_only && !dns.is_null() {
        return Err(Fault::invalid(
            "DnsConfig cannot be given for a service of type HTTP.",
        ));
    }
    if dns.is_null() {
        return Ok(Some(no_records()));
    }
    let records = records(dns)?;
    let routing = match dns.text("RoutingPolicy") {
        Some("WEIGHTED") => RoutingPolicy::Weighted,
        _ => RoutingPolicy::Multivalue,
    };
    let settings = DnsSettings {
        routing,
        records: records.into(),
    };
    if settings.records.is_empty() {
        return Err(Fault::invalid("DnsRecords must have at least one record."));
    }
    settings
        .validate()
        .map_err(|error| Fault::of(&error, About::Service))?;
    let has = |kind| settings.records.iter().any(|record| record.kind == kind);
    let addresses = has(DnsRecordKind::A) || has(DnsRecordKind::Aaaa);
    if has(DnsRecordKind::Srv) && addresses {
        return Err(Fault::invalid(
            "DnsRecords can be A, AAAA, A and AAAA, SRV, or CNAME; SRV cannot stand with others.",
        ));
    }
    Ok(Some(settings))
}

/// A name with an alias can have no health check of its own.
fn check_alias(call: &Call<'_>, change: &ServiceChange) -> Result<(), Fault> {
    let settings = change.dns.iter().flatten();
    let mut records = settings.flat_map(|dns| dns.records.iter());
    let has_alias = records.any(|record| record.kind == DnsRecordKind::Cname);
    if has_alias && call.input.get("HealthCheckConfig").is_some() {
        return Err(Fault::invalid(
            "HealthCheckConfig cannot be given with a CNAME record.",
        ));
    }
    Ok(())
}

fn checks(call: &Call<'_>, kind: NamespaceKind) -> Result<Arc<[Check]>, Fault> {
    let probe = call.input.get("HealthCheckConfig");
    let custom = call.input.get("HealthCheckCustomConfig");
    if probe.is_some() && custom.is_some() && call.is_strict() {
        return Err(Fault::invalid(
            "HealthCheckConfig and HealthCheckCustomConfig cannot both be given.",
        ));
    }
    if probe.is_some() && kind == NamespaceKind::PrivateDns && call.is_strict() {
        return Err(Fault::invalid(
            "HealthCheckConfig cannot be given in a private DNS namespace; use HealthCheckCustomConfig.",
        ));
    }
    let mut list = Vec::new();
    if let Some(config) = probe {
        list.push(probe_check(call, config)?);
    }
    if custom.is_some() {
        list.push(custom_check(CheckState::Passing)?);
    }
    Ok(list.into())
}

/// Makes the check that clients report on; what it says at first is said at registration.
pub(crate) fn custom_check(initial: CheckState) -> Result<Check, Fault> {
    Ok(Check {
        unhealthy_after: 1,
        healthy_after: 1,
        initial,
        ..Check::new(check_id(CUSTOM)?, CheckKind::Reported)
    })
}

fn check_id(id: &str) -> Result<CheckId, Fault> {
    CheckId::new(id).map_err(|error| Fault::of(&error, About::Service))
}

fn probe_check(call: &Call<'_>, config: &Value) -> Result<Check, Fault> {
    let path = config.text("ResourcePath");
    let protocol = match config.text("Type") {
        Some("TCP") => {
            if path.is_some() && call.is_strict() {
                return Err(Fault::invalid(
                    "ResourcePath cannot be given for a TCP health check.",
                ));
            }
            ProbeProtocol::Tcp
        }
        // Route 53 takes any certificate; so does this.
        Some("HTTPS") => ProbeProtocol::Https(HttpsProbe {
            request: request(path)?,
            tls: TlsProbe {
                insecure: true,
                ..TlsProbe::default()
            },
        }),
        _ => ProbeProtocol::Http(request(path)?),
    };
    let threshold = config.integer("FailureThreshold").unwrap_or(1);
    let threshold = threshold.clamp(1, FAILURE_THRESHOLD_MAX);
    let threshold = u16::try_from(threshold).unwrap_or(1);
    let spec = ProbeSpec {
        interval_seconds: INTERVAL_SECONDS,
        unhealthy_interval_seconds: INTERVAL_SECONDS,
        ..ProbeSpec::new(protocol)
    };
    Ok(Check {
        unhealthy_after: threshold,
        healthy_after: threshold,
        ..Check::new(check_id(PROBE)?, CheckKind::Probe(spec))
    })
}

fn request(path: Option<&str>) -> Result<HttpProbe, Fault> {
    Ok(HttpProbe {
        path: path_of(path.unwrap_or("/"))?,
        status_max: STATUS_MAX,
        ..HttpProbe::default()
    })
}

/// AWS asks for no slash, and Terraform's own example has none: it gets one.
fn path_of(path: &str) -> Result<waypost_core::Text, Fault> {
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::invalid("ResourcePath must have no spaces."));
    }
    if path.starts_with('/') {
        return Ok(text(path));
    }
    Ok(text(&format!("/{path}")))
}

/// Shows a service as GetService does.
pub(crate) fn shown(call: &Call<'_>, state: &ServiceState) -> Value {
    let view = call.view();
    let namespace = view.namespace(&state.service().key.namespace).ok();
    let id = namespace.map(|state| state.namespace().id.to_string());
    summary(call, state)
        .with_some("NamespaceId", id)
        .with_some("CreatorRequestId", state.service().request_id.as_deref())
        .done()
}

fn summary(call: &Call<'_>, state: &ServiceState) -> Map {
    let service = state.service();
    let view = call.view();
    let namespace = view.namespace(&service.key.namespace).ok();
    let namespace = namespace.map(|state| state.namespace());
    let dns = namespace.and_then(|namespace| {
        let shown = shown_dns(service, namespace.kind)?;
        Some(shown.with("NamespaceId", &*namespace.id))
    });
    let kind = if dns.is_some() { "DNS_HTTP" } else { "HTTP" };
    let probe = probe_of(service).map(|(check, spec)| {
        let kind = match &spec.protocol {
            ProbeProtocol::Http(_) => "HTTP",
            ProbeProtocol::Https(_) => "HTTPS",
            // AWS knows no gRPC; to it that is a port that is asked.
            ProbeProtocol::Grpc(_) | ProbeProtocol::Tcp => "TCP",
        };
        let path = spec.protocol.request().map(|request| &*request.path);
        Map::new()
            .with("Type", kind)
            .with_some("ResourcePath", path)
            .with("FailureThreshold", u32::from(check.unhealthy_after))
    });
    let custom = is_custom(service).then(|| Map::new().with("FailureThreshold", 1_u32));
    Map::new()
        .with("Id", &*service.id)
        .with("Arn", call.arn(Kind::Service, &service.id))
        .with("ResourceOwner", call.account.as_str())
        .with("CreatedByAccount", call.account.as_str())
        .with("Name", service.key.name.as_str())
        .with("Type", kind)
        .with_text("Description", &service.description)
        .with("InstanceCount", state.instances().len())
        .with_some("DnsConfig", dns)
        .with_some("HealthCheckConfig", probe)
        .with_some("HealthCheckCustomConfig", custom)
        .with("CreateDate", Value::Time(service.created))
}

fn shown_dns(service: &Service, kind: NamespaceKind) -> Option<Map> {
    if kind == NamespaceKind::Http {
        return None;
    }
    let (routing, records) = match &service.dns {
        Some(dns) => (dns.routing, dns.records.to_vec()),
        // Services that others made have the defaults of their namespace.
        None => {
            let record = |kind| DnsRecord {
                kind,
                ttl_seconds: waypost_core::DNS_TTL_SECONDS,
            };
            let kinds = [DnsRecordKind::A, DnsRecordKind::Aaaa, DnsRecordKind::Srv];
            (RoutingPolicy::Multivalue, kinds.map(record).to_vec())
        }
    };
    if records.is_empty() {
        return None;
    }
    let records: Vec<Value> = records
        .into_iter()
        .map(|record| {
            Map::new()
                .with("Type", record.kind.as_str())
                .with("TTL", record.ttl_seconds)
                .done()
        })
        .collect();
    let routing = match routing {
        RoutingPolicy::Multivalue => "MULTIVALUE",
        RoutingPolicy::Weighted => "WEIGHTED",
    };
    Some(
        Map::new()
            .with("RoutingPolicy", routing)
            .with("DnsRecords", records),
    )
}

pub(crate) fn get(call: &Call<'_>) -> Result<Value, Fault> {
    let state = call.service(call.input.text("Id").unwrap_or_default())?;
    Ok(Map::new().with("Service", shown(call, &state)).done())
}

pub(crate) fn list(call: &Call<'_>) -> Result<Value, Fault> {
    let page = Page::read(call.operation, &call.input)?;
    let filters = call.input.list("Filters");
    check_filters(filters, |_, condition| condition == "EQ")?;
    let view = call.view();
    let mut rows: Vec<(String, &Arc<ServiceState>)> = view
        .services()
        .filter(|state| {
            filters.iter().all(|filter| match filter.text("Name") {
                Some("RESOURCE_OWNER") => values_of(filter).any(|owner| owner == "SELF"),
                _ => values_of(filter).any(|id| {
                    let id = id_of(id, Kind::Namespace).unwrap_or(id);
                    view.namespace_by_id(id).is_some_and(|namespace| {
                        namespace.namespace().name == state.service().key.namespace
                    })
                }),
            })
        })
        .map(|state| (state.service().id.to_string(), state))
        .collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    let rows = rows
        .into_iter()
        .map(|(id, state)| (id, summary(call, state).done()));
    Ok(page.fill("Services", rows).done())
}

/// Changes a service; what is left out of DNS records and of the health check is removed, as AWS does.
pub(crate) async fn update(call: &Call<'_>) -> Result<Value, Fault> {
    let state = call.service(call.input.text("Id").unwrap_or_default())?;
    let service = state.service();
    let namespace = call
        .view()
        .namespace(&service.key.namespace)
        .map(|state| Arc::clone(state.namespace()))
        .map_err(|error| Fault::of(&error, About::Service))?;
    if namespace.kind == NamespaceKind::Http && call.is_strict() {
        return Err(Fault::invalid(
            "A service in an HTTP namespace cannot be updated.",
        ));
    }
    let nothing = Value::Null;
    let wanted = call.input.get("Service").unwrap_or(&nothing);
    let dns = updated_dns(service, wanted)?;
    let mut checks: Vec<Check> = Vec::new();
    if let Some(config) = wanted.get("HealthCheckConfig") {
        if is_custom(service) && call.is_strict() {
            return Err(Fault::invalid(
                "HealthCheckConfig cannot be added to a service with HealthCheckCustomConfig.",
            ));
        }
        if namespace.kind == NamespaceKind::PrivateDns && call.is_strict() {
            return Err(Fault::invalid(
                "HealthCheckConfig cannot be given in a private DNS namespace.",
            ));
        }
        checks.push(probe_check(call, config)?);
    }
    let kept = service.checks.iter().filter(|check| !check.is_probe());
    checks.extend(kept.cloned());
    let change = ServiceChange {
        description: wanted.text("Description").map(text),
        dns: Some(dns),
        fail_open: Some(!checks.is_empty()),
        checks: Some(checks.into()),
        ..ServiceChange::default()
    };
    let command = Command::UpdateService {
        key: service.key.clone(),
        change,
        expected: Some(state.revision()),
    };
    let targets = Targets {
        service: Some(service.id.to_string()),
        ..Targets::default()
    };
    let subject = (&*service.id, Some(&*namespace.id));
    call.operate(
        OperationType::UpdateService,
        subject,
        targets,
        command,
        About::Service,
    )
    .await
}

/// Record types stay, times to live may change, and what is left out goes.
fn updated_dns(service: &Service, wanted: &Value) -> Result<Option<DnsSettings>, Fault> {
    let Some(config) = wanted.get("DnsConfig") else {
        return Ok(Some(no_records()));
    };
    let records = records(config)?;
    let known = service.dns.clone().unwrap_or_else(|| DnsSettings {
        routing: RoutingPolicy::Multivalue,
        records: [DnsRecordKind::A, DnsRecordKind::Aaaa, DnsRecordKind::Srv]
            .map(|kind| DnsRecord {
                kind,
                ttl_seconds: 0,
            })
            .into(),
    });
    let is_known = |kind| known.records.iter().any(|record| record.kind == kind);
    if let Some(new) = records.iter().find(|record| !is_known(record.kind)) {
        return Err(Fault::invalid(format!(
            "A record of type {} cannot be added to a service; its record types are set when it is created.",
            new.kind.as_str()
        )));
    }
    let settings = DnsSettings {
        routing: known.routing,
        records: records.into(),
    };
    settings
        .validate()
        .map_err(|error| Fault::of(&error, About::Service))?;
    Ok(Some(settings))
}

pub(crate) async fn delete(call: &Call<'_>) -> Result<Value, Fault> {
    let state = call.service(call.input.text("Id").unwrap_or_default())?;
    let command = Command::DeleteService(state.service().key.clone());
    call.apply(command, About::Service).await?;
    Ok(Map::new().done())
}

pub(crate) fn attributes(call: &Call<'_>) -> Result<Value, Fault> {
    let state = call.service(call.input.text("ServiceId").unwrap_or_default())?;
    let service = state.service();
    let mut pairs = Map::new();
    for (key, value) in service.attributes.iter() {
        pairs = pairs.with(key, value);
    }
    let shown = Map::new()
        .with("ServiceArn", call.arn(Kind::Service, &service.id))
        .with("ResourceOwner", call.account.as_str())
        .with("Attributes", pairs);
    Ok(Map::new().with("ServiceAttributes", shown).done())
}

/// Most attributes of a service.
const ATTRIBUTES_MAX: usize = 30;

pub(crate) async fn update_attributes(call: &Call<'_>) -> Result<Value, Fault> {
    let state = call.service(call.input.text("ServiceId").unwrap_or_default())?;
    let given: Vec<(&str, &str)> = call.input.texts("Attributes").collect();
    let known = state.service().attributes.iter();
    let kept = known.filter(|(key, _)| !given.iter().any(|(new, _)| new == key));
    let pairs: Vec<(&str, &str)> = kept.chain(given.iter().copied()).collect();
    if pairs.len() > ATTRIBUTES_MAX {
        return Err(Fault::bad(
            "ServiceAttributesLimitExceededException",
            format!(
                "A service has at most {ATTRIBUTES_MAX} attributes, not {}.",
                pairs.len()
            ),
        ));
    }
    put_attributes(call, &state, &pairs).await
}

pub(crate) async fn delete_attributes(call: &Call<'_>) -> Result<Value, Fault> {
    let state = call.service(call.input.text("ServiceId").unwrap_or_default())?;
    let goes = |key: &str| {
        let keys = call.input.list("Attributes").iter();
        keys.into_iter().any(|gone| *gone == Value::from(key))
    };
    let known = state.service().attributes.iter();
    let kept: Vec<(&str, &str)> = known.filter(|(key, _)| !goes(key)).collect();
    put_attributes(call, &state, &kept).await
}

async fn put_attributes(
    call: &Call<'_>,
    state: &ServiceState,
    pairs: &[(&str, &str)],
) -> Result<Value, Fault> {
    let attributes = waypost_core::Attributes::new(pairs.iter().copied())
        .map_err(|error| Fault::of(&error, About::Service))?;
    let command = Command::UpdateService {
        key: state.service().key.clone(),
        change: ServiceChange {
            attributes: Some(attributes),
            ..ServiceChange::default()
        },
        expected: Some(state.revision()),
    };
    call.apply(command, About::Service).await?;
    Ok(Map::new().done())
}
