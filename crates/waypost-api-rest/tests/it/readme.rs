//! The example of the README, line by line.

use crate::support::start;

#[tokio::test]
async fn the_example_of_the_readme_answers_as_printed() {
    let readme = include_str!("../../README.md");
    let example = readme
        .split("```console\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let server = start().await;
    let mut lines = example.lines();
    let mut count = 0;
    while let (Some(command), Some(expected)) = (lines.next(), lines.next()) {
        let command = command.strip_prefix("$ curl ").unwrap();
        let (method, rest) = match command.strip_prefix("-X ") {
            Some(rest) => rest.split_once(' ').unwrap(),
            None => ("GET", command),
        };
        let path = rest.split("127.0.0.1:3004").nth(1).unwrap();
        let (path, body) = path.split_once(" -d '").unwrap_or((path, ""));
        // What curl sends with -d.
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let body = body.trim_end_matches('\'');
        let answered = server.send(method, path, form, body.as_bytes()).await;
        assert_eq!(answered.body, expected, "{command}");
        count += 1;
    }
    assert_eq!(count, 5);
    server.stop().await;
}
