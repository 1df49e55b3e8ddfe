//! Instances: registered, shown, and found.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use waypost_core::{
    Addresses, Attributes, CheckState, Command, Dialect, DnsRecordKind, Health, Instance,
    InstanceId, Mode, NamespaceKind, NamespaceName, NamespaceState, Port, RegistrationSpec, Report,
    RoutingPolicy, Service, ServiceChange, ServiceState, text,
};

use crate::delayed;
use crate::fault::{About, Fault};
use crate::operation::{OperationType, Targets};
use crate::page::Page;
use crate::quotas;
use crate::services::{self, CUSTOM, custom_check, is_checked, is_custom};
use crate::settings::DiscoverDefault;
use crate::state::{Call, unique};
use crate::value::{Map, Value};

const IPV4: &str = "AWS_INSTANCE_IPV4";
const IPV6: &str = "AWS_INSTANCE_IPV6";
const PORT: &str = "AWS_INSTANCE_PORT";
const CNAME: &str = "AWS_INSTANCE_CNAME";
const ALIAS: &str = "AWS_ALIAS_DNS_NAME";
const EC2: &str = "AWS_EC2_INSTANCE_ID";
const INIT: &str = "AWS_INIT_HEALTH_STATUS";
/// Attributes that say where an instance is, and are kept as that.
const PLACES: [&str; 4] = [IPV4, IPV6, PORT, CNAME];

/// Instances of an answer of DiscoverInstances, unless the request says otherwise.
const DISCOVERED: usize = 100;

/// Where a service is, with what is asked of its instances.
struct Place {
    state: Arc<ServiceState>,
    namespace: Arc<NamespaceState>,
}

impl Place {
    fn of(call: &Call<'_>) -> Result<Self, Fault> {
        let given = call.input.text("ServiceId").unwrap_or_default();
        let state = call.service(given)?;
        let view = call.view();
        let namespace = view
            .namespace(&state.service().key.namespace)
            .map(Arc::clone)
            .map_err(|error| Fault::of(&error, About::Service))?;
        Ok(Self { state, namespace })
    }

    fn service(&self) -> &Service {
        self.state.service()
    }

    fn targets(&self, instance: &str) -> Targets {
        Targets {
            namespace: None,
            service: Some(self.service().id.to_string()),
            instance: Some(instance.to_owned()),
        }
    }

    fn instance(&self, id: &str) -> Result<&Arc<Instance>, Fault> {
        let found = InstanceId::new(id)
            .ok()
            .and_then(|id| self.state.instances_of(&id).first());
        found.ok_or_else(|| Fault::instance_not_found(id))
    }
}

pub(crate) async fn register(call: &Call<'_>) -> Result<Value, Fault> {
    let counts = call.cloud_map.config.quotas.counts_instances();
    let _turn = quotas::turn(call, counts).await;
    let place = Place::of(call)?;
    let given = call.input.text("InstanceId").unwrap_or_default();
    let id = InstanceId::new(given).map_err(|error| Fault::of(&error, About::Instance))?;
    let subject = format!("{} {given}", place.service().id);
    if let Some(answer) = call.repeated(OperationType::RegisterInstance, &subject)? {
        return Ok(answer);
    }
    let attributes: BTreeMap<&str, &str> = call.input.texts("Attributes").collect();
    if call.is_strict() {
        check_attributes(&place, &attributes)?;
    }
    let spec = spec_of(&place, &attributes)?;
    if place.state.instances_of(&id).is_empty() {
        quotas::check_instances(call, &place.state, &place.namespace)?;
    }
    let command = Command::Register {
        service: place.service().key.clone(),
        id,
        owner: None,
        spec: Arc::new(spec),
        defaults: ServiceChange::default(),
    };
    let within = place.namespace.namespace().id.to_string();
    call.operate(
        OperationType::RegisterInstance,
        (&subject, Some(&within)),
        place.targets(given),
        command,
        About::Instance,
    )
    .await
}

