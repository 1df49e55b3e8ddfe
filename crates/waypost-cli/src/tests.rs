//! The commands against a real server with canned answers, through the same parser as the binary's.

#[path = "../../waypost-client/src/canned.rs"]
#[expect(dead_code, reason = "the client's tests use more of it")]
mod canned;
mod example;
mod explaining;
mod failing;
mod parsing;
mod registering;
mod rendering;

use std::io::{self, Read, Write};

use clap::{CommandFactory as _, Parser};

use self::canned::Canned;
use crate::{ClientCommand, Exit, GlobalOptions, Session, run};

/// Has the same shape as the binary
#[derive(Parser, Debug)]
#[command(name = "waypost")]
struct Program {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: ClientCommand,
}

/// How a command ended.
#[derive(Debug)]
struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

async fn waypost(server: &Canned, arguments: &str) -> Ran {
    waypost_with_input(server, arguments, "").await
}

async fn waypost_with_input(server: &Canned, arguments: &str, input: &str) -> Ran {
    let mut out = Vec::new();
    let mut err = Vec::new();
    let exit = execute(
        &server.url,
        arguments,
        &mut input.as_bytes(),
        &mut out,
        &mut err,
    )
    .await;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran {
        exit,
        out: text(out),
        err: text(err),
    }
}

async fn execute(
    url: &str,
    arguments: &str,
    input: &mut (dyn Read + Send),
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Exit {
    let words = ["waypost", "--server", url]
        .into_iter()
        .chain(arguments.split_whitespace());
    let program = Program::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
    let session = Session {
        options: &program.global,
        program: Program::command(),
        input,
        out,
        err,
        out_is_terminal: false,
    };
    run(program.command, session).await
}

/// A standard output that fails.
struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}
