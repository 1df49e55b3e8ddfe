//! Why an instance is in rotation or out: pure words about a state, with cause, time and evidence.
//!
//! Sentences have no full stop, so that they can stand in lists and in tables.

use waypost_core::Tier as CoreTier;
use waypost_core::{
    Answer, Check, CheckKind, CheckState, Dependency, Health, Instance, LeaseCell, LeaseStart,
    LeaseState, Mode, ModeSetting, Monotonic, ProbeProtocol, ProbeSpec, ServiceState, Timestamp,
    effective_checks,
};

use crate::convert::own::overrides_to_wire;
use crate::convert::service_discovery::is_untried;
use crate::convert::sources::{authority, host, status};
use crate::time::Rfc3339;
use crate::wire::own::{
    CheckReport, DependencyReport, Explanation, HealthEdge, LastAnswer, LastFailure, LeaseReport,
    Tier, Visibility,
};

mod dns;

/// Where an instance stands, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) in_rotation: bool,
    pub(crate) tier: CoreTier,
    pub(crate) reason: String,
    pub(crate) since: Timestamp,
}

impl Standing {
    fn words(&self) -> String {
        if self.in_rotation {
            format!("it is in rotation (tier {})", self.tier.as_str())
        } else {
            "it is out of rotation".to_owned()
        }
    }
}

/// Whether DNS answers for the namespace of an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InDns {
    /// It does.
    Looked,
    /// It does for others.
    OfOtherKind,
    /// Nobody answers DNS here.
    Off,
}

/// Says where an instance stands.
pub(crate) fn standing(state: &ServiceState, instance: &Instance) -> Standing {
    let in_rotation = state.rotation().contains(instance.key());
    let verdict = instance.verdict();
    let (reason, since) = match (instance.mode_setting(), verdict.lease) {
        (Some(setting), _) if setting.mode != Mode::Active => (mode_reason(setting), setting.since),
        (_, LeaseState::Over { since }) => {
            (over_reason(state, instance, since, in_rotation), since)
        }
        (_, LeaseState::Suspect { since }) if instance.tier() == CoreTier::Suspect => {
            (suspect_reason(instance, since, in_rotation), since)
        }
        (Some(setting), _) if instance.health_override().is_some() => (
            override_reason(state, instance, in_rotation),
            setting
                .health
                .as_ref()
                .map_or(verdict.since, |said| said.note.since),
        ),
        _ => (health_reason(state, instance, in_rotation), verdict.since),
    };
    // Who would be served when nobody else is left has that place only where the service wants it.
    let is_out = instance.tier() == CoreTier::FailOpen && !state.service().fail_open;
    Standing {
        in_rotation,
        tier: if is_out {
            CoreTier::Out
        } else {
            instance.tier()
        },
        reason,
        since,
    }
}

fn mode_reason(setting: &ModeSetting) -> String {
    let mode = setting.mode.as_str();
    let since = Rfc3339(setting.since);
    let mut reason = format!("{mode} since {since}, set by {}", setting.author);
    if let Some(until) = setting.until {
        reason.push_str(&format!(", until {}", Rfc3339(until)));
    }
    if !setting.reason.is_empty() {
        reason.push_str(&format!(": {}", setting.reason));
    }
    reason
}

/// Says when the instance was last heard of, as far as this process knows.
fn heard(instance: &Instance) -> String {
    match instance.vitals().last_heartbeat() {
        Some(at) => format!("the last heartbeat came at {}", Rfc3339(at)),
        None => "no heartbeat has come since this server started".to_owned(),
    }
}

fn lease_seconds(instance: &Instance) -> u32 {
    instance
        .registration()
        .spec
        .lease
        .map_or(0, |lease| lease.seconds)
}

fn over_reason(
    state: &ServiceState,
    instance: &Instance,
    since: Timestamp,
    in_rotation: bool,
) -> String {
    let seconds = lease_seconds(instance);
    let lease = instance.registration().spec.lease;
    let renewals = if lease.is_some_and(|lease| lease.renewed_by_checks) {
        "no heartbeat and no passing check"
    } else {
        "no heartbeat"
    };
    let since = Rfc3339(since);
    let heard = heard(instance);
    let place = place(state, instance, in_rotation);
    format!("lease ended at {since}: {renewals} for {seconds} s; {heard}{place}")
}

