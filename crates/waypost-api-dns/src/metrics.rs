//! What is counted: questions by type, code and transport, and everything that was lost.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::answer::Transport;
use crate::name::split_label;
use crate::question::{HEADER_BYTES, rtype};

/// The types with a label of their own; everything else is `other`.
const TYPES: [(u16, &str); 11] = [
    (rtype::A, "A"),
    (rtype::AAAA, "AAAA"),
    (rtype::SRV, "SRV"),
    (rtype::TXT, "TXT"),
    (rtype::PTR, "PTR"),
    (rtype::SOA, "SOA"),
    (rtype::NS, "NS"),
    (rtype::CNAME, "CNAME"),
    (rtype::ANY, "ANY"),
    (64, "SVCB"),
    (65, "HTTPS"),
];
const CODES: [&str; 7] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS",
];
const TYPES_LEN: usize = TYPES.len() + 1;
const BAD_VERSION_AT: usize = 6;

/// Why a question got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It was no question.
    Silent,
    /// It was longer than any question is.
    Oversize,
    /// The system refused to send the answer.
    Unsent,
}

/// The counters of one writer, on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Counts {
    transport: Transport,
    answered: [[AtomicU64; CODES.len()]; TYPES_LEN],
    truncated: AtomicU64,
    lost: [AtomicU64; 3],
}

/// The counters of the DNS server.
#[derive(Clone, Debug, Default)]
pub struct DnsMetrics {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    writers: Mutex<Vec<Arc<Counts>>>,
    inodes: Mutex<Vec<u64>>,
    connections: AtomicI64,
    evicted: AtomicU64,
    unlogged: AtomicU64,
}

