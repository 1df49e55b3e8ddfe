//! Runs one command.

use std::io::{IsTerminal as _, Read, Write};

use waypost_client::Mode;

use crate::command::{ClientCommand, OperatorCommand};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::{Exit, GlobalOptions};

/// What a command works with.
pub struct Session<'a> {
    /// The options that every command has.
    pub options: &'a GlobalOptions,
    /// The whole program, for completions.
    pub program: clap::Command,
    /// Standard input.
    pub input: &'a mut (dyn Read + Send),
    /// Standard output: data only.
    pub out: &'a mut (dyn Write + Send),
    /// Standard error: everything else.
    pub err: &'a mut (dyn Write + Send),
    /// Whether `out` is a terminal.
    pub out_is_terminal: bool,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Runs `command` on the process's own input and output. `program` is the binary's whole clap command.
pub async fn run_on_stdio(
    command: ClientCommand,
    options: &GlobalOptions,
    program: clap::Command,
) -> Exit {
    let (mut input, mut out, mut err) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let out_is_terminal = out.is_terminal();
    let session = Session {
        options,
        program,
        input: &mut input,
        out: &mut out,
        err: &mut err,
        out_is_terminal,
    };
    run(command, session).await
}

/// Runs `command` and reports a failure on `session.err`.
pub async fn run(command: ClientCommand, session: Session<'_>) -> Exit {
    let Session {
        options,
        mut program,
        input,
        out,
        err,
        out_is_terminal,
    } = session;
    let colors = options.use_colors(out_is_terminal);
    let mut screen = Screen {
        out,
        err,
        format: options.output,
        colors,
        quiet: options.quiet,
        is_terminal: out_is_terminal,
    };
    match dispatch(command, options, &mut program, input, &mut screen).await {
        Ok(exit) => exit,
        Err(failure) => {
            screen.failure(&failure);
            failure.exit
        }
    }
}

async fn dispatch(
    command: ClientCommand,
    options: &GlobalOptions,
    program: &mut clap::Command,
    input: &mut (dyn Read + Send),
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    match command {
        ClientCommand::Ls(arguments) => arguments.run(options, screen).await,
        ClientCommand::Get(arguments) => arguments.run(options, screen).await,
        ClientCommand::Watch(arguments) => arguments.run(options, screen).await,
        ClientCommand::Top(arguments) => arguments.run(options, screen).await,
        ClientCommand::Discover(arguments) => arguments.run(options, screen).await,
        ClientCommand::Register(arguments) => arguments.run(options, input, screen).await,
        ClientCommand::Deregister(arguments) => arguments.run(options, screen).await,
        ClientCommand::Heartbeat(arguments) => arguments.run(options, screen).await,
        ClientCommand::Explain(arguments) => arguments.run(options, screen).await,
        ClientCommand::Resolve(arguments) => arguments.run(options, screen).await,
        ClientCommand::Export(arguments) => arguments.run(options, screen).await,
        ClientCommand::Doctor(arguments) => arguments.run(options, screen).await,
        ClientCommand::Token(arguments) => arguments.run(options, screen).await,
        ClientCommand::Audit(arguments) => arguments.run(options, screen).await,
        ClientCommand::History(arguments) => arguments.run(options, screen).await,
        ClientCommand::Env(arguments) => arguments.run(options, screen),
        ClientCommand::Completions(arguments) => arguments.run(program, screen),
        ClientCommand::Version => crate::command::version(screen),
        ClientCommand::Operator(command) => operate(command, options, screen).await,
    }
}

async fn operate(
    command: OperatorCommand,
    options: &GlobalOptions,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    match command {
        OperatorCommand::Drain(arguments) => arguments.run(Mode::Draining, options, screen).await,
        OperatorCommand::Maintenance(arguments) => {
            arguments.run(Mode::Maintenance, options, screen).await
        }
        OperatorCommand::Resume(arguments) => arguments.run(options, screen).await,
        OperatorCommand::Override(arguments) => arguments.run(options, screen).await,
        OperatorCommand::Report(arguments) => arguments.run(options, screen).await,
        OperatorCommand::Namespace(arguments) => arguments.run(options, screen).await,
        OperatorCommand::Service(arguments) => arguments.run(options, screen).await,
    }
}
