//! The fourth part of an instance: signs of life. Atomics outside the history; they wake nobody and are never stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::check::CheckState;
use crate::id::RegistrationId;
use crate::name::InstanceKey;
use crate::text::Text;
use crate::time::{Monotonic, Timestamp};

/// What a lease cell holds, packed into 64 bits.
///
/// ```text
/// value              meaning
/// 0 .. 2^61          runs until this monotonic millisecond
/// 2^61 | deadline    over; the instance is removed at the deadline
/// 2^62 | deadline    held as suspect until the deadline
/// MAX                no lease      MAX-1  begins with the first heartbeat
/// MAX-2              ending: an expiry is on its way to the store
/// MAX-3              the instance was removed or registered again
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseCell {
    /// It runs until then.
    Running(Monotonic),
    /// Protection holds it until then.
    Suspect(Monotonic),
    /// There is no lease.
    None,
    /// It begins with the first heartbeat.
    NotStarted,
    /// An expiry is on its way to the store.
    Ending,
    /// It ended; the instance is removed then.
    Over(Monotonic),
    /// This registration is no more.
    Gone,
}

const SUSPECT: u64 = 1 << 62;
const OVER: u64 = 1 << 61;
const DEADLINE: u64 = OVER - 1;

impl LeaseCell {
    fn pack(self) -> u64 {
        match self {
            Self::Running(deadline) => deadline.0 & DEADLINE,
            Self::Suspect(deadline) => (deadline.0 & DEADLINE) | SUSPECT,
            Self::None => u64::MAX,
            Self::NotStarted => u64::MAX - 1,
            Self::Ending => u64::MAX - 2,
            Self::Over(removal) => (removal.0 & DEADLINE) | OVER,
            Self::Gone => u64::MAX - 3,
        }
    }

    fn unpack(bits: u64) -> Self {
        match bits {
            u64::MAX => Self::None,
            bits if bits == u64::MAX - 1 => Self::NotStarted,
            bits if bits == u64::MAX - 2 => Self::Ending,
            bits if bits == u64::MAX - 3 => Self::Gone,
            bits if bits & SUSPECT != 0 => Self::Suspect(Monotonic(bits & DEADLINE)),
            bits if bits & OVER != 0 => Self::Over(Monotonic(bits & DEADLINE)),
            bits => Self::Running(Monotonic(bits)),
        }
    }
}

/// The latest answer, or the latest failure, of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which check.
    pub check: crate::name::CheckId,
    /// When.
    pub at: Timestamp,
    /// Why it failed, or what it said, in one sentence.
    pub reason: Text,
    /// HTTP status, if there was one.
    pub status: Option<u16>,
    /// The first 4 KiB of the body, if there was one.
    pub body: Option<Text>,
    /// What the body says of what the instance itself depends on, by name.
    pub dependencies: Box<[Dependency]>,
}

/// What an instance says of something that it depends on. It decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Its name in the body.
    pub name: Text,
    /// What it says; Unknown where that cannot be told.
    pub state: CheckState,
    /// What else the body says of it, in one line.
    pub detail: Option<Text>,
}

/// The signs of life of one registration.
#[derive(Debug)]
pub struct Vitals {
    key: InstanceKey,
    registration: RegistrationId,
    lease_seconds: u32,
    /// Whether the timekeeper has a task for the lease.
    filed: AtomicBool,
    lease: AtomicU64,
    heartbeat_wall: AtomicU64,
    heartbeat_monotonic: AtomicU64,
    probe_wall: AtomicU64,
    load: AtomicU32,
    answer: ArcSwapOption<Answer>,
    failure: ArcSwapOption<Answer>,
}

const NO_LOAD: u32 = u32::MAX;

impl Vitals {
    /// Makes the vitals of a new registration.
    pub fn new(
        key: InstanceKey,
        registration: RegistrationId,
        lease: LeaseCell,
        lease_seconds: u32,
    ) -> Self {
        Self {
            key,
            registration,
            lease_seconds,
            filed: AtomicBool::new(false),
            lease: AtomicU64::new(lease.pack()),
            heartbeat_wall: AtomicU64::new(0),
            heartbeat_monotonic: AtomicU64::new(0),
            probe_wall: AtomicU64::new(0),
            load: AtomicU32::new(NO_LOAD),
            answer: ArcSwapOption::const_empty(),
            failure: ArcSwapOption::const_empty(),
        }
    }

