//! Streams (RFC 7766): questions one after the other, each with its length before it; answers in as few writes.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::answer::{Context, Transport, answer};
use crate::places::Place;
use crate::server::Serving;

/// Most bytes of a question.
const QUESTION_BYTES_MAX: usize = 4_096;
/// Bytes of answers that are gathered before they are written.
const GATHERED_BYTES: usize = 16 << 10;
/// Most bytes of an answer, and of the length before it.
const ANSWER_BYTES_MAX: usize = 65_535;
const LENGTH_BYTES: usize = 2;
/// How long the listener pauses when the system has no file descriptor or memory left.
const PAUSE: Duration = Duration::from_millis(100);

thread_local! {
    // Answers are made without waiting in between, so that one room serves every connection of a thread.
    static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; ANSWER_BYTES_MAX]);
}

/// Accepts connections until the server stops.
pub(crate) async fn accept(listener: TcpListener, serving: Arc<Serving>, tasks: TaskTracker) {
    let mut stopping = serving.stopping();
    let places = Arc::clone(&serving.places);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let place = places.take(peer.ip());
                let connection = Connection {
                    local: stream.local_addr().ok().map(|local| local.ip()),
                    stream,
                    peer,
                    place,
                    serving: Arc::clone(&serving),
                };
                tasks.spawn(connection.run());
            }
            Err(error) => {
                tracing::debug!(%error, "a DNS connection was not accepted");
                // One that ended before it was accepted says nothing of the next.
                if !is_of_one_connection(&error) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    /// The address that was asked.
    local: Option<IpAddr>,
    place: Place,
    serving: Arc<Serving>,
}

impl Connection {
    async fn run(mut self) {
        // It fails only on a connection that is already gone.
        let _ = self.stream.set_nodelay(true);
        let mut stopping = self.serving.stopping();
        let idle = Duration::from_secs(self.serving.config.tcp_idle_seconds.into());
        let mut input = Vec::with_capacity(512);
        let mut output = Vec::new();
        loop {
            // One deadline for a whole question: a byte now and then buys no time.
            let deadline = tokio::time::sleep(idle);
            tokio::pin!(deadline);
            while !begins_with_question(&input) {
                let read = tokio::select! {
                    biased;
                    () = self.place.taken_away() => return,
                    _ = stopping.wait_for(|stop| *stop) => return,
                    read = self.stream.read_buf(&mut input) => read,
                    () = &mut deadline => return,
                };
                match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) if is_too_long(&input) => return,
                    Ok(_) => {}
                }
            }
            self.place.used();
            let consumed = self.answer_all(&input, &mut output);
            input.drain(..consumed);
            let written = tokio::select! {
                biased;
                written = tokio::time::timeout(idle, self.stream.write_all(&output)) => written,
                () = self.place.taken_away() => return,
                // What the peer takes at once is written above; who does not read is not waited for.
                _ = stopping.wait_for(|stop| *stop) => return,
            };
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
            output.clear();
            output.shrink_to(GATHERED_BYTES);
        }
    }

    /// Answers the whole questions that came, until enough is gathered; returns how many bytes they were.
    fn answer_all(&self, input: &[u8], output: &mut Vec<u8>) -> usize {
        let mut rest = input;
        while let Some((question, after)) = split_question(rest) {
            self.answer_one(question, output);
            rest = after;
            if output.len() >= GATHERED_BYTES {
                break;
            }
        }
        input.len() - rest.len()
    }

    fn answer_one(&self, question: &[u8], output: &mut Vec<u8>) {
        let serving = &self.serving;
        let context = Context {
            table: &serving.table,
            config: &serving.config,
            transport: Transport::Tcp,
            peer: self.peer.ip(),
            local: self.local,
            random: serving.next_random(),
        };
        ROOM.with_borrow_mut(|room| {
            let len = answer(question, room, &context);
            let answered = room.get(..len).unwrap_or_default();
            serving.counts.answer(question, answered);
            serving.log(self.peer, Transport::Tcp, answered);
            if let (Ok(len), false) = (u16::try_from(len), answered.is_empty()) {
                output.extend_from_slice(&len.to_be_bytes());
                output.extend_from_slice(answered);
            }
        });
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Splits the first question from what came, if it is whole.
fn split_question(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

fn begins_with_question(input: &[u8]) -> bool {
    split_question(input).is_some()
}

/// Says whether the first question is longer than any is.
fn is_too_long(input: &[u8]) -> bool {
    let length = input.first_chunk::<LENGTH_BYTES>();
    length.is_some_and(|length| usize::from(u16::from_be_bytes(*length)) > QUESTION_BYTES_MAX)
}
