use std::time::Duration;

use proptest::prelude::*;
use waypost_core::{Monotonic, ProbeProtocol, ProbeSpec};

use super::{EAGER, Intervals, Turn};
use crate::chance::Chance;

fn times(jitter_percent: u8) -> Intervals {
    Intervals::of(&ProbeSpec::new(ProbeProtocol::Tcp), jitter_percent)
}

fn at(seconds: u64) -> Monotonic {
    Monotonic(seconds * 1_000)
}

/// A check whose probes take no time; each line runs one.
struct Run {
    turn: Turn,
    times: Intervals,
    chance: Chance,
}

impl Run {
    fn new(turn: Turn) -> Self {
        Self {
            turn,
            times: times(0),
            chance: Chance::seeded(7),
        }
    }

    /// Probes when it is due and ends `took` later; returns when it began.
    fn probe(&mut self, took: Duration, passed: bool, failing: bool) -> Monotonic {
        let started = self.turn.due();
        self.turn.take(started, &self.times, &mut self.chance);
        let span = (started, started.after(took));
        self.turn
            .end(span, (passed, failing), &self.times, &mut self.chance);
        started
    }

    fn fails(&mut self) -> Monotonic {
        self.probe(Duration::ZERO, false, true)
    }

    fn passes(&mut self) -> Monotonic {
        self.probe(Duration::ZERO, true, false)
    }
}

#[test]
fn a_new_check_that_fails_is_due_every_second_for_30_s_and_then_at_the_unhealthy_interval() {
    let mut run = Run::new(Turn::new(at(100), EAGER, false));
    for second in 100..=130 {
        assert_eq!(run.fails(), at(second));
    }
    assert_eq!(run.fails(), at(135));
    assert_eq!(run.fails(), at(140));
}

#[test]
fn the_first_pass_ends_the_probing_every_second() {
    let mut run = Run::new(Turn::new(at(0), EAGER, false));
    assert_eq!(run.fails(), at(0));
    assert_eq!(run.passes(), at(1));
    assert_eq!(run.passes(), at(31));
    assert_eq!(run.passes(), at(61));
}

#[test]
fn from_the_first_failed_report_until_it_passes_again_the_unhealthy_interval_counts() {
    let mut run = Run::new(Turn::new(at(0), Duration::ZERO, false));
    assert_eq!(run.passes(), at(0));
    assert_eq!(run.fails(), at(30));
    assert_eq!(run.fails(), at(35));
    // One good report of the two that are needed: the check still says Failing.
    assert_eq!(run.probe(Duration::ZERO, true, true), at(40));
    assert_eq!(run.passes(), at(45));
    assert_eq!(run.passes(), at(75));
}

#[test]
fn one_that_was_found_failing_before_a_restart_goes_on_at_the_unhealthy_interval() {
    let mut run = Run::new(Turn::new(at(0), Duration::ZERO, true));
    assert_eq!(run.fails(), at(0));
    assert_eq!(run.fails(), at(5));
}

#[test]
fn a_failing_check_that_takes_longer_than_its_interval_is_due_when_it_ends() {
    let mut run = Run::new(Turn::new(at(0), Duration::ZERO, true));
    assert_eq!(run.probe(Duration::from_secs(12), false, true), at(0));
    assert_eq!(run.probe(Duration::from_secs(2), false, true), at(12));
    assert_eq!(run.fails(), at(17));
}

#[test]
fn a_slow_check_that_passes_keeps_its_turns_and_what_was_skipped_stays_skipped() {
    let mut run = Run::new(Turn::new(at(0), Duration::ZERO, false));
    let times = times(0);
    assert_eq!(run.turn.take(at(0), &times, &mut run.chance), 0);
    run.turn.skip(at(30), &times, &mut run.chance);
    assert_eq!(run.turn.due(), at(60));
    run.turn
        .end((at(0), at(31)), (true, false), &times, &mut run.chance);
    assert_eq!(run.turn.due(), at(60));
}

#[test]
fn turns_that_nobody_took_are_counted_and_not_made_up_for() {
    let mut run = Run::new(Turn::new(at(0), Duration::ZERO, false));
    let times = times(0);
    assert_eq!(run.turn.take(at(29), &times, &mut run.chance), 0);
    assert_eq!(run.turn.due(), at(59));
    assert_eq!(run.turn.take(at(59 + 95), &times, &mut run.chance), 3);
    assert_eq!(run.turn.due(), at(184));
}

