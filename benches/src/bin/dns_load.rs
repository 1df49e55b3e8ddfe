//! Questions over UDP with little effort: one connected socket, many questions under way, two system calls for a batch.
//!
//! `dns_load --to ADDRESS:PORT [--zone svc.test] [--services 1000] [--mix usual|found|missing|srv] [--seconds 4]
//! [--outstanding 200] [--rate N] [--changes-to ADDRESS:PORT] [--changes N]`
//!
//! With `--rate` it sends so many a second in even steps. With `--changes` it drains and resumes so many instances a
//! second over the registry's HTTP API meanwhile.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use waypost_benches::{Arguments, Chance, Mix, Questions, Stopwatch, print_figure};
use waypost_datagram::{BATCH, Batch, Options, Sizes, Socket};

const QUESTIONS: usize = 100_000;
/// Without an answer for so long, what is under way is given up.
const PATIENCE: Duration = Duration::from_millis(100);
/// How many steps a paced second has.
const STEPS_PER_SECOND: u32 = 1_000;

struct Plan {
    to: SocketAddr,
    questions: Questions,
    duration: Duration,
    outstanding: usize,
    rate: Option<u32>,
}

/// What came back.
#[derive(Default)]
struct Seen {
    sent: u64,
    answered: u64,
    missing: u64,
    bytes: u64,
    lost: u64,
}

fn main() -> io::Result<()> {
    let mut arguments = Arguments::of_this_process()?;
    let zone: String = arguments.take("zone")?.unwrap_or_else(|| "svc.test".into());
    let services: u64 = arguments.take("services")?.unwrap_or(1_000);
    let mix: Mix = arguments.take("mix")?.unwrap_or(Mix::Usual);
    let plan = Plan {
        to: arguments.require("to")?,
        questions: Questions::prepare(&zone, services, mix, QUESTIONS, &mut Chance::new(1)),
        duration: Duration::from_secs_f64(arguments.take("seconds")?.unwrap_or(4.0)),
        outstanding: arguments.take("outstanding")?.unwrap_or(200),
        rate: arguments.take("rate")?,
    };
    let changes_to: Option<SocketAddr> = arguments.take("changes-to")?;
    let changes: u32 = arguments.take("changes")?.unwrap_or(0);
    arguments.finish()?;

    let stop = Arc::new(AtomicBool::new(false));
    let made = Arc::new(AtomicU64::new(0));
    let changing = changes_to.filter(|_| changes > 0).map(|to| {
        let (stop, made) = (Arc::clone(&stop), Arc::clone(&made));
        thread::spawn(move || change(to, &zone, services, changes, &stop, &made))
    });
    let since = Stopwatch::start();
    let seen = match plan.rate {
        Some(rate) => paced(&plan, rate)?,
        None => saturated(&plan)?,
    };
    let elapsed = since.elapsed();
    stop.store(true, Ordering::Relaxed);
    if let Some(changing) = changing {
        changing
            .join()
            .map_err(|_| io::Error::other("the thread that changes panicked"))??;
    }
    report(&seen, elapsed, made.load(Ordering::Relaxed))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count of questions is far below 2^52"
)]
fn report(seen: &Seen, elapsed: Duration, changes: u64) -> io::Result<()> {
    let seconds = elapsed.as_secs_f64();
    let answered = seen.answered as f64;
    print_figure("answers", answered, "", "")?;
    print_figure("answer rate", answered / seconds, "1/s", "")?;
    print_figure("lost", seen.lost as f64, "", "")?;
    print_figure(
        "NXDOMAIN share",
        seen.missing as f64 / answered.max(1.0),
        "",
        "",
    )?;
    print_figure(
        "bytes per answer",
        seen.bytes as f64 / answered.max(1.0),
        "B",
        "",
    )?;
    print_figure("change rate", changes as f64 / seconds, "1/s", "")
}

fn connected(to: SocketAddr) -> io::Result<Socket> {
    let any: SocketAddr = if to.is_ipv4() {
        (Ipv4Addr::LOCALHOST, 0).into()
    } else {
        (Ipv6Addr::LOCALHOST, 0).into()
    };
    let options = Options {
        patience: Some(PATIENCE),
        ..Options::default()
    };
    let socket = Socket::bind(any, &options)?;
    socket.connect(to)?;
    Ok(socket)
}

impl Seen {
    fn take(&mut self, batch: &Batch) -> usize {
        let mut count = 0;
        for datagram in batch.received() {
            count += 1;
            self.bytes += u64::try_from(datagram.bytes.len()).unwrap_or(0);
            if datagram.bytes.get(3).is_some_and(|flags| flags & 15 == 3) {
                self.missing += 1;
            }
        }
        self.answered += u64::try_from(count).unwrap_or(0);
        count
    }

