//! One attempt to probe: find the address, have it judged, take a place, ask.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use waypost_core::{BoxFuture, CheckState, Clock, Instance, ProbeSpec, Text};
use waypost_dial::{DialError, Full, Limits, Permit, Pinned, Resolver};

use super::skip_of;
use crate::metrics::Skip;
use crate::probe::{Probe, ProbeReport, Probes};
use crate::target::Target;

/// Most lookups of host names under way: as many as dial runs at once, so that none waits for another and times out
/// through no fault of its target.
pub(super) const LOOKUPS_MAX: usize = 32;

/// What a task that probes ends with.
pub(super) enum Attempt {
    Report(ProbeReport),
    /// The address became known only in the task, and there was no place for it.
    Full(Full),
}

/// How an attempt begins.
pub(super) enum Start {
    /// There is no place for it.
    Full(Skip),
    /// There is nothing to ask.
    Report(ProbeReport),
    /// The rest takes time.
    Task(BoxFuture<'static, Attempt>),
}

/// The way out.
pub(super) struct Outbound {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) resolver: Resolver,
    /// Places for lookups of names.
    pub(super) lookups: Arc<Semaphore>,
    pub(super) limits: Limits,
    pub(super) probes: Probes,
}

impl Outbound {
    /// Begins an attempt. An address is judged and gets its place here, so that a task is made only for what may run; a
    /// name needs a place among the lookups first, and one among the calls when its address is known.
    pub(super) fn start(&self, spec: &ProbeSpec, instance: &Instance) -> Start {
        match Target::of(spec, &instance.registration().spec) {
            Err(reason) => Start::Report(ProbeReport::new(CheckState::Failing, &reason)),
            Ok(Target::Name(host, port)) => match Arc::clone(&self.lookups).try_acquire_owned() {
                Err(_) => Start::Full(Skip::GlobalLimit),
                Ok(place) => Start::Task(self.ask_by_name(spec, (host, port), place)),
            },
            Ok(Target::Address(address)) => match self.resolver.pin(address) {
                Err(error) => Start::Report(ProbeReport::failed(&error)),
                Ok(pinned) => match self.limits.try_acquire(address.ip()) {
                    Err(full) => Start::Full(skip_of(full)),
                    Ok(permit) => Start::Task(self.ask(spec, pinned, permit)),
                },
            },
        }
    }

    fn probe_of(&self, spec: &ProbeSpec) -> Arc<dyn Probe> {
        Arc::clone(self.probes.of(&spec.protocol))
    }

    fn ask(&self, spec: &ProbeSpec, target: Pinned, permit: Permit) -> BoxFuture<'static, Attempt> {
        let probe = self.probe_of(spec);
        let spec = spec.clone();
        Box::pin(async move {
            let report = probe.probe(&spec, &target, spec.timeout()).await;
            drop(permit);
            Attempt::Report(report)
        })
    }

    fn ask_by_name(
        &self,
        spec: &ProbeSpec,
        (host, port): (Text, u16),
        place: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, Attempt> {
        let probe = self.probe_of(spec);
        let spec = spec.clone();
        let clock = Arc::clone(&self.clock);
        let resolver = self.resolver.clone();
        let limits = self.limits.clone();
        Box::pin(async move {
            let started = clock.monotonic();
            let timeout = spec.timeout();
            let resolved = tokio::select! {
                resolved = resolver.resolve(&host, port) => resolved,
                () = clock.sleep(timeout) => Err(DialError::ResolveTimedOut {
                    host: host.to_string(),
                    after: timeout,
                }),
            };
            drop(place);
            let target = match resolved {
                Err(error) => return Attempt::Report(ProbeReport::failed(&error)),
                Ok(target) => target,
            };
            let host: IpAddr = target.address().ip();
            let permit = match limits.try_acquire(host) {
                Err(full) => return Attempt::Full(full),
                Ok(permit) => permit,
            };
            let left = timeout.saturating_sub(clock.monotonic().since(started));
            let mut report = probe.probe(&spec, &target, left).await;
            drop(permit);
            report.resolved = Some(target.known().into());
            Attempt::Report(report)
        })
    }
}