/// Checks what AWS documents of RegisterInstance's attributes.
fn check_attributes(place: &Place, attributes: &BTreeMap<&str, &str>) -> Result<(), Fault> {
    let service = place.service();
    let has = |key: &str| attributes.contains_key(key);
    let refuse = |message: String| Err(Fault::invalid(message));
    let kind = place.namespace.namespace().kind;
    if has(EC2) {
        if kind != NamespaceKind::Http {
            return refuse(format!("{EC2} can be given in HTTP namespaces only."));
        }
        if let Some(other) = PLACES.iter().chain(&[ALIAS]).find(|key| has(key)) {
            return refuse(format!("{other} cannot be given with {EC2}."));
        }
    }
    if has(INIT) && !is_custom(service) {
        return refuse(format!(
            "{INIT} can be given for services with HealthCheckCustomConfig only."
        ));
    }
    let dns = service.dns.as_ref();
    if has(ALIAS) {
        if let Some(other) = PLACES.iter().find(|key| has(key)) {
            return refuse(format!("{other} cannot be given with {ALIAS}."));
        }
        let fits = dns.is_some_and(|dns| {
            let addresses = |kind| matches!(kind, DnsRecordKind::A | DnsRecordKind::Aaaa);
            dns.routing == RoutingPolicy::Weighted
                && dns.records.iter().all(|record| addresses(record.kind))
                && !dns.records.is_empty()
        });
        if !fits {
            return refuse(format!(
                "{ALIAS} needs a service with A or AAAA records and the routing policy WEIGHTED."
            ));
        }
        return Ok(());
    }
    for record in dns.iter().flat_map(|dns| dns.records.iter()) {
        let missing = match record.kind {
            DnsRecordKind::A if !has(IPV4) => IPV4,
            DnsRecordKind::Aaaa if !has(IPV6) => IPV6,
            DnsRecordKind::Cname if !has(CNAME) => CNAME,
            DnsRecordKind::Srv if !has(PORT) => PORT,
            DnsRecordKind::Srv if !has(IPV4) && !has(IPV6) => IPV4,
            _ => continue,
        };
        return refuse(format!(
            "{missing} must be given: the service has {} records.",
            record.kind.as_str()
        ));
    }
    let is_probed = service.checks.iter().any(waypost_core::Check::is_probe);
    if is_probed && !has(PORT) && !has(EC2) {
        return refuse(format!(
            "{PORT} must be given: the service has HealthCheckConfig."
        ));
    }
    Ok(())
}

fn spec_of(place: &Place, attributes: &BTreeMap<&str, &str>) -> Result<RegistrationSpec, Fault> {
    let get = |key: &str| attributes.get(key).copied();
    let wrong = |key: &str, rule: &str| {
        let value = get(key).unwrap_or_default();
        Fault::invalid(format!("{key} {value:?} {rule}."))
    };
    let ipv4 = get(IPV4).map(str::parse::<Ipv4Addr>).transpose();
    let ipv6 = get(IPV6).map(str::parse::<Ipv6Addr>).transpose();
    let mut addresses = Addresses {
        ipv4: ipv4.map_err(|_| wrong(IPV4, "is not an IPv4 address"))?,
        ipv6: ipv6.map_err(|_| wrong(IPV6, "is not an IPv6 address"))?,
        hostname: None,
    };
    for key in [CNAME, ALIAS] {
        if let Some(host) = get(key) {
            let host = host.trim_end_matches('.');
            addresses.hostname = Addresses::parse("address", host)
                .ok()
                .and_then(|parsed| parsed.hostname);
            if addresses.hostname.is_none() {
                return Err(wrong(key, "is not a host name"));
            }
        }
    }
    let port = match get(PORT) {
        None => None,
        Some(port) => Some(
            port.parse::<u16>()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| wrong(PORT, "is not a port, 1 to 65535"))?,
        ),
    };
    let kept = [ALIAS, EC2, INIT]
        .into_iter()
        .filter_map(|key| Some((key, get(key)?)));
    let kept: BTreeMap<&str, &str> = kept.collect();
    let custom = attributes
        .iter()
        .filter(|(key, _)| !PLACES.contains(key) && !kept.contains_key(*key));
    let custom = Attributes::new(custom).map_err(|error| Fault::of(&error, About::Instance))?;
    let extra = (!kept.is_empty())
        .then(|| serde_json::to_string(&kept).ok())
        .flatten();
    let checks = match get(INIT) {
        Some("UNHEALTHY") if is_custom(place.service()) => {
            vec![custom_check(CheckState::Failing)?]
        }
        None | Some("HEALTHY" | "UNHEALTHY") => Vec::new(),
        Some(_) => return Err(wrong(INIT, "must be HEALTHY or UNHEALTHY")),
    };
    let ports: Vec<Port> = port
        .into_iter()
        .map(|number| Port {
            name: text("default"),
            number,
            protocol: text("tcp"),
            path: text(""),
        })
        .collect();
    Ok(RegistrationSpec {
        ports: ports.into(),
        attributes: custom,
        checks: checks.into(),
        dialect_extra: extra.as_deref().map(text),
        ..RegistrationSpec::new(addresses, 1, Dialect::CloudMap)
    })
}

