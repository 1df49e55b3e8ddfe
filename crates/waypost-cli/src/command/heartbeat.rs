//! `waypost heartbeat`

use clap::Args;

use super::InstanceArguments;
use crate::age::seconds;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::text::visible;
use crate::{Exit, GlobalOptions};

/// Arguments of `heartbeat`.
#[derive(Args, Clone, Debug)]
pub struct HeartbeatArguments {
    /// The instance.
    #[command(flatten)]
    pub instance: InstanceArguments,

    /// Load of the instance, 0 to 1
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub load: Option<f64>,
}

impl HeartbeatArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let instance = self.instance.reference();
        let answer = client.heartbeat(&instance, None, self.load).await?;
        screen.object(&answer, |_| {
            let name = visible(&instance.to_string());
            match answer.deadline_seconds {
                Some(deadline) => {
                    format!(
                        "{name}: the next heartbeat is due within {}\n",
                        seconds(deadline)
                    )
                }
                None => format!("{name}: heard; it has no lease\n"),
            }
        })?;
        Ok(Exit::Ok)
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}
