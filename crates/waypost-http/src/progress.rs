//! What one connection is doing, shared by its socket, its requests and its time-outs.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::body::Response;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between requests: no byte of the next request has come.
    Idle,
    /// Some bytes of a request head have come, but not all of it.
    Head,
    /// A handler runs, or a streamed body is being sent.
    Busy,
}

/// The state of one connection.
///
/// Every field is written and read by the one task of the connection; the atomics are relaxed and
/// exist only because the parts of that task share the value.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    phase: AtomicU8,
    idle_since_millis: AtomicU64,
    head_since_millis: AtomicU64,
    write_blocked_since_millis: AtomicU64,
    has_read: AtomicBool,
    has_unread_body: AtomicBool,
    lasting: Mutex<Option<Box<Response>>>,
}

impl Progress {
    pub(crate) fn new(now_millis: u64) -> Self {
        Self {
            idle_since_millis: AtomicU64::new(now_millis),
            ..Self::default()
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Busy,
        }
    }

    /// Notes that bytes came from the peer. The time of a head's first byte is not read here but
    /// by the time-outs, and only when the head is still incomplete after the read.
    pub(crate) fn bytes_read(&self) {
        if self.phase.load(Relaxed) == 0 {
            self.has_read.store(true, Relaxed);
            self.head_since_millis.store(0, Relaxed);
            self.phase.store(1, Relaxed);
        }
    }

    pub(crate) fn request_started(&self) {
        self.phase.store(2, Relaxed);
        self.has_unread_body.store(false, Relaxed);
    }

    pub(crate) fn request_finished(&self, now_millis: u64) {
        self.idle_since_millis.store(now_millis, Relaxed);
        self.phase.store(0, Relaxed);
    }

    /// Hands over a response that is to be sent outside of hyper.
    pub(crate) fn hand_over(&self, response: Response) {
        *self.lasting.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(response));
    }

    /// Takes the response that was handed over.
    pub(crate) fn taken_over(&self) -> Option<Box<Response>> {
        let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        lasting.take()
    }

    pub(crate) fn body_left_unread(&self) {
        self.has_unread_body.store(true, Relaxed);
    }

    pub(crate) fn write_blocked(&self) {
        if self.write_blocked_since_millis.load(Relaxed) == 0 {
            self.write_blocked_since_millis
                .store(crate::clock::now_millis(), Relaxed);
        }
    }

    /// Notes that the peer took bytes; an idle time-out counts from there when it had been slow.
    pub(crate) fn write_advanced(&self) {
        if self.write_blocked_since_millis.load(Relaxed) != 0 {
            self.write_blocked_since_millis.store(0, Relaxed);
            self.idle_since_millis
                .store(crate::clock::now_millis(), Relaxed);
        }
    }

    /// True until the first byte comes from the peer.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.has_read.load(Relaxed)
    }

    pub(crate) fn has_unread_body(&self) -> bool {
        self.has_unread_body.load(Relaxed)
    }

    pub(crate) fn idle_since_millis(&self) -> u64 {
        self.idle_since_millis.load(Relaxed)
    }

    pub(crate) fn write_blocked_since_millis(&self) -> Option<u64> {
        Some(self.write_blocked_since_millis.load(Relaxed)).filter(|millis| *millis != 0)
    }

    /// When the head began to come; the first call after its first byte sets it to now.
    pub(crate) fn head_since_millis(&self) -> u64 {
        let known = self.head_since_millis.load(Relaxed);
        if known != 0 {
            return known;
        }
        let now_millis = crate::clock::now_millis();
        self.head_since_millis.store(now_millis, Relaxed);
        now_millis
    }
}
