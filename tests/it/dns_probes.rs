//! The rules of the DNS, one by one: `tests/dns/probes.toml` says what is asked and what must come back, of Waypost and, in
//! the same run and with the same contents, of Knot and BIND.

mod book;
mod contents;
mod reference;
mod wire;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use book::{Book, Expect, Item, Over, Probe};
use reference::{Kind, Reference};
use wire::Answered;

use crate::server::{Server, Setup};
use crate::skips::{peer, skipped};

/// The items that are kept; those in between come later.
const ITEMS: [std::ops::RangeInclusive<u32>; 6] =
    [1..=24, 27..=27, 30..=33, 35..=35, 37..=37, 40..=43];
const SERVERS: [&str; 3] = ["waypost", "knot", "bind"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn book() -> Book {
    let text = std::fs::read_to_string(root().join("tests/dns/probes.toml")).unwrap();
    toml::from_str(&text).unwrap_or_else(|error| panic!("tests/dns/probes.toml: {error}"))
}

#[test]
fn every_rule_is_in_the_book_with_a_probe_or_a_test_that_is_there() {
    let book = book();
    let numbers: Vec<u32> = book.item.iter().map(|item| item.number).collect();
    let expected: Vec<u32> = ITEMS.into_iter().flatten().collect();
    assert_eq!(numbers, expected, "each item once, in order");
    for item in &book.item {
        let number = item.number;
        assert!(
            !item.topic.is_empty() && !item.rfc.is_empty(),
            "item {number}"
        );
        assert!(
            !item.probe.is_empty() || !item.test.is_empty(),
            "nothing shows item {number}"
        );
        for test in &item.test {
            let text = std::fs::read_to_string(root().join(&test.file)).unwrap_or_default();
            let line = format!("#[test]\nfn {}()", test.name);
            // Tests of a module within their file are indented.
            let is_there = text.contains(&line) || text.contains(&line.replace('\n', "\n    "));
            assert!(
                is_there,
                "item {number}: {} has no test {}",
                test.file, test.name
            );
        }
        for probe in &item.probe {
            for (server, why) in probe.differs.iter().chain(&probe.impossible) {
                let title = &probe.title;
                assert!(
                    SERVERS.contains(&server.as_str()),
                    "{title}: who is {server}?"
                );
                assert!(why.len() > 10, "{title}: no reason for {server}");
            }
            assert!(!probe.differs.contains_key("waypost"), "{}", probe.title);
        }
    }
}

fn waypost() -> Server {
    let server = Setup::new()
        .env("SERVICE_DISCOVERY_MODE", "memory_only")
        .env("WAYPOST__DNS__ALLOW", "127.0.0.1/32,127.0.0.2/32")
        .start();
    contents::register(&server);
    server
}

#[test]
fn waypost_answers_every_probe_as_the_book_says() {
    let server = waypost();
    let failures = failures("waypost", server.dns(), &book().item);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn knot_answers_every_probe_as_the_book_says_but_where_it_names_a_difference() {
    against(
        "knot",
        Kind::Knot,
        "WAYPOST_PEER_KNOTD",
        "knot_answers_every_probe_as_the_book_says_but_where_it_names_a_difference",
    );
}

#[test]
fn bind_answers_every_probe_as_the_book_says_but_where_it_names_a_difference() {
    against(
        "bind",
        Kind::Bind,
        "WAYPOST_PEER_NAMED",
        "bind_answers_every_probe_as_the_book_says_but_where_it_names_a_difference",
    );
}

fn against(name: &str, kind: Kind, variable: &str, test: &str) {
    let started = peer(variable).and_then(|program| Reference::start(kind, &program));
    let server = match started {
        Ok(server) => server,
        Err(why) => return skipped(&format!("dns_probes::{test}"), &why),
    };
    let failures = failures(name, server.address, &book().item);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Asks everything and lists what is not as it is written.
fn failures(server: &str, address: SocketAddr, items: &[Item]) -> Vec<String> {
    let mut failures = Vec::new();
    let mut asked = 0;
    for item in items {
        for probe in &item.probe {
            if probe.impossible.contains_key(server) {
                continue;
            }
            asked += 1;
            let outcome = try_probe(probe, address);
            let (number, title) = (item.number, &probe.title);
            match (outcome, probe.differs.get(server)) {
                (Err(why), None) => failures.push(format!("{number}. {title}: {server}: {why}")),
                (Ok(()), Some(reason)) => failures.push(format!(
                    "{number}. {title}: {server} answers as is expected, but the book says: {reason}"
                )),
                _ => {}
            }
        }
    }
    eprintln!(
        "{server}: {asked} probes, {} not as written",
        failures.len()
    );
    failures
}

fn try_probe(probe: &Probe, address: SocketAddr) -> Result<(), String> {
    let (ask, expect) = (&probe.ask, &probe.expect);
    let mut bytes = ask.bytes();
    let (mut firsts, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..ask.repeat {
        if ask.repeat > 1 {
            // As of different clients: some servers rotate by the id.
            bytes[1] = u8::try_from(round).unwrap();
        }
        let answered = match ask.send(address, &bytes) {
            None if expect.silence => return Ok(()),
            None => return Err("silence".to_owned()),
            Some(_) if expect.silence => {
                return Err("an answer, where there should be silence".to_owned());
            }
            Some(answer) => wire::read(&bytes, &answer)?,
        };
        compare(probe, &answered).map_err(|why| format!("{why}\n    {answered:?}"))?;
        firsts.extend(answered.answer.first().cloned());
        seen.extend(answered.answer);
    }
    if expect.firsts_min.is_some_and(|least| firsts.len() < least) {
        return Err(format!("only {firsts:?} came first"));
    }
    match expect.seen {
        Some(count) if count != seen.len() => Err(format!("{} answers in all", seen.len())),
        _ => Ok(()),
    }
}

/// Compares everything that an answer has: what is not expected must not be there.
fn compare(probe: &Probe, answered: &Answered) -> Result<(), String> {
    let (ask, expect) = (&probe.ask, &probe.expect);
    if let Some(wrong) = &answered.wrong {
        return Err(wrong.clone());
    }
    let rcode = expect.rcode.as_deref().unwrap_or("NOERROR");
    same("rcode", &answered.rcode, &rcode.to_owned())?;
    let flags = match &expect.flags {
        Some(flags) => flags.clone(),
        None if ask.rd => "aa rd".to_owned(),
        None => "aa".to_owned(),
    };
    same("flags", &answered.flags, &flags)?;
    section(
        "answer",
        &answered.answer,
        &expect.answer,
        expect.answers,
        expect,
    )?;
    section(
        "authority",
        &answered.authority,
        &expect.authority,
        None,
        expect,
    )?;
    section(
        "additional",
        &answered.additional,
        &expect.additional,
        expect.additionals,
        expect,
    )?;
    let opt = (ask.edns.is_some() && !expect.no_opt).then(|| {
        let flags = if ask.z & 0x8000 != 0 { " do" } else { "" };
        (
            format!("version 0 payload 1232{flags}"),
            expect.options.clone(),
        )
    });
    same("opt", &answered.opt, &opt)?;
    let most = expect.bytes_max.unwrap_or(match (ask.over, ask.edns) {
        (Over::Tcp, _) => 65_535,
        (Over::Udp, Some(_)) => 1_232,
        (Over::Udp, None) => 512,
    });
    if answered.len > most {
        return Err(format!("{} bytes, at most {most} expected", answered.len));
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what} is {found:?}, {expected:?} expected"))
}

fn section(
    what: &str,
    found: &[String],
    expected: &[String],
    counts: Option<[u16; 2]>,
    expect: &Expect,
) -> Result<(), String> {
    if let Some([least, most]) = counts {
        let count = u16::try_from(found.len()).unwrap();
        if (least..=most).contains(&count) {
            return Ok(());
        }
        return Err(format!(
            "{count} records in {what}, {least} to {most} expected"
        ));
    }
    let fold = |lines: &[String]| {
        let line = |line: &String| {
            if expect.exact_case {
                line.clone()
            } else {
                line.to_lowercase()
            }
        };
        let mut lines: Vec<String> = lines.iter().map(line).collect();
        lines.sort();
        lines
    };
    same(what, &fold(found), &fold(expected))
}
