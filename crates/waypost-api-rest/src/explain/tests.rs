//! Every cause of being out, and the sentence, the time and the evidence it comes with.

use std::sync::Arc;
use std::time::Duration;

use waypost_core::{
    Addresses, Author, CheckId, Command, Context, Dialect, Epoch, InstanceId, InstanceKey, Lease,
    NamespaceName, Policy, ProbeSpec, RegistrationSpec, Report, Revision, Seed, ServiceChange,
    ServiceKey, Snapshot, decide, text,
};

use super::*;

/// 2024-01-15T10:00:00Z.
const START: u64 = 1_705_312_800_000;

/// A state that commands move, each a minute after the one before.
struct World {
    snapshot: Snapshot,
    minutes: u64,
}

impl World {
    fn new() -> Self {
        Self {
            snapshot: Snapshot::empty(Epoch(1)),
            minutes: 0,
        }
    }

    fn apply(&mut self, command: &Command) {
        let access = waypost_core::Access::internal("test");
        let context = Context {
            at: Timestamp(START + self.minutes * 60_000),
            author: Author {
                subject: access.subject().clone(),
                address: None,
                dialect: Dialect::Internal,
            },
            seed: Seed(u128::from(self.minutes) + 1),
            policy: Policy::default(),
        };
        let decision = decide(&context, &self.snapshot, command).unwrap();
        let next = Revision(self.snapshot.revision().0 + 1);
        self.snapshot = self.snapshot.apply(next, &decision.batch);
        self.minutes += 1;
    }

    fn register(&mut self, id: &str, lease: Option<LeaseStart>) {
        let mut spec = RegistrationSpec::new(
            Addresses::parse("host", "10.0.0.7").unwrap(),
            8_080,
            Dialect::Discovery,
        );
        let probe = CheckKind::Probe(ProbeSpec::new(ProbeProtocol::Http(
            waypost_core::HttpProbe::default(),
        )));
        spec.checks = Arc::from([Check::new(CheckId::new("http").unwrap(), probe)]);
        spec.lease = lease.map(|start| Lease {
            seconds: 300,
            start,
            renewed_by_checks: false,
        });
        self.apply(&Command::Register {
            service: service(),
            id: InstanceId::new(id).unwrap(),
            owner: None,
            spec: Arc::new(spec),
            defaults: ServiceChange::default(),
        });
    }

    fn report(&mut self, id: &str, state: CheckState, reason: &str) {
        self.apply(&Command::Report(Report {
            key: key(id),
            registration: None,
            check: CheckId::new("http").unwrap(),
            state,
            reason: text(reason),
            body: None,
            resolved: None,
        }));
    }

    fn fail_open(&mut self) {
        self.apply(&Command::UpdateService {
            key: service(),
            change: ServiceChange {
                fail_open: Some(true),
                ..ServiceChange::default()
            },
            expected: None,
        });
    }

    fn end_lease(&mut self, id: &str, hold: bool) {
        let key = key(id);
        let registration = self.snapshot.instance(&key).unwrap().registration_id();
        self.apply(&if hold {
            Command::HoldLease { key, registration }
        } else {
            Command::EndLease { key, registration }
        });
    }

    fn standing(&self, id: &str) -> Standing {
        let state = self.snapshot.service(&service()).unwrap();
        standing(state, state.instance(&key(id)).unwrap())
    }

    fn explain(&self, id: &str) -> Explanation {
        let state = self.snapshot.service(&service()).unwrap();
        let instance = state.instance(&key(id)).unwrap();
        explain(
            state,
            instance,
            Monotonic(0),
            Vec::new(),
            &service().namespace,
            InDns::Off,
        )
    }

    fn answer(
        &self,
        id: &str,
        status: Option<u16>,
        reason: &str,
        body: Option<&str>,
        failed: bool,
    ) {
        let vitals = self.snapshot.instance(&key(id)).unwrap().vitals();
        let answer = Answer {
            check: CheckId::new("http").unwrap(),
            at: Timestamp(START + 90_000),
            reason: text(reason),
            status,
            body: body.map(text),
            dependencies: Box::default(),
        };
        vitals.record_probe(answer, failed);
    }
}

fn service() -> ServiceKey {
    ServiceKey::new("svc.internal", "web").unwrap()
}

fn key(id: &str) -> InstanceKey {
    InstanceKey::new("svc.internal", "web", id).unwrap()
}

fn minute(minute: u64) -> Timestamp {
    Timestamp(START).after(Duration::from_secs(60 * minute))
}

