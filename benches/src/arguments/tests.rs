use super::Arguments;

fn parse(line: &str) -> std::io::Result<Arguments> {
    Arguments::parse(line.split_whitespace().map(str::to_owned))
}

#[test]
fn values_are_taken_by_name_and_type() {
    let mut arguments = parse("--count 3 --header a --header b").unwrap();
    assert_eq!(arguments.take_all("header"), ["a", "b"]);
    assert_eq!(arguments.require::<u32>("count").unwrap(), 3);
    assert_eq!(arguments.take::<u32>("other").unwrap(), None);
    assert!(arguments.finish().is_ok());
}

#[test]
fn what_is_wrong_with_an_argument_is_said_by_name() {
    let said = |result: std::io::Result<u32>| result.unwrap_err().to_string();
    assert_eq!(
        said(parse("--count x").unwrap().require("count")),
        "--count cannot be `x`"
    );
    assert_eq!(
        said(parse("").unwrap().require("count")),
        "--count is missing"
    );
    assert!(parse("--count").is_err());
    assert!(parse("count 3").is_err());
    assert!(parse("--unknown 3").unwrap().finish().is_err());
}
