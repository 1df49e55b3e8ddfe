//! Everything that runs: started in order, stopped in the reverse one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use crate::environment::Shared;
use crate::output::sink;
use crate::plan::Plan;
use crate::replica::{Common, Replica, Sinks};
use crate::stop::{Stop, at_least};
use crate::voice::Voice;
use crate::{Launch, RunArguments, reaper, stack};

/// Exit code of a command line or a file that cannot be right.
const USAGE: u8 = 2;
/// Signals that wait to be passed on to one replica.
const SIGNALS_MAX: usize = 64;

/// Runs what the arguments say and returns the exit code: the command's own, or 128 and the signal that ended it.
pub async fn run(arguments: RunArguments, launch: Launch) -> u8 {
    let voice = Voice {
        quiet: launch.quiet,
    };
    let (plans, namespace) = match plans(arguments) {
        Ok(found) => found,
        Err(why) => {
            voice.warn(&why);
            return USAGE;
        }
    };
    let client = match namespace.filter(|_| !launch.namespace_is_named) {
        Some(namespace) => launch.client.in_namespace(&namespace),
        None => launch.client.clone(),
    };
    let names: Vec<String> = plans.iter().map(|plan| plan.name.clone()).collect();
    let environment = Shared::collect(&client, &launch, &names).await;
    let common = Arc::new(Common {
        client,
        environment,
        voice,
        is_interactive: launch.is_interactive,
        own: Mutex::new(BTreeSet::new()),
    });
    let (stop, stopping) = watch::channel(Stop::Run);
    let (signals, _) = broadcast::channel(SIGNALS_MAX);
    let listening = match Listening::start() {
        Ok(listening) => listening,
        Err(error) => {
            voice.warn(&format!("signals cannot be received: {error}"));
            return 1;
        }
    };
    let is_own = |pid: i32| {
        let own = common.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.contains(&pid)
    };
    let all = everything(plans, &common, &stopping, &stop, &signals);
    tokio::select! {
        code = all => code,
        () = listening.obey(&stop, &signals) => 1,
        () = reaper::reap(is_own) => 1,
    }
}

/// Says what is to be run, and in which namespace if a file says so.
fn plans(arguments: RunArguments) -> Result<(Vec<Plan>, Option<String>), String> {
    match arguments.file.clone() {
        Some(file) => {
            let stack = stack::read(&file)?;
            Ok((stack.plans, stack.namespace))
        }
        None => {
            let plan = arguments.plan()?;
            plan.validate().map_err(|fault| format!("--{fault}"))?;
            Ok((vec![plan], None))
        }
    }
}

/// A service whose replicas run.
struct Running {
    name: String,
    stop: watch::Sender<Stop>,
    /// How many of its replicas are up.
    up: watch::Receiver<u32>,
    replicas: u32,
}

/// Starts the services in order, waits for an end, and stops them in the reverse order.
async fn everything(
    plans: Vec<Plan>,
    common: &Arc<Common>,
    stopping: &watch::Receiver<Stop>,
    stop_all: &watch::Sender<Stop>,
    signals: &broadcast::Sender<Signal>,
) -> u8 {
    let mut stopping = stopping.clone();
    let several = plans.len() > 1 || plans.iter().any(|plan| plan.replicas > 1);
    let sinks = several.then(|| Sinks {
        out: sink(tokio::io::stdout()),
        err: sink(tokio::io::stderr()),
    });
    let mut tasks: JoinSet<(String, u8)> = JoinSet::new();
    let mut running: Vec<Running> = Vec::new();
    let mut first_code = None;
    for plan in plans {
        let needs: Vec<watch::Receiver<u32>> = running
            .iter()
            .filter(|other| plan.depends_on.contains(&other.name))
            .map(|other| other.up.clone())
            .collect();
        let counts: Vec<u32> = running
            .iter()
            .filter(|other| plan.depends_on.contains(&other.name))
            .map(|other| other.replicas)
            .collect();
        let ready = async {
            for (mut up, count) in needs.into_iter().zip(counts) {
                // An end of theirs is seen below.
                drop(up.wait_for(|up| *up >= count).await);
            }
        };
        tokio::select! {
            () = ready => {}
            _ = at_least(&mut stopping, Stop::Leave(Signal::TERM)) => break,
            Some(ended) = tasks.join_next() => {
                first_code = failure_of(&ended);
                if first_code.is_some() {
                    break;
                }
            }
        }
        running.push(start(plan, common, signals, sinks.as_ref(), &mut tasks));
    }
    // Until somebody wants an end, one fails for good, or all have ended by themselves.
    while first_code.is_none() {
        tokio::select! {
            _ = at_least(&mut stopping, Stop::Leave(Signal::TERM)) => break,
            ended = tasks.join_next() => match ended {
                Some(ended) => first_code = failure_of(&ended),
                None => break,
            },
        }
    }
    if first_code.is_some() {
        // One that failed ends the others as a signal would.
        stop_all.send_if_modified(|stop| {
            let is_first = *stop == Stop::Run;
            if is_first {
                *stop = Stop::Leave(Signal::TERM);
            }
            is_first
        });
    }
    let code = stop_in_reverse(running, &mut stopping, &mut tasks).await;
    first_code.unwrap_or(code)
}

