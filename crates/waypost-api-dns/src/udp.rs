//! Datagrams: threads outside of the runtime, each with a socket of its own, two system calls for a batch.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use waypost_datagram::{Batch, Sizes, Socket};

use crate::answer::{Context, Transport, answer};
use crate::chance::Chance;
use crate::metrics::{Counts, Lost};
use crate::query_log::QueryLog;
use crate::server::Serving;

/// Most bytes of a question: as many as an Ethernet frame takes.
const QUESTION_BYTES_MAX: usize = 1_472;
/// How long a worker rests after the system refused to let it receive, before it tries again.
const REST: Duration = Duration::from_millis(50);
/// Failures in a row after which it ends, and the server with it: better gone than mute.
const FAILURES_MAX: u32 = 200;

/// A thread's worth of answering.
pub(crate) struct Worker {
    pub(crate) socket: Socket,
    pub(crate) serving: Arc<Serving>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) log: Option<QueryLog>,
    pub(crate) chance: Chance,
}

impl Worker {
    /// Answers until the server stops.
    pub(crate) fn run(mut self) {
        let sizes = Sizes {
            received: QUESTION_BYTES_MAX,
            sent: self.serving.config.udp_bytes_max.max(512).into(),
        };
        let mut batch = Batch::new(sizes);
        let mut failures = 0;
        while !self.serving.is_stopping() {
            match batch.receive(&self.socket) {
                Ok(0) => continue,
                Ok(_) => {
                    failures = 0;
                    self.answer(&mut batch);
                }
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(%error, "datagrams cannot be received; trying again");
                    }
                    if failures == FAILURES_MAX {
                        tracing::error!(%error, "datagrams cannot be received; giving up");
                        return;
                    }
                    std::thread::park_timeout(REST);
                }
            }
        }
    }

    fn answer(&mut self, batch: &mut Batch) {
        let Self {
            socket,
            serving,
            counts,
            log,
            chance,
        } = self;
        batch.answer_each(|datagram, out| {
            if datagram.truncated {
                counts.lost(Lost::Oversize);
                return 0;
            }
            let peer: IpAddr = datagram.peer.ip();
            let context = Context {
                table: &serving.table,
                config: &serving.config,
                transport: Transport::Udp,
                peer,
                local: datagram.local,
                random: chance.next(),
            };
            let len = answer(datagram.bytes, out, &context);
            let answered = out.get(..len).unwrap_or_default();
            counts.answer(datagram.bytes, answered);
            if let Some(log) = log {
                log.take(datagram.peer, Transport::Udp, answered);
            }
            len
        });
        let sent = batch.send(socket);
        for _ in 0..sent.failed {
            counts.lost(Lost::Unsent);
        }
    }
}
