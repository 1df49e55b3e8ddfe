//! `waypost doctor`

use std::path::PathBuf;
use std::pin::Pin;

use clap::Args;

use crate::clock;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::{Exit, GlobalOptions};

mod context;
mod credential;
mod disk;
mod dns;
mod exposition;
mod finding;
mod limits;
mod mode;
mod report;
mod server;
mod services;
mod store;

use context::Context;
use finding::{Finding, bounded};
use report::{Examined, Report};

/// Arguments of `doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArguments {
    /// Look at this service of the namespace alone
    #[arg(long, value_name = "NAME", add = crate::complete::services())]
    pub service: Option<String>,

    /// Look at the services of every namespace
    #[arg(long, conflicts_with = "service")]
    pub all: bool,

    /// Look also at this data directory on this machine: its modes, and how long a durable write takes
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: Option<PathBuf>,

    /// Fail on warnings too
    #[arg(long)]
    pub strict: bool,
}

type Looking<'a> = Pin<Box<dyn Future<Output = Vec<Finding>> + Send + 'a>>;

/// Checks that belong together.
struct Category {
    name: &'static str,
    needs: Needs,
    checks: &'static [Check],
}

/// What has to work before a category can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Each check says itself what it cannot see.
    Nothing,
    /// The server answers, and takes the credential.
    Access,
}

/// Looks at one thing.
struct Check {
    name: &'static str,
    look: fn(&Context) -> Looking<'_>,
}

/// A check is an `async fn(&Context) -> Vec<Finding>` and a line here.
macro_rules! check {
    ($name:literal, $look:path) => {
        Check {
            name: $name,
            look: |context| Box::pin($look(context)),
        }
    };
}

/// Everything that is looked at, in the order in which it is shown.
const CATEGORIES: &[Category] = &[
    Category {
        name: "server",
        needs: Needs::Nothing,
        checks: &[
            check!("reachable", server::reachable),
            check!("ready", server::ready),
            check!("version", server::version),
            check!("clock", server::clock),
            check!("transport", server::transport),
            check!("certificate", server::certificate),
        ],
    },
    Category {
        name: "credential",
        needs: Needs::Nothing,
        checks: &[
            check!("accepted", credential::accepted),
            check!("files", credential::files),
            check!("tokens-ending", credential::ending),
            check!("tokens-unused", credential::unused),
        ],
    },
    Category {
        name: "store",
        needs: Needs::Nothing,
        checks: &[
            check!("writes", store::writes),
            check!("commits", store::commits),
            check!("journal", store::journal),
            check!("disk-space", store::disk_space),
            check!("snapshots", store::snapshots),
            check!("data-directory", disk::modes),
            check!("durable-write", disk::durable_writes),
        ],
    },
    Category {
        name: "limits",
        needs: Needs::Nothing,
        checks: &[
            check!("open-files", limits::open_files),
            check!("refused", limits::refused),
            check!("throttled", limits::throttled),
        ],
    },
    Category {
        name: "dns",
        needs: Needs::Access,
        checks: &[
            check!("answers", dns::answers),
            check!("resolver", dns::resolver),
            check!("multicast", dns::multicast),
        ],
    },
    Category {
        name: "services",
        needs: Needs::Access,
        checks: &[
            check!("listed", services::listed),
            check!("rotation", services::rotation),
            check!("heartbeats", services::heartbeats),
            check!("addresses", services::addresses),
            check!("reachable-addresses", services::reachable_addresses),
            check!("prometheus-labels", services::labels),
            check!("load", services::load),
        ],
    },
];

impl DoctorArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let strict = self.strict;
        let context = Context::open(self, options).await?;
        let mut report = Report::default();
        for category in CATEGORIES {
            let mut checks = Vec::new();
            for check in category.checks {
                let found = match (category.needs, context.obstacle()) {
                    (Needs::Access, Some(why)) => vec![Finding::skipped(why)],
                    _ => (check.look)(&context).await,
                };
                let found = bounded(found).into_iter();
                checks.extend(found.map(|finding| Examined {
                    category: category.name,
                    name: check.name,
                    finding,
                }));
            }
            report.add(category.name, checks);
        }
        report.show(screen)?;
        Ok(context.exit().unwrap_or_else(|| report.exit(strict)))
    }
}

#[cfg(test)]
mod tests;
