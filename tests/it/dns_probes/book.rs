//! What `tests/dns/probes.toml` says: items, and what is asked and expected for each.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Book {
    pub(super) item: Vec<Item>,
}

/// One rule of the DNS that is kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    pub(super) number: u32,
    pub(super) topic: String,
    pub(super) rfc: String,
    #[serde(default)]
    pub(super) probe: Vec<Probe>,
    /// Tests that show what no single question can.
    #[serde(default)]
    pub(super) test: Vec<TestName>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestName {
    pub(super) file: String,
    pub(super) name: String,
}

/// A question and what must come back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {
    pub(super) title: String,
    pub(super) ask: Ask,
    #[serde(default)]
    pub(super) expect: Expect,
    /// Peers that answer otherwise, and why Waypost does not as they do.
    #[serde(default)]
    pub(super) differs: BTreeMap<String, String>,
    /// Servers that cannot be asked this, and why.
    #[serde(default)]
    pub(super) impossible: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Over {
    #[default]
    Udp,
    Tcp,
}

/// A question in parts, or the whole message in hexadecimal digits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    #[serde(default)]
    pub(super) raw: Option<String>,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default = "one", rename = "type")]
    pub(super) qtype: u16,
    #[serde(default = "one")]
    pub(super) class: u16,
    #[serde(default = "yes")]
    pub(super) rd: bool,
    #[serde(default)]
    pub(super) opcode: u8,
    /// The header's counts, when they are others than the message has.
    #[serde(default)]
    pub(super) counts: Option<[u8; 4]>,
    /// The payload size of an OPT record; without it there is none.
    #[serde(default)]
    pub(super) edns: Option<u16>,
    #[serde(default)]
    pub(super) version: u8,
    /// The flags of the OPT record.
    #[serde(default)]
    pub(super) z: u16,
    /// The options of the OPT record, in hexadecimal digits.
    #[serde(default)]
    pub(super) options: String,
    /// What follows, in hexadecimal digits.
    #[serde(default)]
    pub(super) tail: String,
    #[serde(default)]
    pub(super) over: Over,
    #[serde(default)]
    pub(super) from: Option<IpAddr>,
    /// How often it is asked.
    #[serde(default = "once")]
    pub(super) repeat: u32,
}

/// What must come back. What is not said must not be there.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) silence: bool,
    /// `NOERROR` when it is not said.
    pub(super) rcode: Option<String>,
    /// `aa` and what was asked of `rd`, when it is not said.
    pub(super) flags: Option<String>,
    pub(super) answer: Vec<String>,
    /// Least and most answers, when they are not listed.
    pub(super) answers: Option<[u16; 2]>,
    pub(super) authority: Vec<String>,
    pub(super) additional: Vec<String>,
    /// Least and most records of the additional section, when they are not listed.
    pub(super) additionals: Option<[u16; 2]>,
    /// Options of the OPT record; the record itself must be there whenever the question has one.
    pub(super) options: Vec<String>,
    pub(super) no_opt: bool,
    /// 512, 1,232 with EDNS and 65,535 over TCP when it is not said.
    pub(super) bytes_max: Option<usize>,
    /// Letters of names must be as they were asked.
    pub(super) exact_case: bool,
    /// So many different records come first, at least, when asked often.
    pub(super) firsts_min: Option<usize>,
    /// So many different records come in all when asked often.
    pub(super) seen: Option<usize>,
}

fn one() -> u16 {
    1
}

fn once() -> u32 {
    1
}

fn yes() -> bool {
    true
}