/// Lists an instance's attributes as AWS shows them, whoever registered it.
fn attributes_of(instance: &Instance) -> BTreeMap<String, String> {
    let spec = &instance.registration().spec;
    let mut all: BTreeMap<String, String> = spec
        .attributes
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let kept: BTreeMap<String, String> = spec
        .dialect_extra
        .as_ref()
        .filter(|_| spec.dialect == Dialect::CloudMap)
        .and_then(|extra| serde_json::from_str(extra).ok())
        .unwrap_or_default();
    let mut put = |key: &str, value: Option<String>| {
        all.extend(value.map(|value| (key.to_owned(), value)));
    };
    put(IPV4, spec.addresses.ipv4.map(|ip| ip.to_string()));
    put(IPV6, spec.addresses.ipv6.map(|ip| ip.to_string()));
    put(PORT, spec.port().map(|port| port.number.to_string()));
    if !kept.contains_key(ALIAS) {
        let host = spec.addresses.hostname.as_ref();
        put(CNAME, host.map(ToString::to_string));
    }
    all.extend(kept);
    all
}

fn shown_attributes(attributes: BTreeMap<String, String>) -> Map {
    attributes
        .into_iter()
        .fold(Map::new(), |map, (key, value)| map.with(&key, value))
}

pub(crate) async fn deregister(call: &Call<'_>) -> Result<Value, Fault> {
    let place = Place::of(call)?;
    let given = call.input.text("InstanceId").unwrap_or_default();
    let key = place.instance(given)?.key().clone();
    let command = Command::Deregister {
        service: key.service,
        id: key.id,
        owner: Some(key.owner),
    };
    let subject = format!("{} {given}", place.service().id);
    let within = place.namespace.namespace().id.to_string();
    call.operate(
        OperationType::DeregisterInstance,
        (&subject, Some(&within)),
        place.targets(given),
        command,
        About::Instance,
    )
    .await
}

fn shown(call: &Call<'_>, instance: &Instance) -> Map {
    Map::new()
        .with("Id", instance.key().id.as_str())
        .with("Attributes", shown_attributes(attributes_of(instance)))
        .with("CreatedByAccount", call.account.as_str())
}

pub(crate) fn get(call: &Call<'_>) -> Result<Value, Fault> {
    let place = Place::of(call)?;
    let id = call.input.text("InstanceId").unwrap_or_default();
    let instance = shown(call, place.instance(id)?);
    let answer = Map::new()
        .with("ResourceOwner", call.account.as_str())
        .with("Instance", instance);
    Ok(answer.done())
}

pub(crate) fn list(call: &Call<'_>) -> Result<Value, Fault> {
    let place = Place::of(call)?;
    let page = Page::read(call.operation, &call.input)?;
    let rows = sorted(place.state.instances().iter());
    let rows = rows.map(|(id, instance)| (id, shown(call, instance).done()));
    let answer = page
        .fill("Instances", rows)
        .with("ResourceOwner", call.account.as_str());
    Ok(answer.done())
}

/// Puts instances in the order of their ids, each id once: owners are unknown to AWS.
fn sorted<'a>(
    instances: impl Iterator<Item = &'a Arc<Instance>>,
) -> impl Iterator<Item = (String, &'a Arc<Instance>)> {
    let mut rows: Vec<(String, &Arc<Instance>)> = instances
        .map(|instance| (instance.key().id.as_str().to_owned(), instance))
        .collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows.dedup_by(|later, first| later.0 == first.0);
    rows.into_iter()
}