#[test]
fn an_instance_that_was_never_checked_says_so() {
    let mut world = World::new();
    world.register("a", None);
    let standing = world.standing("a");
    assert_eq!(
        standing.reason,
        "check http has not passed yet; never checked since it was registered at 2024-01-15T10:00:00Z"
    );
    assert_eq!(
        (standing.in_rotation, standing.tier, standing.since),
        (false, CoreTier::Out, minute(0))
    );
    let check = &world.explain("a").checks[0];
    assert_eq!(
        (check.state, check.reason.as_str()),
        ("unknown", "never checked")
    );
    assert_eq!(check.target.as_deref(), Some("http://10.0.0.7:8080/health"));
}

#[test]
fn a_first_try_that_failed_is_the_evidence() {
    let mut world = World::new();
    world.register("a", None);
    world.answer("a", None, "connection refused by 10.0.0.7:8080", None, true);
    assert_eq!(
        world.standing("a").reason,
        "check http has not passed yet; the latest try at 2024-01-15T10:01:30Z failed: connection refused by 10.0.0.7:8080"
    );
    let check = &world.explain("a").checks[0];
    assert_eq!(
        check.last_failure.as_ref().unwrap().reason,
        "connection refused by 10.0.0.7:8080"
    );
    assert_eq!(check.last_probe, Some(Rfc3339(Timestamp(START + 90_000))));
}

#[test]
fn an_address_refused_by_policy_is_named() {
    let mut world = World::new();
    world.register("a", None);
    let reason = "address 169.254.169.254 refused: cloud metadata addresses are always refused";
    world.report("a", CheckState::Failing, reason);
    let standing = world.standing("a");
    assert_eq!(standing.reason, format!("check http failing: {reason}"));
    assert_eq!((standing.tier, standing.since), (CoreTier::Out, minute(1)));
}

#[test]
fn a_failing_check_tells_what_it_got_and_since_when() {
    let causes = [
        "connection refused by 10.0.0.7:8080",
        "no answer from 10.0.0.7:8080 within 5 s",
        "answered 503, expected 200-299",
        "the body says unhealthy",
    ];
    for cause in causes {
        let mut world = World::new();
        world.register("a", None);
        world.report("a", CheckState::Passing, "answered 200");
        world.report("a", CheckState::Failing, cause);
        world.answer("a", Some(503), cause, Some("{\"status\":\"down\"}"), true);
        let standing = world.standing("a");
        assert_eq!(standing.reason, format!("check http failing: {cause}"));
        assert_eq!((standing.tier, standing.since), (CoreTier::Out, minute(2)));
        let explanation = world.explain("a");
        let check = &explanation.checks[0];
        assert_eq!((check.state, check.since), ("failing", Rfc3339(minute(2))));
        let failure = check.last_failure.as_ref().unwrap();
        assert_eq!(
            (failure.status, failure.body.as_deref()),
            (Some(503), Some("{\"status\":\"down\"}"))
        );
        let history: Vec<_> = explanation
            .history
            .iter()
            .map(|edge| (edge.from, edge.to))
            .collect();
        assert_eq!(history, [("Unknown", "Healthy"), ("Healthy", "Unhealthy")]);
    }
}

#[test]
fn fail_open_says_that_nobody_is_fit() {
    let mut world = World::new();
    world.register("a", None);
    world.report("a", CheckState::Passing, "answered 200");
    world.report("a", CheckState::Failing, "answered 500");
    world.fail_open();
    let standing = world.standing("a");
    assert!(standing.in_rotation);
    assert_eq!(
        standing.reason,
        "check http failing: answered 500; served by fail-open, because no instance of the service is fit"
    );
    world.register("b", None);
    world.report("b", CheckState::Passing, "answered 200");
    let standing = world.standing("a");
    assert!(!standing.in_rotation);
    assert!(
        standing
            .reason
            .ends_with("; fail-open does not serve it while fit instances are there")
    );
}

#[test]
fn a_lease_that_is_over_says_when_and_after_how_much_silence() {
    let mut world = World::new();
    world.register("a", Some(LeaseStart::Registration));
    world.report("a", CheckState::Passing, "answered 200");
    world.end_lease("a", false);
    let standing = world.standing("a");
    assert_eq!(
        standing.reason,
        "lease ended at 2024-01-15T10:02:00Z: no heartbeat for 300 s; no heartbeat has come since this server started"
    );
    assert_eq!((standing.in_rotation, standing.since), (false, minute(2)));
    let lease = world.explain("a").lease.unwrap();
    assert_eq!(
        (lease.state, lease.duration_seconds, lease.since),
        ("over", 300, Rfc3339(minute(2)))
    );
}

