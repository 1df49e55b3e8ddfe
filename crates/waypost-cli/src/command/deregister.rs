//! `waypost deregister`

use clap::Args;
use serde::Serialize;

use super::InstanceArguments;
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
        client.deregister(&instance).await?;
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
