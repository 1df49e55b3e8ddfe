use std::process::Command;
use std::time::Duration;

use super::{End, output_of, stream};

#[test]
fn every_line_of_a_program_is_read() {
    let mut lines = Vec::new();
    let end = stream(
        Command::new("sh").args(["-c", "echo one; echo two; exit 3"]),
        None,
        |line| lines.push(line.to_owned()),
    )
    .unwrap();
    assert_eq!(lines, ["one", "two"]);
    let End::Exited(status) = end else {
        panic!("{end:?}")
    };
    assert_eq!(status.code(), Some(3));
}

#[test]
fn a_program_that_takes_too_long_is_stopped_with_its_children() {
    // The inner sleep holds the pipe: reading ends only when it is killed too.
    let end = stream(
        Command::new("sh").args(["-c", "sleep 600 & sleep 600"]),
        Some(Duration::from_millis(50)),
        |_| {},
    )
    .unwrap();
    assert_eq!(end, End::OutOfTime);
}

#[test]
fn output_of_a_program_that_fails_is_an_error() {
    assert!(output_of(Command::new("sh").args(["-c", "exit 1"])).is_err());
    assert_eq!(
        output_of(Command::new("sh").args(["-c", "echo yes"])).unwrap(),
        "yes\n"
    );
}