    /// Queues the next question.
    fn ask(&mut self, batch: &mut Batch, questions: &Questions) {
        let number = self.sent;
        self.sent += 1;
        let question = questions.get(usize::try_from(number).unwrap_or(0));
        batch.push(None, |out| {
            let Some(room) = out.get_mut(..question.len()) else {
                return 0;
            };
            room.copy_from_slice(question);
            let id = u16::try_from(number & 0xffff).unwrap_or(0).to_be_bytes();
            if let Some(first) = room.first_chunk_mut() {
                *first = id;
            }
            room.len()
        });
    }
}

/// Keeps so many questions under way.
fn saturated(plan: &Plan) -> io::Result<Seen> {
    let socket = connected(plan.to)?;
    let mut batch = Batch::new(Sizes::default());
    let mut seen = Seen::default();
    let mut under_way = 0;
    let since = Stopwatch::start();
    while since.elapsed() < plan.duration {
        while under_way < plan.outstanding {
            let now = BATCH.min(plan.outstanding - under_way);
            for _ in 0..now {
                seen.ask(&mut batch, &plan.questions);
            }
            batch.send(&socket);
            under_way += now;
        }
        if batch.receive(&socket)? == 0 {
            seen.lost += u64::try_from(under_way).unwrap_or(0);
            under_way = 0;
            continue;
        }
        let came = seen.take(&batch);
        under_way = under_way.saturating_sub(came);
    }
    Ok(seen)
}

/// Sends in even steps on one thread; another one counts what comes back.
fn paced(plan: &Plan, rate: u32) -> io::Result<Seen> {
    let socket = Arc::new(connected(plan.to)?);
    let stop = Arc::new(AtomicBool::new(false));
    let counting = {
        let (socket, stop) = (Arc::clone(&socket), Arc::clone(&stop));
        thread::spawn(move || {
            let mut batch = Batch::new(Sizes::default());
            let mut seen = Seen::default();
            while !stop.load(Ordering::Relaxed) {
                if batch.receive(&socket)? > 0 {
                    seen.take(&batch);
                }
            }
            Ok::<_, io::Error>(seen)
        })
    };
    let mut batch = Batch::new(Sizes::default());
    let mut sending = Seen::default();
    let since = Stopwatch::start();
    let step = Duration::from_secs(1) / STEPS_PER_SECOND;
    let mut number = 0;
    while since.elapsed() < plan.duration {
        let due = u64::from(rate) * number / u64::from(STEPS_PER_SECOND);
        while sending.sent < due {
            for _ in 0..BATCH.min(usize::try_from(due - sending.sent).unwrap_or(BATCH)) {
                sending.ask(&mut batch, &plan.questions);
            }
            batch.send(&socket);
        }
        number += 1;
        let next = step * u32::try_from(number).unwrap_or(u32::MAX);
        rest(next.saturating_sub(since.elapsed()));
    }
    rest(PATIENCE);
    stop.store(true, Ordering::Relaxed);
    let mut seen = counting
        .join()
        .map_err(|_| io::Error::other("the thread that counts panicked"))??;
    seen.sent = sending.sent;
    seen.lost = sending.sent.saturating_sub(seen.answered);
    Ok(seen)
}

/// Takes instances out of rotation and back, in even steps.
fn change(
    to: SocketAddr,
    zone: &str,
    services: u64,
    rate: u32,
    stop: &AtomicBool,
    made: &AtomicU64,
) -> io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    let since = Stopwatch::start();
    let mut chance = Chance::new(2);
    let mut out: Option<u64> = None;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = Duration::from_secs(number) / rate.max(1);
        rest(due.saturating_sub(since.elapsed()));
        // Every second change brings back what the one before took out.
        let (service, is_back) = match out.take() {
            Some(service) => (service, true),
            None => (chance.below(services), false),
        };
        let path = format!("/v1/namespaces/{zone}/services/s{service:04}/instances/a/mode");
        let request = if is_back {
            format!("DELETE {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        } else {
            out = Some(service);
            let body = r#"{"mode":"Draining","reason":"load"}"#;
            format!(
                "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        exchange(&mut stream, request.as_bytes())?;
        made.fetch_add(1, Ordering::Relaxed);
        number += 1;
    }
    Ok(())
}

fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<()> {
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err(io::Error::other("the registry closed the connection"));
        }
        answer.extend_from_slice(part.get(..read).unwrap_or_default());
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if !head.starts_with("HTTP/1.1 2") {
            return Err(io::Error::other(format!("the registry answered {head}")));
        }
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or(0);
        if body.len() >= length {
            return Ok(());
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a load in even steps is a matter of real time"
)]
fn rest(time: Duration) {
    if !time.is_zero() {
        thread::sleep(time);
    }
}
