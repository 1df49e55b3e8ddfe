//! `waypost env`

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::failure::Failure;
use crate::screen::Screen;
use crate::{Exit, GlobalOptions};

/// Arguments of `env`.
#[derive(Args, Clone, Debug)]
pub struct EnvArguments {
    /// Whose clients are to use Waypost
    pub clients: EnvClients,
}

/// Clients that are told by their environment where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EnvClients {
    /// AWS's SDKs, its CLI and Terraform, for Cloud Map
    Aws,
}

/// What the environment must have.
#[derive(Debug, Serialize)]
struct Environment {
    variables: Vec<Variable>,
    /// What some clients need beside.
    notes: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Variable {
    name: &'static str,
    value: String,
}

const AWS_NOTES: [&str; 4] = [
    "JavaScript: new ServiceDiscoveryClient({ disableHostPrefix: true })",
    "Python, instead of the second variable: Config(inject_host_prefix=False)",
    "Terraform: endpoints { servicediscovery = ... } with skip_credentials_validation, skip_requesting_account_id and skip_metadata_api_check",
    "On a server without credentials any key pair signs, such as AWS_ACCESS_KEY_ID=any and AWS_SECRET_ACCESS_KEY=thing; else it must be one of `waypost token create NAME --aws` or of [[access.aws_keys]]",
];

impl EnvArguments {
    pub(crate) fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let EnvClients::Aws = self.clients;
        let variable = |name, value: &str| Variable {
            name,
            value: value.to_owned(),
        };
        let environment = Environment {
            variables: vec![
                variable(
                    "AWS_ENDPOINT_URL_SERVICEDISCOVERY",
                    &options.client()?.url(),
                ),
                variable("AWS_DISABLE_HOST_PREFIX_INJECTION", "true"),
            ],
            notes: AWS_NOTES.to_vec(),
        };
        screen.object(&environment, |_| script(&environment))?;
        Ok(Exit::Ok)
    }
}

/// Writes what a shell can evaluate.
fn script(environment: &Environment) -> String {
    let mut text = String::new();
    for Variable { name, value } in &environment.variables {
        // Writing into a string cannot fail. Addresses have no quotes in them.
        let _written = writeln!(text, "export {name}='{value}'");
    }
    for note in &environment.notes {
        let _written = writeln!(text, "# {note}");
    }
    text
}