    /// Takes the signs of life of the registration before.
    pub(crate) fn inherit(&self, earlier: &Self) {
        let copy = |to: &AtomicU64, from: &AtomicU64| {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        };
        copy(&self.heartbeat_wall, &earlier.heartbeat_wall);
        copy(&self.heartbeat_monotonic, &earlier.heartbeat_monotonic);
        copy(&self.probe_wall, &earlier.probe_wall);
        self.load
            .store(earlier.load.load(Ordering::Relaxed), Ordering::Relaxed);
        self.answer.store(earlier.answer.load_full());
        self.failure.store(earlier.failure.load_full());
    }

    /// Names the instance.
    pub fn key(&self) -> &InstanceKey {
        &self.key
    }

    /// Returns which registration these belong to.
    pub fn registration(&self) -> RegistrationId {
        self.registration
    }

    /// Returns how long the lease runs after each heartbeat; zero when there is none.
    pub fn lease_length(&self) -> Duration {
        Duration::from_secs(self.lease_seconds.into())
    }

    /// Returns where the lease stands.
    pub fn lease(&self) -> LeaseCell {
        LeaseCell::unpack(self.lease.load(Ordering::Acquire))
    }

    /// Marks the lease as filed; false when it was already.
    pub(crate) fn file(&self) -> bool {
        !self.filed.swap(true, Ordering::AcqRel)
    }

    /// Marks the lease as not filed.
    pub(crate) fn unfile(&self) {
        self.filed.store(false, Ordering::Release);
    }

    /// Sets where the lease stands.
    pub(crate) fn set_lease(&self, cell: LeaseCell) {
        self.lease.store(cell.pack(), Ordering::Release);
    }

    /// Moves the lease from one state to another unless somebody else moved it first.
    pub(crate) fn move_lease(&self, from: LeaseCell, to: LeaseCell) -> bool {
        self.lease
            .compare_exchange(from.pack(), to.pack(), Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Returns when the last heartbeat came.
    pub fn last_heartbeat(&self) -> Option<Timestamp> {
        some_time(self.heartbeat_wall.load(Ordering::Relaxed))
    }

    /// Returns when the last heartbeat came, in monotonic time of this process.
    pub fn last_heartbeat_monotonic(&self) -> Option<Monotonic> {
        match self.heartbeat_monotonic.load(Ordering::Relaxed) {
            0 => None,
            at => Some(Monotonic(at - 1)),
        }
    }

    pub(crate) fn record_heartbeat(&self, wall: Timestamp, monotonic: Monotonic) {
        self.heartbeat_wall.store(wall.0, Ordering::Relaxed);
        self.heartbeat_monotonic
            .store(monotonic.0 + 1, Ordering::Relaxed);
    }

    /// Returns when the last probe ended.
    pub fn last_probe(&self) -> Option<Timestamp> {
        some_time(self.probe_wall.load(Ordering::Relaxed))
    }

    /// Records the result of a probe: the latest answer, and the latest failure if it is one.
    pub fn record_probe(&self, answer: Answer, failed: bool) {
        self.probe_wall.store(answer.at.0, Ordering::Relaxed);
        let answer = Arc::new(answer);
        if failed {
            self.failure.store(Some(Arc::clone(&answer)));
        }
        // A failure without any answer (refused, timed out) leaves the last real answer in its place.
        if answer.status.is_some() || !failed {
            self.answer.store(Some(answer));
        }
    }

    /// Returns the latest answer of any probe.
    pub fn last_answer(&self) -> Option<Arc<Answer>> {
        self.answer.load_full()
    }

    /// Returns the latest failure of any probe.
    pub fn last_failure(&self) -> Option<Arc<Answer>> {
        self.failure.load_full()
    }

    /// Returns the load the instance last spoke of: a ratio, 0 to 1.
    pub fn load(&self) -> Option<f32> {
        match self.load.load(Ordering::Relaxed) {
            NO_LOAD => None,
            bits => Some(f32::from_bits(bits)),
        }
    }

    /// Records the load; values that are no number are dropped, others cut to 0..1.
    pub fn record_load(&self, load: f32) {
        if load.is_finite() {
            self.load
                .store(load.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
        }
    }
}

fn some_time(bits: u64) -> Option<Timestamp> {
    (bits != 0).then_some(Timestamp(bits))
}
