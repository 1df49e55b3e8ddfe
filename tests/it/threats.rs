//! The page about attacks names tests that exist, and every class of attack that this project knows of.

use std::collections::BTreeSet;
use std::fs;

use crate::promises::{known_tests, root};

/// Marks of the faults of others that the page must have.
const CLASSES: [&str; 24] = [
    "CVE-2022-29153",
    "CVE-2020-7219",
    "CVE-2021-37219",
    "GO-2022-0559",
    "CVE-2023-3518",
    "GO-2024-3241",
    "GO-2024-3243",
    "GO-2025-4081",
    "GO-2022-0894",
    "GO-2023-1850",
    "CVE-2026-33413",
    "CVE-2021-29441",
    "a secret that is shipped",
    "JRaft",
    "XStream",
    "CVE-2025-47950",
    "CVE-2026-32934",
    "CVE-2026-35579",
    "CVE-2026-86003",
    "82399",
    "GHSA-h92q",
    "CVE-2019-19794",
    "Slowloris",
    "guessed",
];

#[test]
fn every_test_that_the_page_about_attacks_names_exists() {
    let page = fs::read_to_string(root().join("docs/operations/threats.md")).unwrap();
    let known = known_tests();
    let quoted = page.split('`').skip(1).step_by(2);
    let is_name = |word: &&str| {
        word.len() > 20
            && word
                .chars()
                .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
    };
    let named: BTreeSet<&str> = quoted.filter(is_name).collect();
    assert!(named.len() > 50, "{named:?}");
    let missing: Vec<&&str> = named
        .iter()
        .filter(|name| !known.contains(**name))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
    let rows = page.lines().filter(|line| {
        line.starts_with("| ")
            && !line.starts_with("| what")
            && !line.starts_with("| fault")
            && !line.starts_with("| class")
    });
    let (told, untold): (Vec<&str>, Vec<&str>) = rows.partition(|row| row.contains('`'));
    assert!(told.len() > 25 && untold.len() == 6, "{untold:?}");
}

#[test]
fn the_page_about_attacks_knows_every_class() {
    let page = fs::read_to_string(root().join("docs/operations/threats.md")).unwrap();
    let missing: Vec<&&str> = CLASSES
        .iter()
        .filter(|class| !page.contains(**class))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
