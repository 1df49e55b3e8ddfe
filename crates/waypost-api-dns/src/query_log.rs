//! Who asked what and got what, for a sample of the questions.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use domain::base::{Message, ParsedName};
use domain::rdata::AllRecordData;

use crate::answer::Transport;
use crate::metrics::DnsMetrics;

/// Most lines that wait to be written.
const LINES_MAX: usize = 1_024;
/// Most answers that a line shows.
const ANSWERS_MAX: usize = 8;

/// Takes samples. Each worker has one of its own.
#[derive(Clone, Debug)]
pub(crate) struct QueryLog {
    every: u32,
    until_next: u32,
    lines: SyncSender<Sample>,
    metrics: DnsMetrics,
}

/// A question and its answer as bytes; they are read where nobody waits for it.
#[derive(Debug)]
pub(crate) struct Sample {
    peer: SocketAddr,
    transport: Transport,
    answer: Vec<u8>,
}

impl QueryLog {
    /// Makes the log and what writes its lines; `None` when nothing is to be logged.
    pub(crate) fn new(every: u32, metrics: &DnsMetrics) -> Option<(Self, Receiver<Sample>)> {
        if every == 0 {
            return None;
        }
        let (lines, receiver) = sync_channel(LINES_MAX);
        let log = Self {
            every,
            until_next: 1,
            lines,
            metrics: metrics.clone(),
        };
        Some((log, receiver))
    }

    /// Takes an answer in if it is its turn. It never waits.
    pub(crate) fn take(&mut self, peer: SocketAddr, transport: Transport, answer: &[u8]) {
        self.until_next -= 1;
        if self.until_next > 0 {
            return;
        }
        self.until_next = self.every;
        let sample = Sample {
            peer,
            transport,
            answer: answer.to_vec(),
        };
        match self.lines.try_send(sample) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => self.metrics.unlogged(),
        }
    }
}

/// Writes lines until every log is gone.
pub(crate) fn write(lines: &Receiver<Sample>) {
    while let Ok(sample) = lines.recv() {
        let Some(text) = Described::of(&sample.answer) else {
            continue;
        };
        tracing::info!(
            target: "waypost_dns::query",
            client = %sample.peer,
            transport = sample.transport.as_str(),
            name = %text.name,
            qtype = %text.qtype,
            rcode = %text.rcode,
            truncated = text.truncated,
            answers = text.count,
            first = %text.first,
            "answered"
        );
    }
}

struct Described {
    name: String,
    qtype: String,
    rcode: String,
    truncated: bool,
    count: u16,
    first: String,
}

impl Described {
    /// Reads an answer; `None` for one that is a header alone. Names are shown with what is no letter escaped.
    fn of(answer: &[u8]) -> Option<Self> {
        let message = Message::from_octets(answer).ok()?;
        let question = message.first_question()?;
        let records = message.answer().ok()?;
        let first: Vec<String> = records
            .take(ANSWERS_MAX)
            .filter_map(|record| {
                let record = record.ok()?;
                let record = record.to_any_record::<AllRecordData<_, ParsedName<_>>>();
                Some(record.ok()?.data().to_string())
            })
            .collect();
        Some(Self {
            name: question.qname().to_string(),
            qtype: question.qtype().to_string(),
            rcode: message.header().rcode().to_string(),
            truncated: message.header().tc(),
            count: message.header_counts().ancount(),
            first: first.join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, question};

    #[test]
    fn one_in_so_many_is_taken_and_described() {
        let mut world = World::new();
        world.register("web.svc.internal", "a", "10.0.0.1", 80);
        let query = question("web.svc.internal", 1, None);
        let answer = world.bytes(&query, Transport::Udp, 1);
        let metrics = DnsMetrics::default();
        let (mut log, lines) = QueryLog::new(3, &metrics).unwrap();
        let peer = "127.0.0.1:1".parse().unwrap();
        for _ in 0..7 {
            log.take(peer, Transport::Udp, &answer);
        }
        drop(log);
        let taken: Vec<Sample> = lines.iter().collect();
        assert_eq!(taken.len(), 3, "the first, the fourth and the seventh");
        let text = Described::of(&taken[0].answer).unwrap();
        assert_eq!(
            (text.name.as_str(), text.qtype.as_str()),
            ("web.svc.internal", "A")
        );
        assert_eq!(
            (text.rcode.as_str(), text.first.as_str()),
            ("NOERROR", "10.0.0.1")
        );
    }

    #[test]
    fn a_full_queue_loses_lines_and_says_how_many() {
        let metrics = DnsMetrics::default();
        let (mut log, lines) = QueryLog::new(1, &metrics).unwrap();
        for _ in 0..LINES_MAX + 5 {
            log.take("127.0.0.1:1".parse().unwrap(), Transport::Udp, &[0; 12]);
        }
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(Box::new(metrics));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("dns_query_log_dropped_total 5"), "{text}");
        drop(log);
        assert_eq!(lines.iter().count(), LINES_MAX);
    }
}
