//! The life of one replica: started, watched, drained, stopped, perhaps started again.

use std::collections::BTreeSet;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use waypost_client::{Client, InstanceRef};

use crate::child::{Child, Target, code_of};
use crate::environment::Shared;
use crate::membership::Membership;
use crate::output::{Sink, pass_on};
use crate::place::Place;
use crate::plan::{Plan, Restart};
use crate::stop::{Stop, at_least};
use crate::voice::Voice;

/// Wait before the first restart; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A command that ran for so long is no longer one that cannot start.
const SETTLED: Duration = Duration::from_secs(60);
/// Codes of a shell for a program that is not there and one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;

/// What all replicas share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) client: Client,
    pub(crate) environment: Shared,
    pub(crate) voice: Voice,
    pub(crate) is_interactive: bool,
    /// The processes that somebody here waits for.
    pub(crate) own: Mutex<BTreeSet<i32>>,
}

/// Where prefixed lines go.
#[derive(Clone)]
pub(crate) struct Sinks {
    pub(crate) out: Sink,
    pub(crate) err: Sink,
}

/// One replica.
pub(crate) struct Replica {
    pub(crate) plan: Arc<Plan>,
    /// Counted from one.
    pub(crate) number: u32,
    pub(crate) common: Arc<Common>,
    pub(crate) stop: watch::Receiver<Stop>,
    /// Signals that are passed on as they are.
    pub(crate) signals: broadcast::Receiver<Signal>,
    /// Told when it is up.
    pub(crate) up: watch::Sender<u32>,
    pub(crate) sinks: Option<Sinks>,
}

/// How a start of the command ended.
enum Life {
    /// It ended by itself.
    Ended(u8),
    /// It was asked to.
    Asked(u8),
    /// It is not to be tried again.
    Hopeless(u8),
}

enum Turn {
    Ended(io::Result<ExitStatus>),
    Asked,
    NeverUp(String),
}

impl Replica {
    fn name(&self) -> String {
        if self.plan.replicas > 1 {
            format!("{}.{}", self.plan.name, self.number)
        } else {
            self.plan.name.clone()
        }
    }