#[test]
fn a_check_without_a_place_tries_soon_and_then_less_often_up_to_its_interval() {
    let mut turn = Turn::new(at(0), Duration::ZERO, false);
    let mut chance = Chance::seeded(7);
    let mut waits = Vec::new();
    for _ in 0..10 {
        let now = turn.due();
        turn.put_off(now, &times(10), &mut chance);
        waits.push(turn.due().since(now).as_millis());
    }
    assert!((250..=1_000).contains(&waits[0]), "{waits:?}");
    assert!((500..=2_000).contains(&waits[1]), "{waits:?}");
    assert!((7_500..=30_000).contains(&waits[9]), "{waits:?}");
    // A place was found: the next time begins with a short wait again.
    let now = turn.due();
    turn.take(now, &times(10), &mut chance);
    turn.put_off(now, &times(10), &mut chance);
    assert!(turn.due().since(now) <= Duration::from_secs(1));
}

#[test]
fn a_new_check_without_a_place_never_waits_longer_than_a_second() {
    let mut turn = Turn::new(at(0), EAGER, false);
    let mut chance = Chance::seeded(7);
    for _ in 0..20 {
        let now = turn.due();
        turn.put_off(now, &times(10), &mut chance);
        assert!(turn.due().since(now) <= Duration::from_secs(1));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Probe {
        took: u64,
        passed: bool,
        holds: bool,
    },
    Skip,
    PutOff,
    Pause(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..70_000u64, any::<bool>(), any::<bool>()).prop_map(|(took, passed, holds)| {
            Step::Probe {
                took,
                passed,
                holds,
            }
        }),
        Just(Step::Skip),
        Just(Step::PutOff),
        (0..200_000u64).prop_map(Step::Pause),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_next_turn_is_neither_past_nor_further_than_the_interval(
        steps in proptest::collection::vec(step(), 1..60),
        (interval, unhealthy) in (1..120u32, 1..120u32),
        eager in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let spec = ProbeSpec {
            interval_seconds: interval,
            unhealthy_interval_seconds: unhealthy,
            ..ProbeSpec::new(ProbeProtocol::Tcp)
        };
        let times = Intervals::of(&spec, 10);
        let mut chance = Chance::seeded(seed);
        let mut now = at(1_000);
        let mut turn = Turn::new(now, if eager { EAGER } else { Duration::ZERO }, false);
        let most = Duration::from_secs(interval.max(unhealthy).into()) * 11 / 10;
        for step in steps {
            now = now.max(turn.due());
            let mut earliest = now;
            match step {
                Step::Probe { took, passed, holds } => {
                    turn.take(now, &times, &mut chance);
                    let started = now;
                    now = now.after(Duration::from_millis(took));
                    earliest = started.after(Duration::from_millis(900));
                    // The shell skips each turn that comes up while the probe is under way.
                    while turn.due() <= now {
                        let due = turn.due();
                        turn.skip(due, &times, &mut chance);
                    }
                    turn.end((started, now), (passed, !passed || holds), &times, &mut chance);
                    earliest = earliest.max(now);
                }
                Step::Skip => turn.skip(now, &times, &mut chance),
                Step::PutOff => turn.put_off(now, &times, &mut chance),
                Step::Pause(pause) => {
                    now = now.after(Duration::from_millis(pause));
                    turn.take(now, &times, &mut chance);
                    earliest = now;
                }
            }
            prop_assert!(turn.due() >= earliest, "due {:?} at {now:?}", turn.due());
            prop_assert!(turn.due().since(now) <= most, "due {:?} at {now:?}", turn.due());
        }
    }

    #[test]
    fn jitter_stays_within_its_percentage(seed in any::<u64>(), percent in 0..=50u8) {
        let mut chance = Chance::seeded(seed);
        let interval = Duration::from_secs(30);
        let width = interval * u32::from(percent) / 100;
        for _ in 0..20 {
            let around = chance.around(interval, percent);
            prop_assert!(around >= interval - width && around <= interval + width);
        }
    }
}
