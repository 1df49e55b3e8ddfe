//! What happens with a report: it is counted, recorded, and told to the registry when it is news.

use std::task::{Context, Waker};

use waypost_core::{
    Answer, BoxFuture, Check, CheckState, Instance, InstanceKey, Monotonic, RegistrationId, Report,
    Snapshot,
};

use super::{Checker, find};
use crate::follow::Now;
use crate::pace::Intervals;
use crate::probe::ProbeReport;
use crate::schedule::SlotId;

/// Most renewals of leases that wait for the store.
const RENEWALS_MAX: usize = 2_048;

impl Checker {
    /// Counts a report, records it, and tells the registry when the check says something else than before.
    pub(super) fn conclude(
        &mut self,
        id: SlotId,
        snapshot: &Snapshot,
        started: Monotonic,
        report: &ProbeReport,
    ) {
        let now = self.now();
        let Some(slot) = self.schedule.get_mut(id) else {
            return;
        };
        let key = slot.vitals.key();
        let Some((instance, check, spec)) = find(snapshot, key, slot.check.as_str()) else {
            return;
        };
        if self.ownership.owns(key).is_none() {
            return;
        }
        let current = instance.verdict().state_of(check);
        let failed = report.state == CheckState::Failing;
        // Thresholds are for what has been healthy. A service that took long to start is Healthy with its first pass,
        // however often it failed before.
        let counted_from = if failed || instance.verdict().ever_healthy {
            current
        } else {
            CheckState::Unknown
        };
        let state = slot.tally.observe(check, counted_from, report.state);
        let times = Intervals::of(spec, self.config.jitter_percent);
        slot.turn.end(
            (started, now.monotonic),
            (!failed, failed || state == CheckState::Failing),
            &times,
            &mut self.chance,
        );
        record(instance, check, report, now);
        let moved = has_moved(instance, report);
        if moved || is_news(instance, check, (current, state), report.state) {
            let report = Report {
                key: key.clone(),
                registration: Some(instance.registration_id()),
                check: check.id.clone(),
                state,
                reason: report.reason.clone(),
                body: report.body.clone(),
                resolved: report.resolved.clone(),
            };
            // A report that did not fit in, or that the store did not take, is made again after the next probe: that
            // compares with what the registry shows then.
            if !self.registry.report(&self.access, report) {
                tracing::debug!(instance = %key, "the registry takes no more reports for now");
            }
        }
        let lease = instance.registration().spec.lease;
        if !failed && lease.is_some_and(|lease| lease.renewed_by_checks) {
            let key = key.clone();
            self.renew(key, instance.registration_id());
        }
    }

    /// Renews a lease: at once when it runs; one that must be begun or brought back waits for the store in a task.
    fn renew(&mut self, key: InstanceKey, registration: RegistrationId) {
        let registry = self.registry.clone();
        let access = self.access.clone();
        let mut beat: BoxFuture<'static, ()> = Box::pin(async move {
            let beat = registry.heartbeat(&access, &key, Some(registration), None);
            if let Err(error) = beat.await {
                // The next passing probe tries again.
                tracing::debug!(instance = %key, %error, "a passing probe did not renew the lease");
            }
        });
        let waits = beat
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending();
        if waits && self.renewals.len() < RENEWALS_MAX {
            self.renewals.spawn(beat);
        }
    }
}

fn record(instance: &Instance, check: &Check, report: &ProbeReport, now: Now) {
    let answer = Answer {
        check: check.id.clone(),
        at: now.wall,
        reason: report.reason.clone(),
        status: report.status,
        body: report.body.clone(),
        dependencies: report.dependencies.clone(),
    };
    let vitals = instance.vitals();
    vitals.record_probe(answer, report.state == CheckState::Failing);
    if let Some(load) = report.load {
        vitals.record_load(load);
    }
}

/// Says whether the host name of the instance has other addresses than the registry knows.
fn has_moved(instance: &Instance, report: &ProbeReport) -> bool {
    let resolved = report.resolved.as_ref();
    resolved.is_some_and(|resolved| *resolved != instance.verdict().resolved)
}

/// Says whether the registry should hear of a report: the check says something else, or says something for the first
/// time. A report that does not count yet has no reason that fits the state, unless that is Unknown: then it says why.
fn is_news(
    instance: &Instance,
    check: &Check,
    (current, state): (CheckState, CheckState),
    report: CheckState,
) -> bool {
    let said = instance.verdict().check(&check.id).is_some();
    state != current || (!said && (state == report || state == CheckState::Unknown))
}