/// Says how an instance's health reads in AWS's words.
fn status(instance: &Instance) -> &'static str {
    match (instance.mode(), instance.health()) {
        (Mode::Active, Health::Healthy | Health::Warning) => "HEALTHY",
        (Mode::Active, Health::Unknown) => "UNKNOWN",
        _ => "UNHEALTHY",
    }
}

pub(crate) fn health(call: &Call<'_>) -> Result<Value, Fault> {
    let place = Place::of(call)?;
    let asked: Vec<&str> = call
        .input
        .list("Instances")
        .iter()
        .filter_map(|id| match id {
            Value::Text(id) => Some(id.as_str()),
            _ => None,
        })
        .collect();
    for id in &asked {
        place.instance(id)?;
    }
    let page = Page::read(call.operation, &call.input)?;
    let rows = sorted(place.state.instances().iter());
    let rows = rows
        .filter(|(id, _)| asked.is_empty() || asked.contains(&id.as_str()))
        .map(|(id, instance)| {
            let row = Map::new()
                .with("id", id.as_str())
                .with("status", status(instance));
            (id, row.done())
        });
    let filled = page.fill("rows", rows).done();
    let mut statuses = Map::new();
    for row in filled.list("rows") {
        let (id, status) = (row.text("id"), row.text("status"));
        statuses = statuses.with(id.unwrap_or_default(), status.unwrap_or_default());
    }
    let answer = Map::new()
        .with("Status", statuses)
        .with_some("NextToken", filled.text("NextToken"));
    Ok(answer.done())
}

/// Sets what a client says of an instance's health; it counts at once, unless a delay is set.
pub(crate) async fn set_health(call: &Call<'_>) -> Result<Value, Fault> {
    let mut place = Place::of(call)?;
    let id = call.input.text("InstanceId").unwrap_or_default();
    if !is_custom(place.service()) {
        place.instance(id)?;
        if call.is_strict() {
            return Err(Fault::missing(
                "CustomHealthNotFound",
                format!("Service {} has no custom health check.", place.service().id),
            ));
        }
        services::add_custom_check(call, &place.state).await?;
        place = Place::of(call)?;
    }
    let instance = place.instance(id)?;
    let wanted = call.input.text("Status").unwrap_or_default();
    let state = if wanted == "HEALTHY" {
        CheckState::Passing
    } else {
        CheckState::Failing
    };
    let check = place
        .service()
        .checks
        .iter()
        .find(|check| check.kind == waypost_core::CheckKind::Reported)
        .map(|check| check.id.clone());
    let check = match check {
        Some(check) => check,
        None => waypost_core::CheckId::new(CUSTOM)
            .map_err(|error| Fault::of(&error, About::Instance))?,
    };
    let reason = format!("{wanted} by UpdateInstanceCustomHealthStatus");
    let report = Report {
        key: instance.key().clone(),
        registration: None,
        check,
        state,
        reason: text(&reason),
        body: None,
        resolved: None,
    };
    let delay = Duration::from_secs(call.cloud_map.config.custom_health_delay_seconds.into());
    if delay.is_zero() {
        call.apply(Command::Report(report), About::Instance).await?;
    } else {
        let registration = instance.registration().id;
        delayed::put(call, &report, registration, call.now().after(delay)).await?;
    }
    Ok(Map::new().done())
}

/// Finds the service of a discovery by the names of both.
fn discovered(call: &Call<'_>) -> Result<Arc<ServiceState>, Fault> {
    let namespace = call.input.text("NamespaceName").unwrap_or_default();
    let service = call.input.text("ServiceName").unwrap_or_default();
    let view = call.view();
    let known = NamespaceName::new(namespace)
        .ok()
        .and_then(|name| view.namespace(&name).ok());
    if known.is_none() {
        return Err(Fault::namespace_not_found(namespace));
    }
    view.service_named(namespace, service)
        .map(Arc::clone)
        .ok_or_else(|| Fault::service_not_found(service))
}