    /// Runs to the end and returns the exit code.
    pub(crate) async fn run(mut self) -> u8 {
        let voice = self.common.voice;
        let place = match Place::choose(&self.plan, self.number - 1, &self.common.client.url()) {
            Ok(place) => place,
            Err(error) => {
                voice.warn(&format!("{}: no place to listen: {error}", self.name()));
                return 1;
            }
        };
        let mut wait = FIRST_WAIT;
        loop {
            let lasted = tokio::time::sleep(SETTLED);
            tokio::pin!(lasted);
            let life = self.live(&place).await;
            if futures_ready(lasted.as_mut()).await {
                wait = FIRST_WAIT;
            }
            let code = match life {
                Life::Asked(code) | Life::Hopeless(code) => return code,
                Life::Ended(code) => code,
            };
            let again = match self.plan.restart {
                Restart::No => false,
                Restart::OnFailure => code != 0,
                Restart::Always => true,
            };
            if !again {
                return code;
            }
            voice.say(&format!(
                "{}: starting again in {} s",
                self.name(),
                wait.as_secs()
            ));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = at_least(&mut self.stop, Stop::Leave(Signal::TERM)) => return code,
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Starts the command once and sees it through.
    async fn live(&mut self, place: &Place) -> Life {
        let voice = self.common.voice;
        let name = self.name();
        let mut child = match self.start(place) {
            Ok(child) => child,
            Err((code, why)) => {
                voice.warn(&format!("{name}: {why}"));
                return Life::Hopeless(code);
            }
        };
        let started = Stopwatch::start();
        let pid = child.pid();
        self.own(|own| own.insert(pid));
        let mut lines = self.pass_output_on(&mut child, &name);
        let mut membership = self.plan.registers.then(|| {
            let instance = InstanceRef::new(&self.plan.name, &place.id);
            let registration = self.plan.registration(&place.address, place.port);
            Membership::begin(&self.common.client, instance, registration, voice)
        });
        let turn = self
            .watch(&mut child, membership.as_mut(), place, &name)
            .await;
        let life = match turn {
            Turn::Ended(status) => {
                let code = status.map_or(1, code_of);
                if let Some(membership) = membership {
                    membership.end().await;
                }
                voice.say(&format!(
                    "{name}: ended with {} after {:.1} s",
                    told(code),
                    started.seconds()
                ));
                Life::Ended(code)
            }
            Turn::Asked => {
                if let Some(membership) = &mut membership {
                    self.drain(&mut child, membership, &name).await;
                }
                let code = self.end(&mut child).await;
                if let Some(membership) = membership {
                    membership.end().await;
                }
                Life::Asked(code)
            }
            Turn::NeverUp(why) => {
                voice.warn(&format!("{name}: {why}"));
                child.target().signal(Signal::TERM);
                self.wait_or_kill(&mut child).await;
                if let Some(membership) = membership {
                    membership.end().await;
                }
                Life::Ended(1)
            }
        };
        child.end_strays().await;
        // What it still had to say when it ended is said.
        let rest = async { while lines.join_next().await.is_some() {} };
        drop(tokio::time::timeout(Duration::from_secs(1), rest).await);
        self.own(|own| own.remove(&pid));
        life
    }

    fn own(&self, change: impl FnOnce(&mut BTreeSet<i32>) -> bool) {
        let mut own = self
            .common
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut own);
    }

    fn start(&self, place: &Place) -> Result<Child, (u8, String)> {
        let mut words = self.plan.command.iter();
        let program = words.next().map(String::as_str).unwrap_or_default();
        let program = place.fill(program, self.number);
        let mut command = Command::new(&program);
        command
            .args(words.map(|word| place.fill(word, self.number)))
            .envs(self.common.environment.of(&self.plan.environment, place));
        if let Some(directory) = &self.plan.directory {
            command.current_dir(directory);
        }
        if self.sinks.is_some() {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        Child::start(&mut command, self.common.is_interactive).map_err(|error| {
            let code = match error.kind() {
                io::ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_RUNNABLE,
            };
            (code, format!("{program} cannot be started: {error}"))
        })
    }

    fn pass_output_on(&self, child: &mut Child, name: &str) -> JoinSet<()> {
        let mut lines = JoinSet::new();
        if let Some(sinks) = &self.sinks {
            let (out, err) = child.output();
            if let Some(out) = out {
                let (name, to) = (name.to_owned(), Arc::clone(&sinks.out));
                lines.spawn(async move { pass_on(out, &name, to).await });
            }
            if let Some(err) = err {
                let (name, to) = (name.to_owned(), Arc::clone(&sinks.err));
                lines.spawn(async move { pass_on(err, &name, to).await });
            }
        }
        lines
    }

    /// Watches until the command ends, is to end, or has not come up in time.
    async fn watch(
        &mut self,
        child: &mut Child,
        membership: Option<&mut Membership>,
        place: &Place,
        name: &str,
    ) -> Turn {
        let target = child.target();
        let (plan, up, voice) = (Arc::clone(&self.plan), self.up.clone(), self.common.voice);
        let health = async move {
            let Some(membership) = membership else {
                up.send_modify(|up| *up += 1);
                return std::future::pending().await;
            };
            let limit = if plan.startup.is_zero() {
                Duration::MAX
            } else {
                plan.startup
            };
            match tokio::time::timeout(limit, membership.is_up()).await {
                Ok(Ok(_)) => {}
                Ok(Err(why)) => return why,
                Err(_) => {
                    let why = membership.why_not().await;
                    let limit = limit.as_secs();
                    return format!("its check has not passed within {limit} s: {why}");
                }
            }
            voice.say(&format!(
                "{name} is in rotation at {}:{} as {}",
                place.address, place.port, place.id
            ));
            up.send_modify(|up| *up += 1);
            membership.tell_changes().await;
            std::future::pending().await
        };
        tokio::select! {
            status = child.ended() => Turn::Ended(status),
            _ = at_least(&mut self.stop, Stop::Leave(Signal::TERM)) => Turn::Asked,
            why = health => Turn::NeverUp(why),
            () = forward(&mut self.signals, target) => Turn::Asked,
        }
    }

    /// Leaves the rotation and waits until nobody can come any more who asked before.
    async fn drain(&mut self, child: &mut Child, membership: &mut Membership, name: &str) {
        if *self.stop.borrow() == Stop::Kill {
            return;
        }
        membership.drain().await;
        let wait = match self.plan.drain {
            Some(wait) => wait,
            None if self.common.is_interactive => Duration::ZERO,
            None => membership.memory_of_askers().await,
        };
        if wait.is_zero() {
            return;
        }
        self.common.voice.say(&format!(
            "{name} has left the rotation; it is stopped in {:.0} s",
            wait.as_secs_f64()
        ));
        let target = child.target();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = child.ended() => {}
            _ = at_least(&mut self.stop, Stop::Hurry(Signal::TERM)) => {}
            () = membership.tell_changes() => {}
            () = forward(&mut self.signals, target) => {}
        }
    }

    /// Asks the command to end, and makes it.
    async fn end(&mut self, child: &mut Child) -> u8 {
        let signal = match *self.stop.borrow() {
            Stop::Leave(signal) | Stop::Hurry(signal) => signal,
            Stop::Run => Signal::TERM,
            Stop::Kill => Signal::KILL,
        };
        // Ctrl-C on a terminal has reached the command already: it is in the same group.
        if !(self.common.is_interactive && signal == Signal::INT) {
            child.target().signal(signal);
        }
        self.wait_or_kill(child).await
    }

    async fn wait_or_kill(&mut self, child: &mut Child) -> u8 {
        let target = child.target();
        let status = tokio::select! {
            status = child.ended() => Some(status),
            () = tokio::time::sleep(self.plan.grace) => None,
            _ = at_least(&mut self.stop, Stop::Kill) => None,
            () = forward(&mut self.signals, target) => None,
        };
        let status = match status {
            Some(status) => status,
            None => {
                self.common.voice.warn(&format!(
                    "{} did not end within {:.0} s and is killed",
                    self.name(),
                    self.plan.grace.as_secs_f64()
                ));
                child.target().signal(Signal::KILL);
                child.ended().await
            }
        };
        status.map_or(1, code_of)
    }
}

fn told(code: u8) -> String {
    match code {
        129..=192 => format!("signal {}", code - 128),
        code => format!("code {code}"),
    }
}

/// Passes signals on for as long as it is driven.
async fn forward(signals: &mut broadcast::Receiver<Signal>, target: Target) {
    loop {
        match signals.recv().await {
            Ok(signal) => target.signal(signal),
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending::<()>().await,
        }
    }
}

/// Says whether a future is ready, without waiting for it.
async fn futures_ready(future: std::pin::Pin<&mut tokio::time::Sleep>) -> bool {
    tokio::select! {
        biased;
        () = future => true,
        () = std::future::ready(()) => false,
    }
}

/// Measures for a message; no decision depends on it.
struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a figure for a message, never a decision"
    )]
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
