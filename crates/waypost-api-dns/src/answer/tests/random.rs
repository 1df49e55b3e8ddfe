//! Random registries and random questions: our bytes are those that the oracle builds, but for the rotation.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::message::{Parts, Plain, Rec, Written, build, parts};
use super::oracle::{Asked, Model, Oracle};
use super::picks::{Pick, config, of, pick};
use crate::testing::{World, long_forms};
use crate::{Context, Transport, answer};

/// Asks, and compares with what the oracle builds.
pub(super) fn compare(world: &World, question: Pick) -> Result<(), String> {
    let asked = question.asked();
    let is_tcp = question.bit(41);
    let peer: IpAddr = if question.bits >> 42 & 7 == 0 {
        "192.0.2.99"
    } else {
        "127.0.0.1"
    }
    .parse()
    .unwrap();
    let locals = [
        Some("127.0.0.9".parse().unwrap()),
        Some("fd00::9".parse().unwrap()),
        None,
    ];
    let local: Option<IpAddr> = of(&locals, question.c);
    let context = Context {
        table: &world.table,
        config: &world.config,
        transport: if is_tcp {
            Transport::Tcp
        } else {
            Transport::Udp
        },
        peer,
        local,
        random: question.bits.rotate_left(17),
    };
    let mut out = vec![0; 65_535];
    let len = answer(&asked.bytes(), &mut out, &context);
    out.truncate(len);
    let came = parts(&out);
    let oracle = Oracle {
        snapshot: &world.snapshot,
        config: &world.config,
        is_tcp,
        peer,
        local,
        came: &came,
    };
    let model = oracle.answer(&asked);
    let limit = match (&asked.edns, is_tcp) {
        (_, true) => 65_535,
        (None, false) => 512,
        (Some(edns), false) => usize::from(edns.payload.max(512).min(world.config.udp_bytes_max)),
    };
    let outcome = judge(
        &asked,
        &model,
        &out,
        &came,
        limit,
        world.config.truncate_to_nothing,
    );
    outcome.map_err(|why| {
        let shown = asked.wire.escape_ascii();
        format!("{why}\nasked {shown} {asked:?} tcp {is_tcp}\ncame {came:?}\nmodel {model:?}")
    })
}

fn judge(
    asked: &Asked,
    model: &Model,
    out: &[u8],
    came: &Parts,
    limit: usize,
    to_nothing: bool,
) -> Result<(), String> {
    if out.len() > limit {
        return Err(format!("{} bytes, at most {limit}", out.len()));
    }
    let whole = |glue, reason| build(asked, model, Written { glue, reason });
    if whole(false, false).len() > limit {
        return judge_cut(asked, model, out, came, limit, to_nothing);
    }
    let reason = whole(false, true).len() <= limit;
    let full = whole(true, reason);
    if full.len() > limit {
        // Addresses of targets that do not fit are left out.
        let expected = parts(&whole(false, reason));
        let (glue, rest): (Vec<Plain>, Vec<Plain>) = came
            .additional
            .iter()
            .cloned()
            .partition(|it| it.rtype != 41);
        let possible: Vec<Plain> = model.additional.iter().map(Rec::plain).collect();
        let same = came.head == expected.head
            && came.question == expected.question
            && came.answer == expected.answer
            && came.authority == expected.authority
            && rest == expected.additional;
        let most = possible.iter().map(Plain::len).max().unwrap_or(0);
        if !same || !is_part(&glue, &possible) || out.len() + most <= limit {
            return Err(format!(
                "without the addresses that do not fit: {expected:?}"
            ));
        }
        return Ok(());
    }
    let expected = parts(&full);
    if *came != expected {
        return Err(format!("expected {expected:?}"));
    }
    if out.len() != full.len() {
        return Err(format!("{} bytes, {} expected", out.len(), full.len()));
    }
    Ok(())
}

/// An answer that is cut says so and holds as much as fits.
fn judge_cut(
    asked: &Asked,
    model: &Model,
    out: &[u8],
    came: &Parts,
    limit: usize,
    to_nothing: bool,
) -> Result<(), String> {
    let expected = parts(&build(
        asked,
        model,
        Written {
            glue: false,
            reason: false,
        },
    ));
    let [id1, id2, flags, code] = came.head;
    let [e1, e2, expected_flags, expected_code] = expected.head;
    let head =
        [id1, id2, flags & !0x02] == [e1, e2, expected_flags] && [0, expected_code].contains(&code);
    if !head || flags & 0x02 == 0 || came.question != expected.question {
        return Err("cut without TC, or with another head".to_owned());
    }
    let is_within =
        is_part(&came.answer, &expected.answer) && is_part(&came.authority, &expected.authority);
    let opts = usize::from(asked.edns.is_some());
    if !is_within || came.additional.len() != opts {
        return Err("what is left is no part of the answer".to_owned());
    }
    if to_nothing {
        let is_empty = came.answer.is_empty() && came.authority.is_empty();
        return is_empty.then_some(()).ok_or_else(|| "not empty".to_owned());
    }
    let all = expected.answer.iter().chain(&expected.authority);
    let most = all.map(Plain::len).max().unwrap_or(0);
    if out.len() + most <= limit {
        return Err(format!(
            "{} bytes, though more fits into {limit}",
            out.len()
        ));
    }
    Ok(())
}

fn is_part(some: &[Plain], all: &[Plain]) -> bool {
    let mut rest = all.to_vec();
    some.iter().all(|one| {
        let at = rest.iter().position(|other| other == one);
        at.map(|at| rest.swap_remove(at)).is_some()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if long_forms() { 20_000 } else { 300 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn answers_are_what_the_oracle_builds_from_the_registry(
        at in any::<u8>(),
        rounds in vec((vec(pick(), 1..60), vec(pick(), 8)), 1..4),
    ) {
        let mut world = World::with(config(at));
        for (changes, questions) in rounds {
            for change in changes {
                drop(world.try_run(&change.command()));
            }
            for question in questions {
                if let Err(why) = compare(&world, question) {
                    return Err(TestCaseError::fail(why));
                }
            }
        }
    }
}
