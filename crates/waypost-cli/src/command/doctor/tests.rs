//! How findings become a report, and that every check is there once.

use std::collections::BTreeSet;

use super::CATEGORIES;
use super::finding::{Finding, Outcome, bounded};
use super::report::{Examined, Report};
use crate::Exit;

fn report(findings: &[(&'static str, Finding)]) -> Report {
    let checks = findings.iter().map(|(name, finding)| Examined {
        category: "server",
        name,
        finding: finding.clone(),
    });
    let mut report = Report::default();
    report.add("server", checks.collect());
    report
}

#[test]
fn the_report_has_a_line_for_each_check_and_a_hint_for_what_is_not_well() {
    let report = report(&[
        ("reachable", Finding::ok("it answers")),
        ("ready", Finding::warning("little room", "make room")),
        ("version", Finding::skipped("no answer")),
        ("clock", Finding::skipped("no answer")),
        ("transport", Finding::failure("wrong", "mend it")),
    ]);
    assert_eq!(
        report.text(false),
        "server\n------\n[ok] it answers\n[!!] little room\n     hint: make room\n\
         [--] version, clock: no answer\n[xx] wrong\n     hint: mend it\n\nstatus: 1 failure, 1 warning\n"
    );
    assert_eq!(report.exit(false), Exit::Failure);
}

#[test]
fn warnings_fail_only_when_that_is_asked_for() {
    let well = report(&[("reachable", Finding::ok("it answers"))]);
    assert!(well.text(false).ends_with("\nstatus: ok\n"));
    assert_eq!((well.exit(false), well.exit(true)), (Exit::Ok, Exit::Ok));
    let warned = report(&[
        ("a", Finding::warning("x", "y")),
        ("b", Finding::warning("x", "y")),
    ]);
    assert!(warned.text(false).ends_with("\nstatus: 2 warnings\n"));
    assert_eq!(
        (warned.exit(false), warned.exit(true)),
        (Exit::Ok, Exit::Failure)
    );
}

#[test]
fn many_findings_are_cut_and_the_worst_stay() {
    let mut many = vec![Finding::warning("w", "h"); 80];
    many.push(Finding::failure("bad", "h"));
    let found = bounded(many);
    assert_eq!(found.len(), 50);
    assert_eq!(found[0].outcome, Outcome::Failure);
    let last = &found[49];
    assert_eq!(
        (last.outcome, &*last.detail),
        (Outcome::Warning, "32 more like these")
    );
    assert!(last.hint.is_some());
}

#[test]
fn every_check_of_a_category_has_a_name_of_its_own() {
    let mut names = BTreeSet::new();
    for category in CATEGORIES {
        for check in category.checks {
            assert!(names.insert((category.name, check.name)), "{}", check.name);
        }
    }
    assert!(names.len() >= 29, "{names:?}");
}