fn suspect_reason(instance: &Instance, since: Timestamp, in_rotation: bool) -> String {
    let seconds = lease_seconds(instance);
    let place = if in_rotation {
        "it is served because no better instance is left"
    } else {
        "better instances are there"
    };
    format!(
        "held as suspect since {}: its lease of {seconds} s ran out when many others did, or while this server did not run; {}; {place}",
        Rfc3339(since),
        heard(instance)
    )
}

/// Adds what fail-open makes of an instance that failed.
fn place(state: &ServiceState, instance: &Instance, in_rotation: bool) -> &'static str {
    match (instance.tier(), in_rotation) {
        (CoreTier::FailOpen, true) => {
            "; served by fail-open, because no instance of the service is fit"
        }
        (CoreTier::FailOpen, false) if state.service().fail_open => {
            "; fail-open does not serve it while fit instances are there"
        }
        _ => "",
    }
}

fn health_reason(state: &ServiceState, instance: &Instance, in_rotation: bool) -> String {
    let verdict = instance.verdict();
    let mut reason = verdict.reason.to_string();
    if verdict.health == Health::Unknown {
        reason.push_str(&untried(state, instance));
    }
    reason.push_str(place(state, instance, in_rotation));
    reason
}

/// Says what an operator says of the health, and what the checks say all the same.
fn override_reason(state: &ServiceState, instance: &Instance, in_rotation: bool) -> String {
    let verdict = instance.verdict();
    let mut reason = instance.health_reason().to_string();
    if let Some(until) = instance.health_override().and_then(|said| said.note.until) {
        reason.push_str(&format!(", until {}", Rfc3339(until)));
    }
    reason.push_str(&format!(
        "; the checks say {}: {}",
        verdict.health.as_str(),
        verdict.reason
    ));
    reason.push_str(place(state, instance, in_rotation));
    reason
}

/// Adds what happened so far to "has not passed yet".
fn untried(state: &ServiceState, instance: &Instance) -> String {
    let registered = Rfc3339(instance.registration().judged_from);
    let vitals = instance.vitals();
    match (vitals.last_failure(), vitals.last_probe()) {
        (Some(failure), _) => {
            let verdict = instance.verdict();
            // The reason of a check that has spoken stands in the verdict already.
            if verdict
                .check(&failure.check)
                .is_some_and(|check| check.reason == failure.reason)
            {
                return String::new();
            }
            format!(
                "; the latest try at {} failed: {}",
                Rfc3339(failure.at),
                failure.reason
            )
        }
        (None, Some(at)) => format!("; last checked at {}", Rfc3339(at)),
        (None, None) => {
            let spoken = !instance.verdict().checks.is_empty();
            if spoken || !checks(state, instance).any(Check::is_probe) {
                String::new()
            } else {
                format!("; never checked since it was registered at {registered}")
            }
        }
    }
}

fn checks<'a>(
    state: &'a ServiceState,
    instance: &'a Instance,
) -> impl Iterator<Item = &'a Check> + Clone {
    effective_checks(
        &state.service().checks,
        &instance.registration().spec.checks,
    )
}

