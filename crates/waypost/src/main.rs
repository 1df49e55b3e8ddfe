//! The `waypost` binary: it puts the parts together and holds no logic of its own.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use waypost_cli::{ClientCommand, Exit, GlobalOptions, OutputFormat};

mod config;
mod files;
mod pulse;
mod reload;
mod schema;
mod serve;
mod snapshot;
mod supervision;
mod wire;

use config::SettingArguments;

// glibc's allocator keeps what a burst of registrations freed; this one gives it back and costs less per request.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The service registry that speaks the protocols your services already speak.
#[derive(Debug, Parser)]
#[command(name = "waypost", version, about, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the registry
    Serve(SettingArguments),
    /// Run a command, registered for as long as it runs
    Run(Box<waypost_run::RunArguments>),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Save everything to a file, look into such a file, restore from one
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Print the JSON Schema of what a command prints
    Schema(schema::SchemaArguments),
    #[command(flatten)]
    Client(ClientCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every setting with its value and where the value came from
    Show(SettingArguments),
}

fn main() -> ExitCode {
    waypost_cli::complete(Arguments::command);
    let Arguments { global, command } = Arguments::parse();
    let exit = match command {
        Command::Serve(settings) => serve::serve(settings),
        Command::Config(ConfigCommand::Show(settings)) => serve::show(&settings, global.output),
        Command::Snapshot(command) => snapshot::run(command, &global),
        Command::Schema(arguments) => schema::print(&arguments, global.output),
        Command::Client(command) => run_client(command, &global),
        Command::Run(arguments) => return ExitCode::from(run_command(*arguments, &global)),
    };
    ExitCode::from(exit)
}

/// Hands over what `waypost run` needs; its exit code is the command's own.
fn run_command(arguments: waypost_run::RunArguments, global: &GlobalOptions) -> u8 {
    let connected = global
        .connect()
        .and_then(|client| Ok((client, global.token()?)));
    let (client, token) = match connected {
        Ok(connected) => connected,
        Err(why) => return serve::fail(&why, Exit::Usage).code(),
    };
    let launch = waypost_run::Launch {
        client,
        namespace_is_named: global.names_a_namespace(),
        token,
        variables: waypost_config::process_environment()
            .names()
            .map(str::to_owned)
            .collect(),
        is_interactive: std::io::stdin().is_terminal(),
        quiet: global.quiet,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(waypost_run::run(arguments, launch));
            // Nothing of value is left: what still runs only waits.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            let why = format!("the runtime cannot be started: {error}");
            serve::fail(&why, Exit::Failure).code()
        }
    }
}

fn run_client(command: ClientCommand, global: &GlobalOptions) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(waypost_cli::run_on_stdio(
            command,
            global,
            Arguments::command(),
        )),
        Err(error) => serve::fail(
            &format!("the runtime cannot be started: {error}"),
            Exit::Failure,
        ),
    }
}

/// Turns the output form of the command line into the loader's.
fn settings_format(output: OutputFormat) -> waypost_config::Format {
    match output {
        OutputFormat::Table => waypost_config::Format::Table,
        OutputFormat::Json | OutputFormat::Jsonl => waypost_config::Format::Json,
    }
}
