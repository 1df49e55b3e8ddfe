//! Names of what is there, for completions in a shell.

use std::ffi::OsStr;

use clap::Parser;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use waypost_client::{Client, ClientError, Instance, Namespace, Resource, Service};

use crate::GlobalOptions;

/// The variable by which a shell asks for completions.
pub(crate) const VARIABLE: &str = "WAYPOST_COMPLETE";

/// Options that say which server is asked, and what of it.
const OPTIONS: [&str; 5] = ["-s", "--server", "-n", "--namespace", "--token-file"];
/// A shell waits no longer than a person does.
const PATIENCE: &str = "1";

/// Answers a shell that asks for completions, and ends the process then; else does nothing.
pub fn complete(program: fn() -> clap::Command) {
    clap_complete::CompleteEnv::with_factory(program)
        .var(VARIABLE)
        .complete();
}

/// Completes the name of a service.
pub(crate) fn services() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| candidates(current, &Names::Services))
}

/// Completes `SERVICE/ID`.
pub(crate) fn instances() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| candidates(current, &Names::Instances))
}

/// Completes the name of a namespace.
pub(crate) fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| candidates(current, &Names::Namespaces))
}

enum Names {
    Services,
    Instances,
    Namespaces,
}

/// What of the line says which server is asked.
#[derive(Parser)]
struct Asked {
    #[command(flatten)]
    global: GlobalOptions,
}

/// Gives the names that begin as what was typed does; none when the server does not answer.
fn candidates(current: &OsStr, names: &Names) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else {
        return Vec::new();
    };
    let words: Vec<String> = std::env::args().collect();
    let Some(client) = client(&words) else {
        return Vec::new();
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let found = runtime
        .ok()
        .and_then(|runtime| runtime.block_on(look(&client, current, names)).ok());
    let found = found.unwrap_or_default().into_iter();
    found
        .filter(|name| name.starts_with(current))
        .map(CompletionCandidate::new)
        .collect()
}

/// Makes the client that the options in the line, and the environment, name.
fn client(words: &[String]) -> Option<Client> {
    let mut chosen = vec![
        "waypost".to_owned(),
        "--timeout".to_owned(),
        PATIENCE.to_owned(),
    ];
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if OPTIONS.contains(&word.as_str()) {
            chosen.push(word.clone());
            chosen.extend(words.next().cloned());
        } else if word
            .split_once('=')
            .is_some_and(|(name, _)| OPTIONS.contains(&name))
        {
            chosen.push(word.clone());
        }
    }
    let asked = Asked::try_parse_from(chosen).ok()?;
    asked.global.client().ok()
}

async fn look(client: &Client, current: &str, names: &Names) -> Result<Vec<String>, ClientError> {
    match names {
        Names::Namespaces => {
            let all: Vec<Namespace> = client.list(Resource::Namespaces).await?;
            Ok(all.into_iter().map(|it| it.name).collect())
        }
        Names::Services => services_of(client, "").await,
        Names::Instances => match current.split_once('/') {
            None => services_of(client, "/").await,
            Some((service, _)) => {
                let all: Vec<Instance> = client.list(Resource::Instances(service)).await?;
                Ok(all
                    .into_iter()
                    .map(|it| format!("{service}/{}", it.id))
                    .collect())
            }
        },
    }
}

async fn services_of(client: &Client, end: &str) -> Result<Vec<String>, ClientError> {
    let all: Vec<Service> = client.list(Resource::Services).await?;
    Ok(all
        .into_iter()
        .map(|it| format!("{}{end}", it.name))
        .collect())
}
