use std::path::Path;

use super::{architecture, breaches, paths, readme};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn found_in(check: impl Fn(&mut Vec<String>)) -> Vec<String> {
    let mut found = Vec::new();
    check(&mut found);
    found
}

#[test]
fn a_missing_document_is_named() {
    let found = breaches(Path::new("/nonexistent"), &[]);
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("ARCHITECTURE.md cannot be read"));
    assert!(found[1].starts_with("README.md cannot be read"));
}

#[test]
fn a_crate_is_not_named_by_a_longer_name() {
    let crates = ["waypost", "waypost-core"];
    let longer = found_in(|found| architecture("`waypost-core-x` and xwaypost", &crates, found));
    assert_eq!(longer.len(), 2, "{longer:?}");
    let both =
        found_in(|found| architecture("waypost uses `crates/waypost-core/`.", &crates, found));
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn a_long_architecture_is_a_breach() {
    assert_eq!(
        found_in(|found| architecture(&"\n".repeat(251), &[], found)).len(),
        1
    );
}

#[test]
fn a_path_that_does_not_exist_is_named_with_its_line() {
    let text = "see `xtask/src/lib.rs`\nand `crates/waypost-nothing/src/lib.rs`.\n";
    assert_eq!(
        found_in(|found| paths(root(), "X.md", text, found)),
        ["X.md:2 names `crates/waypost-nothing/src/lib.rs`, which does not exist"]
    );
}

#[test]
fn line_numbers_items_and_placeholders_are_no_part_of_a_path() {
    let text = "`xtask/src/lib.rs:12` `xtask/src/layers.rs::TABLE` `crates/waypost-api-*/src/wire.rs` \
        `crates/waypost-<name>/`, `cat xtask/Cargo.toml` and crates/not/in/backticks\n\
        ```\n`crates/in/a/fence`\n```\n";
    let found = found_in(|found| paths(root(), "X.md", text, found));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_readme_shows_both_commands_in_shell_blocks() {
    let prose = found_in(|found| readme("`cargo xtask test`", found));
    assert_eq!(prose.len(), 2, "{prose:?}");
    let shown = "```sh\ncargo run --release -- serve\n```\n```sh\ncargo xtask test\n```\n";
    assert!(found_in(|found| readme(shown, found)).is_empty());
}
