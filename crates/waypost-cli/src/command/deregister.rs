//! `waypost deregister`

use clap::Args;
use serde::Serialize;
use waypost_client::Block;

use super::InstanceArguments;
use crate::duration::seconds;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::text::visible;
use crate::{Exit, GlobalOptions};

/// Arguments of `deregister`.
#[derive(Args, Clone, Debug)]
pub struct DeregisterArguments {
    /// The instance.
    #[command(flatten)]
    pub instance: InstanceArguments,

    /// Keep everybody from registering it again for this time, such as 10m
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub block: Option<u32>,

    /// Why it is blocked; whoever registers it is told
    #[arg(long, value_name = "TEXT", requires = "block", default_value = "")]
    pub reason: String,

    /// Who blocks it, where the server asks for no credential [default: the name of the user]
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    pub author: Option<String>,
}

#[derive(Serialize)]
struct Deregistered<'a> {
    namespace: &'a str,
    service: &'a str,
    id: &'a str,
    deregistered: bool,
}

impl DeregisterArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let instance = self.instance.reference();
        match self.block {
            None => client.deregister(&instance).await?,
            Some(seconds) => {
                let block = Block {
                    seconds,
                    reason: self.reason,
                    author: self.author.filter(|author| !author.is_empty()),
                };
                client.deregister_and_block(&instance, &block).await?;
            }
        }
        let done = Deregistered {
            namespace: client.namespace(),
            service: &instance.service,
            id: &instance.id,
            deregistered: true,
        };
        screen.object(&done, |_| {
            format!("deregistered {}\n", visible(&instance.to_string()))
        })?;
        Ok(Exit::Ok)
    }
}