impl DnsMetrics {
    /// Registers the counters on `registry`, whose prefix should be `waypost`.
    ///
    /// They are `dns_queries_total{qtype,rcode,transport}`, `dns_truncated_total{transport}`,
    /// `dns_dropped_total{reason}`, `dns_kernel_drops_total`, `dns_tcp_connections`, `dns_tcp_evictions_total` and
    /// `dns_query_log_dropped_total` behind that prefix.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register_collector(Box::new(metrics.clone()));
        metrics
    }

    /// Makes the counters of one more writer.
    pub(crate) fn writer(&self, transport: Transport) -> Arc<Counts> {
        let counts = Arc::new(Counts {
            transport,
            answered: Default::default(),
            truncated: AtomicU64::new(0),
            lost: Default::default(),
        });
        let mut writers = lock(&self.shared.writers);
        writers.push(Arc::clone(&counts));
        counts
    }

    /// Names a socket whose losses in the kernel are to be shown.
    pub(crate) fn watch_socket(&self, inode: u64) {
        lock(&self.shared.inodes).push(inode);
    }

    pub(crate) fn connection(&self, change: i64) {
        self.shared.connections.fetch_add(change, Ordering::Relaxed);
    }

    pub(crate) fn evicted(&self) {
        self.shared.evicted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unlogged(&self) {
        self.shared.unlogged.fetch_add(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counts {
    /// Counts a question and its answer, of which both are read again: they are in the processor's cache.
    ///
    /// Datagrams have one writer for each counter, which need not be locked then; streams share theirs.
    pub(crate) fn answer(&self, query: &[u8], answer: &[u8]) {
        let Some([_, _, flags, code, ..]) = answer.first_chunk::<HEADER_BYTES>() else {
            self.lost(Lost::Silent);
            return;
        };
        let mut code = usize::from(code & 0xf);
        if code == 0 && is_bad_version(answer) {
            code = BAD_VERSION_AT;
        }
        let of_type = self.answered.get(type_at(query));
        if let Some(counter) = of_type.and_then(|codes| codes.get(code)) {
            self.add(counter);
        }
        if flags & 0x02 != 0 {
            self.add(&self.truncated);
        }
    }

    pub(crate) fn lost(&self, why: Lost) {
        let [silent, oversize, unsent] = &self.lost;
        self.add(match why {
            Lost::Silent => silent,
            Lost::Oversize => oversize,
            Lost::Unsent => unsent,
        });
    }

    fn add(&self, counter: &AtomicU64) {
        match self.transport {
            Transport::Udp => counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
            Transport::Tcp => drop(counter.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// Says whether the answer is empty but for an OPT record that says BADVERS.
fn is_bad_version(answer: &[u8]) -> bool {
    let nothing_else = answer.get(6..12) == Some(&[0, 0, 0, 0, 0, 1]);
    nothing_else && answer.last_chunk::<11>().is_some_and(|opt| opt[5] == 1)
}

fn type_at(query: &[u8]) -> usize {
    let mut rest = query.get(HEADER_BYTES..).unwrap_or_default();
    while let Some((_, after)) = split_label(rest) {
        rest = after;
    }
    let found = rest.get(1..).and_then(|rest| rest.first_chunk::<2>());
    let found = found.map(|bytes| u16::from_be_bytes(*bytes));
    let known = TYPES.iter().position(|(value, _)| Some(*value) == found);
    known.unwrap_or(TYPES.len())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabels {
    qtype: &'static str,
    rcode: &'static str,
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransportLabel {
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl Collector for DnsMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.encode_queries(&mut encoder)?;
        self.encode_losses(&mut encoder)?;
        let shared = &self.shared;
        let drops = waypost_datagram::kernel_drops(&lock(&shared.inodes));
        let counters = [
            (
                "dns_kernel_drops",
                "Datagrams that the kernel dropped because they were not read in time",
                drops,
            ),
            (
                "dns_tcp_evictions",
                "TCP connections closed to make room for others",
                shared.evicted.load(Ordering::Relaxed),
            ),
            (
                "dns_query_log_dropped",
                "Sampled questions that found no room in the log's queue",
                shared.unlogged.load(Ordering::Relaxed),
            ),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        let gauge = ConstGauge::new(shared.connections.load(Ordering::Relaxed));
        let help = "TCP connections open now";
        let metric =
            encoder.encode_descriptor("dns_tcp_connections", help, None, gauge.metric_type())?;
        gauge.encode(metric)
    }
}

impl DnsMetrics {
    fn encode_queries(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let kind = ConstCounter::new(0_u64).metric_type();
        let help = "Questions answered";
        let mut metric = encoder.encode_descriptor("dns_queries", help, None, kind)?;
        let writers = lock(&self.shared.writers);
        for transport in [Transport::Udp, Transport::Tcp] {
            let of_transport = || {
                writers
                    .iter()
                    .filter(|counts| counts.transport == transport)
            };
            let names = TYPES.iter().map(|(_, name)| *name).chain(["other"]);
            for (at, qtype) in names.enumerate() {
                for (code, rcode) in CODES.iter().enumerate() {
                    let one = |counts: &Arc<Counts>| {
                        let codes = counts.answered.get(at)?;
                        Some(codes.get(code)?.load(Ordering::Relaxed))
                    };
                    let sum: u64 = of_transport().filter_map(one).sum();
                    if sum == 0 {
                        continue;
                    }
                    let labels = QueryLabels {
                        qtype,
                        rcode,
                        transport: transport.as_str(),
                    };
                    ConstCounter::new(sum).encode(metric.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }

    fn encode_losses(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let kind = || ConstCounter::new(0_u64).metric_type();
        let writers = lock(&self.shared.writers);
        let help = "Answers that were cut to fit";
        let mut metric = encoder.encode_descriptor("dns_truncated", help, None, kind())?;
        for transport in [Transport::Udp, Transport::Tcp] {
            let of_transport = writers
                .iter()
                .filter(|counts| counts.transport == transport);
            let sum: u64 = of_transport
                .map(|counts| counts.truncated.load(Ordering::Relaxed))
                .sum();
            let labels = TransportLabel {
                transport: transport.as_str(),
            };
            ConstCounter::new(sum).encode(metric.encode_family(&labels)?)?;
        }
        let help = "Questions that were not answered";
        let mut metric = encoder.encode_descriptor("dns_dropped", help, None, kind())?;
        for (at, reason) in ["no_question", "oversize", "unsent"]
            .into_iter()
            .enumerate()
        {
            let one = |counts: &Arc<Counts>| Some(counts.lost.get(at)?.load(Ordering::Relaxed));
            let sum: u64 = writers.iter().filter_map(one).sum();
            ConstCounter::new(sum).encode(metric.encode_family(&ReasonLabel { reason })?)?;
        }
        Ok(())
    }
}
