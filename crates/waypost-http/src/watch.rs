//! The time-outs of one connection.

use std::cell::Cell;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::Sleep;

use crate::clock;
use crate::progress::{Phase, Progress};
use crate::settings::ListenerConfig;

/// Why a connection ends that asked nothing in the time it got for that when the server began to drain.
pub(crate) const UNUSED: &str = "unused";
/// How long after it was opened a connection may still bring its first request while the server drains: who had just
/// connected is about to ask.
pub(crate) const FRESH_MILLIS: u64 = 1_000;

/// The time-outs of one connection, on one timer that is moved only when it must ring earlier.
pub(crate) struct Watch<'a> {
    pub(crate) progress: &'a Progress,
    idle_millis: u64,
    head_millis: u64,
    write_millis: u64,
    period_millis: u64,
    is_draining: Cell<bool>,
}

/// When the timer rings next, in milliseconds of the crate's clock.
pub(crate) struct Armed(u64);

impl<'a> Watch<'a> {
    pub(crate) fn new(limits: &ListenerConfig, progress: &'a Progress) -> Self {
        let idle_millis = limits.idle_timeout_seconds * 1_000;
        let head_millis = limits.header_timeout_seconds * 1_000;
        let write_millis = limits.body_timeout_seconds * 1_000;
        let period_millis = idle_millis.min(head_millis).min(write_millis);
        Self {
            progress,
            idle_millis,
            head_millis,
            write_millis,
            period_millis,
            is_draining: Cell::new(false),
        }
    }

    /// Takes in that the server drains.
    pub(crate) fn drain(&self) {
        self.is_draining.set(true);
    }

    /// The time the timer is first set to.
    pub(crate) fn period(&self) -> Duration {
        Duration::from_millis(self.period_millis)
    }

    pub(crate) fn armed(&self) -> Armed {
        Armed(clock::now_millis() + self.period_millis)
    }

    /// The moment at which the connection is cut if nothing changes, and why.
    fn limit(&self) -> Option<(u64, &'static str)> {
        let blocked = self.progress.write_blocked_since_millis();
        if let Some(since_millis) = blocked {
            return Some((since_millis + self.write_millis, "write_timeout"));
        }
        match self.progress.phase() {
            Phase::Idle if self.progress.is_untouched() && self.is_draining.get() => Some((
                self.progress.idle_since_millis() + self.head_millis.min(FRESH_MILLIS),
                UNUSED,
            )),
            // A connection on which nothing was ever sent gets the time of a head, not of a
            // kept-alive connection that has proved useful.
            Phase::Idle if self.progress.is_untouched() => Some((
                self.progress.idle_since_millis() + self.head_millis,
                "header_timeout",
            )),
            Phase::Idle => Some((
                self.progress.idle_since_millis() + self.idle_millis,
                "idle_timeout",
            )),
            Phase::Head => Some((
                self.progress.head_since_millis() + self.head_millis,
                "header_timeout",
            )),
            Phase::Busy => None,
        }
    }

    /// Moves the timer when it must ring earlier; returns why the connection must be cut now.
    pub(crate) fn check(
        &self,
        armed: &mut Armed,
        mut timer: Pin<&mut Sleep>,
        context: &mut Context<'_>,
    ) -> Option<&'static str> {
        let limit = self.limit();
        let has_rung = timer.is_elapsed();
        let is_too_late = limit.is_some_and(|(at_millis, _)| at_millis < armed.0);
        if !has_rung && !is_too_late {
            return None;
        }
        let now_millis = clock::now_millis();
        if let Some((at_millis, reason)) = limit
            && at_millis <= now_millis
        {
            return Some(reason);
        }
        let next_millis = limit.map_or(now_millis + self.period_millis, |(at_millis, _)| at_millis);
        armed.0 = next_millis;
        timer
            .as_mut()
            .reset(clock::instant_in(next_millis - now_millis));
        if timer.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        None
    }
}