/// Explains an instance; `history` is what the journal has of it, oldest first.
pub(crate) fn explain(
    state: &ServiceState,
    instance: &Instance,
    now: Monotonic,
    history: Vec<HealthEdge>,
    default_namespace: &waypost_core::NamespaceName,
    in_dns: InDns,
) -> Explanation {
    let standing = standing(state, instance);
    let key = instance.key();
    let several = checks(state, instance)
        .filter(|check| check.is_probe())
        .count()
        > 1;
    let mut visible = visibility(state, instance, &standing, default_namespace);
    match in_dns {
        InDns::Looked => visible.extend(dns::visibility(state, instance, &standing)),
        InDns::OfOtherKind => visible.push(Visibility {
            dialect: "dns",
            place: "no name".to_owned(),
            visible: false,
            why: format!(
                "namespace {} is of the kind Http, which is not looked up by DNS",
                key.service.namespace
            ),
        }),
        InDns::Off => {}
    }
    Explanation {
        namespace: key.service.namespace.as_str().to_owned(),
        service: key.service.name.as_str().to_owned(),
        id: key.id.as_str().to_owned(),
        owner: key.owner.as_str().to_owned(),
        visible,
        in_rotation: standing.in_rotation,
        tier: Tier(standing.tier),
        reason: standing.reason,
        since: Rfc3339(standing.since),
        health: instance.health().as_str(),
        checked_health: instance.verdict().health.as_str(),
        mode: instance.mode().as_str(),
        overrides: overrides_to_wire(instance.mode_setting()),
        weight: instance.weight(),
        checks: checks(state, instance)
            .map(|check| check_report(instance, check, several))
            .collect(),
        lease: lease_report(instance, now),
        history: with_edges(history, instance),
    }
}

fn check_report(instance: &Instance, check: &Check, several: bool) -> CheckReport {
    let vitals = instance.vitals();
    let own = |answer: &std::sync::Arc<Answer>| answer.check == check.id;
    let answer = vitals.last_answer().filter(own);
    let failure = vitals.last_failure().filter(own);
    let said = instance.verdict().check(&check.id);
    let state = instance.verdict().state_of(check);
    let last_probe = if several {
        let times = [&answer, &failure].into_iter().flatten().map(|it| it.at);
        times.max()
    } else {
        vitals.last_probe().filter(|_| check.is_probe())
    };
    CheckReport {
        id: check.id.as_str().to_owned(),
        kind: check.kind_word(),
        target: target(instance, check),
        state: state.as_str(),
        since: Rfc3339(said.map_or(instance.registration().judged_from, |said| said.since)),
        reason: check_reason(
            check,
            state,
            said.map(|said| &*said.reason),
            failure.as_deref(),
        ),
        for_seconds: said.and_then(|said| said.for_seconds),
        dependencies: answer.as_ref().map_or_else(Vec::new, |answer| {
            answer.dependencies.iter().map(dependency).collect()
        }),
        last_probe: last_probe.map(Rfc3339),
        last_answer: answer.map(|answer| LastAnswer {
            at: Rfc3339(answer.at),
            status: answer.status,
            body: answer.body.as_ref().map(ToString::to_string),
        }),
        last_failure: failure.map(|failure| LastFailure {
            at: Rfc3339(failure.at),
            reason: failure.reason.to_string(),
            status: failure.status,
            body: failure.body.as_ref().map(ToString::to_string),
        }),
    }
}

fn dependency(dependency: &Dependency) -> DependencyReport {
    DependencyReport {
        name: dependency.name.to_string(),
        state: dependency.state.as_str(),
        detail: dependency.detail.as_ref().map(ToString::to_string),
    }
}

fn check_reason(
    check: &Check,
    state: CheckState,
    said: Option<&str>,
    failure: Option<&Answer>,
) -> String {
    match (said, failure, &check.kind) {
        (Some(said), _, _) if !said.is_empty() => said.to_owned(),
        (_, Some(failure), _) => format!("the latest try failed: {}", failure.reason),
        (_, None, CheckKind::Probe(_)) if state == CheckState::Unknown => {
            "never checked".to_owned()
        }
        (_, None, CheckKind::Heartbeat { within_seconds }) if state == CheckState::Unknown => {
            format!("no heartbeat yet; one has to come within {within_seconds} s")
        }
        _ if state == CheckState::Unknown => "nobody has reported yet".to_owned(),
        _ => state.as_str().to_owned(),
    }
}