fn start(
    plan: Plan,
    common: &Arc<Common>,
    signals: &broadcast::Sender<Signal>,
    sinks: Option<&Sinks>,
    tasks: &mut JoinSet<(String, u8)>,
) -> Running {
    let (stop, stopping) = watch::channel(Stop::Run);
    let (up, is_up) = watch::channel(0);
    let plan = Arc::new(plan);
    for number in 1..=plan.replicas {
        let replica = Replica {
            plan: Arc::clone(&plan),
            number,
            common: Arc::clone(common),
            stop: stopping.clone(),
            signals: signals.subscribe(),
            up: up.clone(),
            sinks: sinks.cloned(),
        };
        let name = plan.name.clone();
        tasks.spawn(async move { (name, replica.run().await) });
    }
    Running {
        name: plan.name.clone(),
        stop,
        up: is_up,
        replicas: plan.replicas,
    }
}

/// Returns the code of one that failed; those that ended well leave the others alone.
fn failure_of(ended: &Result<(String, u8), tokio::task::JoinError>) -> Option<u8> {
    match ended {
        Ok((_, 0)) => None,
        Ok((_, code)) => Some(*code),
        Err(_) => Some(1),
    }
}

/// Stops what was started last first, each service with all of its replicas; returns the highest exit code.
async fn stop_in_reverse(
    running: Vec<Running>,
    stopping: &mut watch::Receiver<Stop>,
    tasks: &mut JoinSet<(String, u8)>,
) -> u8 {
    let mut code = 0;
    for service in running.into_iter().rev() {
        // It has ended when nobody listens to its stop any more.
        loop {
            let wanted = match *stopping.borrow_and_update() {
                Stop::Run => Stop::Leave(Signal::TERM),
                wanted => wanted,
            };
            service.stop.send_replace(wanted);
            tokio::select! {
                () = service.stop.closed() => break,
                changed = stopping.changed() => if changed.is_err() {
                    service.stop.closed().await;
                    break;
                },
            }
        }
    }
    while let Some(ended) = tasks.join_next().await {
        code = code.max(ended.map_or(1, |(_, code)| code));
    }
    code
}

/// The signals that this process receives.
struct Listening {
    ends: Vec<(Signal, tokio::signal::unix::Signal)>,
    passed_on: Vec<(Signal, tokio::signal::unix::Signal)>,
}

impl Listening {
    fn start() -> std::io::Result<Self> {
        let of = |kinds: &[(Signal, SignalKind)]| {
            let started = kinds.iter().map(|(name, kind)| Ok((*name, signal(*kind)?)));
            started.collect::<std::io::Result<Vec<_>>>()
        };
        Ok(Self {
            ends: of(&[
                (Signal::TERM, SignalKind::terminate()),
                (Signal::INT, SignalKind::interrupt()),
            ])?,
            passed_on: of(&[
                (Signal::HUP, SignalKind::hangup()),
                (Signal::QUIT, SignalKind::quit()),
                (Signal::USR1, SignalKind::user_defined1()),
                (Signal::USR2, SignalKind::user_defined2()),
                (Signal::WINCH, SignalKind::window_change()),
            ])?,
        })
    }

    /// Turns signals into stops, and passes the others on, for as long as it is driven.
    async fn obey(mut self, stop: &watch::Sender<Stop>, signals: &broadcast::Sender<Signal>) {
        loop {
            let (ends, passed_on) = (next_of(&mut self.ends), next_of(&mut self.passed_on));
            tokio::select! {
                signal = ends => stop.send_modify(|stop| *stop = stop.after(signal)),
                // Nobody listens before the first command is started.
                signal = passed_on => drop(signals.send(signal)),
            }
        }
    }
}

async fn next_of(signals: &mut [(Signal, tokio::signal::unix::Signal)]) -> Signal {
    std::future::poll_fn(|context| {
        for (name, stream) in signals.iter_mut() {
            if stream.poll_recv(context).is_ready() {
                return std::task::Poll::Ready(*name);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
