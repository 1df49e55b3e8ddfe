//! A closed loop of HTTP/1.1 requests: every connection sends the next request when it has the whole answer.
//!
//! `load --to ADDRESS:PORT --request FILE [--connections 1] [--requests N | --seconds S] [--first-number 0]`
//!
//! The file holds one request as it goes over the wire. Where it says `@@@@@@@@`, each request carries a number of
//! eight digits of its own, so that registrations differ and the length does not.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use waypost_benches::{Arguments, Histogram, Stopwatch, print_figure, print_rate};

const NUMBER: &[u8] = b"@@@@@@@@";

/// An answer larger than this is no answer of ours.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What every connection does, and the count they share.
struct Plan {
    to: SocketAddr,
    request: Vec<u8>,
    numbers_at: Vec<usize>,
    first_number: u64,
    requests: u64,
    duration: Duration,
    sent: AtomicU64,
    since: Stopwatch,
}

/// What one connection has seen.
#[derive(Default)]
struct Seen {
    times: Histogram,
    errors: u64,
    first_error: Option<String>,
}

fn main() -> io::Result<()> {
    let mut arguments = Arguments::of_this_process()?;
    let request = fs::read(arguments.require::<String>("request")?)?;
    let connections: usize = arguments.take("connections")?.unwrap_or(1);
    let plan = Arc::new(Plan {
        to: arguments.require("to")?,
        numbers_at: numbers_in(&request),
        request,
        first_number: arguments.take("first-number")?.unwrap_or(0),
        requests: arguments.take("requests")?.unwrap_or(u64::MAX),
        duration: Duration::from_secs_f64(arguments.take("seconds")?.unwrap_or(86_400.0)),
        sent: AtomicU64::new(0),
        since: Stopwatch::start(),
    });
    arguments.finish()?;

    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let plan = Arc::clone(&plan);
            thread::spawn(move || connection(&plan))
        })
        .collect();
    let mut all = Seen::default();
    for thread in threads {
        let seen = thread
            .join()
            .map_err(|_| io::Error::other("a connection panicked"))?;
        all.times.merge(&seen.times);
        all.errors += seen.errors;
        all.first_error = all.first_error.or(seen.first_error);
    }
    report(&all, plan.since.elapsed())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count of requests is far below 2^52"
)]
fn report(all: &Seen, elapsed: Duration) -> io::Result<()> {
    print_figure("requests", all.times.count() as f64, "", "")?;
    let note = all.first_error.as_deref().unwrap_or_default();
    print_figure("errors", all.errors as f64, "", note)?;
    print_rate("request", &all.times, elapsed)
}

fn numbers_in(request: &[u8]) -> Vec<usize> {
    let windows = request.windows(NUMBER.len()).enumerate();
    windows
        .filter(|(_, window)| *window == NUMBER)
        .map(|(at, _)| at)
        .collect()
}

fn connection(plan: &Plan) -> Seen {
    let mut seen = Seen::default();
    let mut request = plan.request.clone();
    let mut open: Option<TcpStream> = None;
    let mut answer = Vec::new();
    while plan.since.elapsed() < plan.duration {
        let index = plan.sent.fetch_add(1, Ordering::Relaxed);
        if index >= plan.requests {
            break;
        }
        put_number(&mut request, &plan.numbers_at, plan.first_number + index);
        let one = Stopwatch::start();
        match exchange(&mut open, plan.to, &request, &mut answer) {
            Ok(()) => seen.times.add(one.elapsed()),
            Err(error) => {
                open = None;
                seen.errors += 1;
                seen.first_error
                    .get_or_insert_with(|| error.to_string().replace(['\t', '\n', '\r'], " "));
            }
        }
    }
    seen
}

fn put_number(request: &mut [u8], places: &[usize], number: u64) {
    let digits = format!("{:08}", number % 100_000_000);
    for at in places {
        if let Some(place) = request.get_mut(*at..*at + NUMBER.len()) {
            place.copy_from_slice(digits.as_bytes());
        }
    }
}

fn exchange(
    open: &mut Option<TcpStream>,
    to: SocketAddr,
    request: &[u8],
    answer: &mut Vec<u8>,
) -> io::Result<()> {
    let stream = match open {
        Some(stream) => stream,
        None => open.insert(connect(to)?),
    };
    stream.write_all(request)?;
    answer.clear();
    let (status, is_last) = read_answer(stream, answer)?;
    if is_last {
        *open = None;
    }
    if (200..300).contains(&status) {
        return Ok(());
    }
    let start = answer.get(..answer.len().min(300)).unwrap_or_default();
    let text = String::from_utf8_lossy(start);
    Err(io::Error::other(format!("answered {text}")))
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(stream)
}

/// What a head says.
#[derive(Clone, Copy)]
struct Head {
    status: u16,
    /// The length of the whole answer.
    end: usize,
    /// Whether the server closes the connection behind it.
    is_last: bool,
}

/// Reads one answer to its end, which `Content-Length` tells; gives its status, and whether it is the connection's last.
fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<(u16, bool)> {
    let mut part = [0; 64 * 1024];
    let mut head: Option<Head> = None;
    loop {
        if let Some(head) = head
            && answer.len() >= head.end
        {
            return Ok((head.status, head.is_last));
        }
        let read = stream.read(&mut part)?;
        if read == 0 || answer.len() > ANSWER_BYTES_MAX {
            return Err(io::Error::other("the answer has no end"));
        }
        answer.extend_from_slice(part.get(..read).unwrap_or_default());
        if head.is_none() {
            head = parse_head(answer)?;
        }
    }
}

/// Reads the head, once it is complete.
fn parse_head(answer: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(answer.get(..end).unwrap_or_default());
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| io::Error::other("the answer has no status"))?;
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let header = |name: &str| {
        let mut found = headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    };
    let length = header("content-length").and_then(|value| value.parse::<usize>().ok());
    let has_no_body = matches!(status, 204 | 304);
    let length = match length {
        Some(length) => length,
        None if has_no_body => 0,
        None => return Err(io::Error::other("the answer has no Content-Length")),
    };
    Ok(Some(Head {
        status,
        end: end + 4 + length,
        is_last: header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
    }))
}