#[test]
fn a_held_lease_says_why_it_is_held_and_whether_it_is_served() {
    let mut world = World::new();
    world.register("a", Some(LeaseStart::Registration));
    world.report("a", CheckState::Passing, "answered 200");
    world.end_lease("a", true);
    let standing = world.standing("a");
    assert_eq!(
        (standing.in_rotation, standing.tier),
        (true, CoreTier::Suspect)
    );
    assert!(
        standing
            .reason
            .starts_with("held as suspect since 2024-01-15T10:02:00Z: its lease of 300 s")
    );
    assert!(
        standing
            .reason
            .ends_with("it is served because no better instance is left")
    );
    world.register("b", None);
    world.report("b", CheckState::Passing, "answered 200");
    let standing = world.standing("a");
    assert!(!standing.in_rotation && standing.reason.ends_with("better instances are there"));
}

#[test]
fn a_mode_tells_its_author_reason_and_end() {
    let mut world = World::new();
    world.register("a", None);
    world.report("a", CheckState::Passing, "answered 200");
    world.apply(&Command::SetMode {
        key: key("a"),
        setting: Some(Arc::new(ModeSetting {
            mode: Mode::Draining,
            reason: text("new kernel"),
            author: text("ops/ada"),
            since: minute(2),
            until: Some(minute(30)),
            weight: None,
            weight_note: None,
            health: None,
            block: None,
            process: None,
            extra: waypost_core::Extra::default(),
        })),
    });
    let standing = world.standing("a");
    assert_eq!(
        standing.reason,
        "Draining since 2024-01-15T10:02:00Z, set by ops/ada, until 2024-01-15T10:30:00Z: new kernel"
    );
    assert_eq!(
        (standing.in_rotation, standing.tier),
        (false, CoreTier::Out)
    );
    let explanation = world.explain("a");
    assert_eq!(
        (explanation.mode, explanation.health),
        ("Draining", "Healthy")
    );
}

#[test]
fn a_healthy_instance_tells_its_evidence_and_where_it_is_seen() {
    let mut world = World::new();
    world.register("a", None);
    world.report("a", CheckState::Passing, "answered 200");
    let explanation = world.explain("a");
    assert_eq!(explanation.reason, "check http passing: answered 200");
    assert!(explanation.in_rotation);
    assert!(explanation.visible.iter().all(|place| place.visible));
    assert_eq!(explanation.visible.len(), 5);
}

#[test]
fn an_untried_instance_is_seen_by_source_004_alone() {
    let mut world = World::new();
    world.register("a", None);
    let seen: Vec<String> = world
        .explain("a")
        .visible
        .into_iter()
        .filter(|place| place.visible)
        .map(|place| place.place)
        .collect();
    let expected = [
        "GET /v1/discovery/services/web",
        "GET /v1/discovery/services/web/instances",
        "GET /service-discovery/discover/web",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn an_instance_of_another_namespace_is_not_seen_on_the_sources_paths() {
    let mut world = World::new();
    world.register("a", None);
    world.report("a", CheckState::Passing, "answered 200");
    let state = world.snapshot.service(&service()).unwrap();
    let instance = state.instance(&key("a")).unwrap();
    let other = NamespaceName::new("other.internal").unwrap();
    let explanation = explain(
        state,
        instance,
        Monotonic(0),
        Vec::new(),
        &other,
        InDns::Off,
    );
    let visible: Vec<&str> = explanation
        .visible
        .iter()
        .filter(|it| it.visible)
        .map(|it| it.dialect)
        .collect();
    assert_eq!(visible, ["rest"]);
    assert!(explanation.visible[1].why.contains("svc.internal"));
}

#[test]
fn the_journal_and_the_latest_edges_are_told_once_each() {
    let mut world = World::new();
    world.register("a", None);
    world.report("a", CheckState::Passing, "answered 200");
    world.report("a", CheckState::Failing, "answered 500");
    let line = |at: u64, from, to, body: Option<&str>| HealthEdge {
        at: Rfc3339(minute(at)),
        from,
        to,
        reason: "as the journal has it".to_owned(),
        body: body.map(str::to_owned),
    };
    // The journal has an edge of an earlier registration, and not yet the last one.
    let journal = vec![
        HealthEdge {
            at: Rfc3339(Timestamp(START - 1)),
            ..line(0, "Healthy", "Unhealthy", None)
        },
        line(1, "Unknown", "Healthy", Some("ok")),
    ];
    let state = world.snapshot.service(&service()).unwrap();
    let instance = state.instance(&key("a")).unwrap();
    let explanation = explain(
        state,
        instance,
        Monotonic(0),
        journal,
        &service().namespace,
        InDns::Off,
    );
    let told: Vec<_> = explanation
        .history
        .iter()
        .map(|edge| (edge.to, edge.body.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("Unhealthy", None),
            ("Healthy", Some("ok")),
            ("Unhealthy", None)
        ]
    );
}