fn revision(state: &ServiceState) -> Value {
    Value::Integer(i64::try_from(state.membership().0).unwrap_or(i64::MAX))
}

pub(crate) fn discover_revision(call: &Call<'_>) -> Result<Value, Fault> {
    let state = discovered(call)?;
    Ok(Map::new()
        .with("InstancesRevision", revision(&state))
        .done())
}

pub(crate) fn discover(call: &Call<'_>) -> Result<Value, Fault> {
    let state = discovered(call)?;
    let input = &call.input;
    let query: Vec<(&str, &str)> = input.texts("QueryParameters").collect();
    let optional: Vec<(&str, &str)> = input.texts("OptionalParameters").collect();
    let with_attributes = |instance: &Arc<Instance>| {
        let attributes = attributes_of(instance);
        (Arc::clone(instance), attributes)
    };
    let fits = |attributes: &BTreeMap<String, String>, wanted: &[(&str, &str)]| {
        wanted
            .iter()
            .all(|(key, value)| attributes.get(*key).is_some_and(|known| known == value))
    };
    let mut found: Vec<(Arc<Instance>, BTreeMap<String, String>)> = chosen(call, &state)
        .iter()
        .map(with_attributes)
        .filter(|(_, attributes)| fits(attributes, &query))
        .collect();
    if !optional.is_empty() && found.iter().any(|(_, of)| fits(of, &optional)) {
        found.retain(|(_, attributes)| fits(attributes, &optional));
    }
    shuffle(&mut found);
    let most = input.integer("MaxResults");
    let most = most.and_then(|most| usize::try_from(most).ok());
    found.truncate(most.unwrap_or(DISCOVERED));
    let key = &state.service().key;
    let instances: Vec<Value> = found
        .into_iter()
        .map(|(instance, attributes)| {
            Map::new()
                .with("InstanceId", instance.key().id.as_str())
                .with("NamespaceName", key.namespace.as_str())
                .with("ServiceName", key.name.as_str())
                .with("HealthStatus", status(&instance))
                .with("Attributes", shown_attributes(attributes))
                .done()
        })
        .collect();
    let answer = Map::new()
        .with("Instances", instances)
        .with("InstancesRevision", revision(&state));
    Ok(answer.done())
}

/// Chooses by health. A service without health checks has no filter (AWS's rule).
fn chosen(call: &Call<'_>, state: &ServiceState) -> Vec<Arc<Instance>> {
    let all = || state.instances().to_vec();
    let of_status = |wanted: &str| -> Vec<Arc<Instance>> {
        let instances = state.instances().iter();
        instances
            .filter(|instance| status(instance) == wanted)
            .map(Arc::clone)
            .collect()
    };
    let default = match call.cloud_map.config.discover_default {
        DiscoverDefault::Healthy => "HEALTHY",
        DiscoverDefault::All => "ALL",
        DiscoverDefault::HealthyOrElseAll => "HEALTHY_OR_ELSE_ALL",
    };
    let filter = call.input.text("HealthStatus").unwrap_or(default);
    let is_asked = |wanted: &str| filter == wanted;
    if is_asked("ALL") {
        return all();
    }
    if is_asked("UNHEALTHY") {
        return if is_checked(state.service()) {
            of_status("UNHEALTHY")
        } else {
            Vec::new()
        };
    }
    // The one definition of who may be sent traffic, in every dialect.
    let rotation = state.rotation();
    let is_last_resort = rotation.tier() == Some(waypost_core::Tier::FailOpen);
    if is_asked("HEALTHY") {
        return if is_last_resort {
            Vec::new()
        } else {
            rotation.instances().to_vec()
        };
    }
    if rotation.instances().is_empty() || is_last_resort {
        return all();
    }
    rotation.instances().to_vec()
}

/// Puts a list in random order, as AWS does, so that callers who take the first spread.
fn shuffle<T>(list: &mut [T]) {
    let seed = u64::from_str_radix(unique().get(..16).unwrap_or_default(), 16).unwrap_or(1);
    let mut state = seed | 1;
    for at in (1..list.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bound = u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1);
        let other = usize::try_from(state % bound).unwrap_or(0);
        list.swap(at, other);
    }
}