/// Says what a check asks: a URL, or host and port.
fn target(instance: &Instance, check: &Check) -> Option<String> {
    let CheckKind::Probe(ProbeSpec { protocol, port, .. }) = &check.kind else {
        return None;
    };
    let port = instance.registration().spec.port_named(port.as_deref())?;
    let authority = authority(&host(instance), Some(port.number));
    Some(match protocol {
        ProbeProtocol::Http(http) => format!("http://{authority}{}", http.path),
        ProbeProtocol::Https(https) => format!("https://{authority}{}", https.request.path),
        ProbeProtocol::Grpc(grpc) => {
            let scheme = if grpc.tls.is_some() { "grpcs" } else { "grpc" };
            let service = grpc.service.as_deref().unwrap_or_default();
            format!("{scheme}://{authority}/{service}")
        }
        ProbeProtocol::Tcp => authority,
    })
}

fn lease_report(instance: &Instance, now: Monotonic) -> Option<LeaseReport> {
    let lease = instance.registration().spec.lease?;
    let verdict = instance.verdict();
    let vitals = instance.vitals();
    let registered = instance.registration().first;
    let since = match verdict.lease {
        LeaseState::Suspect { since } | LeaseState::Over { since } => since,
        LeaseState::None | LeaseState::NotStarted => registered,
        LeaseState::Running if lease.start == LeaseStart::Registration => registered,
        LeaseState::Running => vitals.last_heartbeat().unwrap_or(registered),
    };
    let ends_in_seconds = match vitals.lease() {
        LeaseCell::Running(deadline) | LeaseCell::Suspect(deadline) => {
            Some(deadline.since(now).as_secs_f64())
        }
        _ => None,
    };
    Some(LeaseReport {
        state: verdict.lease.as_str(),
        duration_seconds: lease.seconds,
        last_heartbeat: vitals.last_heartbeat().map(Rfc3339),
        ends_in_seconds,
        since: Rfc3339(since),
    })
}

/// Adds the edges that the journal does not have: its lines may be late, or it was not kept.
fn with_edges(mut history: Vec<HealthEdge>, instance: &Instance) -> Vec<HealthEdge> {
    for edge in instance.edges() {
        let known = |line: &HealthEdge| line.at.0 == edge.at && line.to == edge.to.as_str();
        if !history.iter().any(known) {
            history.push(HealthEdge {
                at: Rfc3339(edge.at),
                from: edge.from.as_str(),
                to: edge.to.as_str(),
                reason: edge.reason.to_string(),
                body: None,
            });
        }
    }
    history.sort_by_key(|line| line.at.0);
    history
}

/// Says for every path of this protocol whether it shows the instance.
fn visibility(
    state: &ServiceState,
    instance: &Instance,
    standing: &Standing,
    default_namespace: &waypost_core::NamespaceName,
) -> Vec<Visibility> {
    let key = instance.key();
    let (namespace, name) = (&key.service.namespace, &key.service.name);
    let rotation = standing.words();
    let mut visible = vec![Visibility {
        dialect: "rest",
        place: format!("GET /v1/discover/{name}?namespace={namespace}"),
        visible: standing.in_rotation,
        why: rotation.clone(),
    }];
    let ours = namespace == default_namespace;
    let elsewhere =
        format!("this path shows {default_namespace} only, and the instance is in {namespace}");
    let mut add = |dialect, place: String, seen: bool, why: String| {
        let why = if ours { why } else { elsewhere.clone() };
        visible.push(Visibility {
            dialect,
            place,
            visible: seen && ours,
            why,
        });
    };
    let services = format!("GET /v1/discovery/services/{name}");
    let listed = format!(
        "every registered instance is listed, this one as {}",
        status(instance).as_str()
    );
    add("discovery", services.clone(), true, listed.clone());
    add(
        "discovery",
        format!("{services}/healthy"),
        standing.in_rotation,
        rotation.clone(),
    );
    add("discovery", format!("{services}/instances"), true, listed);
    let nobody = state.rotation().instances().is_empty();
    let untried = nobody && is_untried(instance);
    let why = if untried {
        "nobody is in rotation, and it has not failed yet".to_owned()
    } else {
        rotation
    };
    let place = format!("GET /service-discovery/discover/{name}");
    add(
        "service-discovery",
        place,
        standing.in_rotation || untried,
        why,
    );
    visible
}

#[cfg(test)]
mod tests;
