//! Which command lines are understood.

use clap::{CommandFactory as _, Parser as _};

use super::Program;
use crate::{ClientCommand, ColorChoice, OutputFormat};

fn parse(line: &str) -> Result<Program, clap::Error> {
    Program::try_parse_from(["waypost"].into_iter().chain(line.split_whitespace()))
}

#[test]
fn the_command_is_consistent() {
    Program::command().debug_assert();
}

#[test]
fn the_program_describes_itself_and_not_its_parts() {
    let help = Program::command().render_help().to_string();
    assert!(
        help.starts_with("Has the same shape as the binary\n"),
        "{help}"
    );
    let long = Program::command().render_long_help().to_string();
    assert!(
        long.starts_with("Has the same shape as the binary\n"),
        "{long}"
    );
    for command in Program::command().get_subcommands() {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(
            !about.is_empty() && !about.starts_with("Arguments of"),
            "{}",
            command.get_name()
        );
    }
}

#[test]
fn a_hidden_flag_does_not_swallow_what_follows() {
    let program = parse("ls --no-color web").expect("a command");
    let ClientCommand::Ls(list) = program.command else {
        panic!("{program:?}")
    };
    assert_eq!(list.service.as_deref(), Some("web"));
}

#[test]
fn these_lines_are_understood() {
    for line in [
        "ls",
        "ls web",
        "get web",
        "get web/web-1 --owner node/a",
        "discover web -n shop",
        "register web --address 10.0.0.1",
        "register web web-1 --address 10.0.0.1 --port 65535 --tag a --tag b --attribute k=v=w",
        "register web --address ::1 --weight 3 --check http:/health --check tcp --lease 30",
        "register web --address host --check none --zone a --region b --owner node/a",
        "register -f -",
        "register --file services.json",
        "deregister web/zone/1",
        "heartbeat web/web-1 --load 0.5",
        "explain web/web-1 -o json",
        "completions bash",
        "completions zsh",
        "completions fish",
        "version -o json",
        "-o json -q -n shop --timeout 0.5 --color never ls",
        "ls -s http://host:1 --token-file /run/token",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn these_lines_are_refused_with_the_usage_code() {
    for (line, said) in [
        ("", "Usage"),
        ("nonsense", "unrecognized"),
        ("get", "SERVICE"),
        ("discover", "SERVICE"),
        ("register", "SERVICE"),
        ("register web", "--address"),
        ("register web --address a --port 0", "1..=65535"),
        ("register web --address a --port 65536", "1..=65535"),
        ("register web --address a --attribute novalue", "KEY=VALUE"),
        (
            "register web --address a --check udp",
            "http:/PATH, https:/PATH, grpc:SERVICE, grpcs:SERVICE, tcp or none",
        ),
        (
            "register web --address a --check http:health",
            "http:/PATH, https:/PATH, grpc:SERVICE, grpcs:SERVICE, tcp or none",
        ),
        ("register web --address a --lease 0", "0 is not in"),
        ("register web -f x.json", "cannot be used with"),
        ("register -f x.json --port 1", "cannot be used with"),
        ("deregister web", "expected SERVICE/ID"),
        ("explain /id", "expected SERVICE/ID"),
        ("heartbeat web/1 --load 1.5", "from 0 to 1"),
        ("heartbeat web/1 --load NaN", "from 0 to 1"),
        ("completions tcsh", "possible values"),
        ("ls -o yaml", "possible values"),
        ("ls --timeout 0", "more than 0"),
        ("ls --timeout soon", "more than 0"),
        ("ls --timeout 1e30", "at most 86400"),
        ("ls --color blue", "possible values"),
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(said), "{line}: {error}");
    }
}

#[test]
fn a_secret_is_not_an_argument_and_is_not_repeated() {
    for line in [
        "--token hunter2 ls",
        "ls --token=hunter2",
        "ls --secret hunter2",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(
            text.contains("--token-file") && text.contains("WAYPOST_TOKEN"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    for line in [
        "-o jsonl -n shop -q --timeout 2 ls",
        "ls -o jsonl -n shop -q --timeout 2",
    ] {
        let global = parse(line).expect(line).global;
        assert_eq!(global.output, OutputFormat::Jsonl);
        assert_eq!(global.namespace.as_deref(), Some("shop"));
        assert!(global.quiet);
        assert_eq!(global.timeout.as_secs(), 2);
    }
}

#[test]
fn the_server_is_the_local_one_unless_told_otherwise() {
    let program = parse("version").expect("a command");
    assert!(matches!(program.command, ClientCommand::Version));
    assert_eq!(program.global.server, "http://127.0.0.1:3004");
}

#[test]
fn colours_follow_the_flag_then_no_color_then_the_terminal() {
    let mut global = parse("ls").expect("a command").global;
    for (color, no_color, is_terminal, expected) in [
        (ColorChoice::Auto, None, true, true),
        (ColorChoice::Auto, None, false, false),
        (ColorChoice::Auto, Some("1"), true, false),
        (ColorChoice::Auto, Some(""), true, true),
        (ColorChoice::Always, Some("1"), false, true),
        (ColorChoice::Never, None, true, false),
    ] {
        global.color = color;
        global.no_color = no_color.map(str::to_owned);
        assert_eq!(
            global.use_colors(is_terminal),
            expected,
            "{color:?} {no_color:?}"
        );
    }
}
