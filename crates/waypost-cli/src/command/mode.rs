//! `waypost drain`, `maintenance`, `resume`, `override` and `report`

use clap::{Args, ValueEnum};
use serde::Serialize;
use waypost_client::wire::{AsSent, CheckState, Overrides, Said};
use waypost_client::{
    CheckWord, Client, Health, InstanceRef, Mode, ModeChange, ModeReport, Resource,
};

use super::InstanceArguments;
use crate::duration::seconds;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::table::Grid;
use crate::text::visible;
use crate::{Exit, GlobalOptions};

/// Who says something of an instance, why and for how long.
#[derive(Args, Clone, Debug)]
pub struct SayingArguments {
    /// The instance.
    #[command(flatten)]
    pub instance: InstanceArguments,

    /// Why; everybody who asks for the instance is told
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,

    /// How long, such as 10m; without it, until somebody takes it back
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    pub seconds: Option<u32>,

    /// Who says so, where the server asks for no credential [default: the name of the user]
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    pub author: Option<String>,
}

/// Arguments of `drain` and `maintenance`.
#[derive(Args, Clone, Debug)]
pub struct ModeArguments {
    /// What is said.
    #[command(flatten)]
    pub saying: SayingArguments,
}

/// Arguments of `resume`.
#[derive(Args, Clone, Debug)]
pub struct ResumeArguments {
    /// The instance.
    #[command(flatten)]
    pub instance: InstanceArguments,

    /// Take back its weight, its health and a block too
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `override`.
#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub struct OverrideArguments {
    /// What is said.
    #[command(flatten)]
    pub saying: SayingArguments,

    /// A weight in place of the registered one, or `none`
    #[arg(long, group = "what", value_name = "NUMBER", value_parser = weight)]
    pub weight: Option<Taken<u32>>,

    /// A health in place of what the checks say
    #[arg(long, group = "what", value_enum)]
    pub health: Option<HealthWord>,
}

/// Something that is said, or taken back.
#[derive(Clone, Copy, Debug)]
pub struct Taken<T>(pub Option<T>);

/// What can be said of a health.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum HealthWord {
    /// It is well, whatever its checks say
    Healthy,
    /// It is not, whatever its checks say
    Unhealthy,
    /// What its checks say
    None,
}

/// Arguments of `report`.
#[derive(Args, Clone, Debug)]
pub struct ReportArguments {
    /// The instance.
    #[command(flatten)]
    pub instance: InstanceArguments,

    /// Name of a check of the kind reported
    pub check: String,

    /// What it says
    #[arg(value_enum)]
    pub state: StateWord,

    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,

    /// The check fails unless it is reported again within this time
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    pub seconds: Option<u32>,
}

/// What a check can say.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StateWord {
    /// All is well
    Passing,
    /// It works, but not well
    Warning,
    /// It does not work
    Failing,
}

fn weight(text: &str) -> Result<Taken<u32>, String> {
    if text == "none" {
        return Ok(Taken(None));
    }
    let known = text.parse().ok().filter(|weight| *weight <= 65_535);
    known
        .map(|weight| Taken(Some(weight)))
        .ok_or_else(|| "expected a whole number from 0 to 65535, or none".to_owned())
}

impl SayingArguments {
    fn change(&self) -> ModeChange {
        ModeChange {
            reason: self.reason.clone(),
            author: self.author.clone().filter(|author| !author.is_empty()),
            for_seconds: self.seconds,
            ..ModeChange::default()
        }
    }
}

impl ModeArguments {
    pub(crate) async fn run(
        self,
        mode: Mode,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let instance = self.saying.instance.reference();
        let change = ModeChange {
            mode: Some(mode),
            ..self.saying.change()
        };
        client.change_mode(&instance, &change).await?;
        show(&client, &instance, screen).await
    }
}

impl ResumeArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        #[derive(Serialize)]
        struct Resumed<'a> {
            namespace: &'a str,
            service: &'a str,
            id: &'a str,
            resumed: bool,
        }
        let client = options.client()?;
        let instance = self.instance.reference();
        if self.all {
            client.clear_mode(&instance).await?;
        } else {
            let change = ModeChange {
                mode: Some(Mode::Active),
                ..ModeChange::default()
            };
            client.change_mode(&instance, &change).await?;
        }
        let done = Resumed {
            namespace: client.namespace(),
            service: &instance.service,
            id: &instance.id,
            resumed: true,
        };
        screen.object(&done, |_| {
            format!("resumed {}\n", visible(&instance.to_string()))
        })?;
        Ok(Exit::Ok)
    }
}

impl OverrideArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let instance = self.saying.instance.reference();
        let change = ModeChange {
            weight: self.weight.map(|Taken(weight)| weight),
            health: self.health.map(|word| match word {
                HealthWord::Healthy => Some(Health::Healthy),
                HealthWord::Unhealthy => Some(Health::Unhealthy),
                HealthWord::None => None,
            }),
            ..self.saying.change()
        };
        client.change_mode(&instance, &change).await?;
        show(&client, &instance, screen).await
    }
}

impl ReportArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let instance = self.instance.reference();
        let word = CheckWord {
            state: match self.state {
                StateWord::Passing => CheckState::Passing,
                StateWord::Warning => CheckState::Warning,
                StateWord::Failing => CheckState::Failing,
            },
            note: self.note,
            for_seconds: self.seconds,
        };
        let told = client.report_check(&instance, &self.check, &word).await?;
        screen.object(&told, |_| {
            let again = told.deadline_seconds.map(|seconds| {
                format!("; it fails unless it is reported again within {seconds} s")
            });
            let (check, state) = (visible(&told.check), visible(told.state.as_str()));
            format!("{check} is {state}{}\n", again.unwrap_or_default())
        })?;
        Ok(Exit::Ok)
    }
}

/// Shows all that is said of the instance now.
async fn show(
    client: &Client,
    instance: &InstanceRef,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let sent: AsSent<ModeReport> = client.get(Resource::Mode(instance)).await?;
    screen.object(&sent, |colors| {
        let mut grid = Grid::plain();
        grid.pair("instance", visible(&instance.to_string()));
        grid.pair("mode", &sent.value.mode);
        for (name, text) in overrides(&sent.value.overrides) {
            grid.pair(name, text);
        }
        grid.render(colors)
    })?;
    Ok(Exit::Ok)
}

/// Says each thing that is in place of what was registered or checked.
pub(super) fn overrides(overrides: &Overrides) -> Vec<(&'static str, String)> {
    let mut said = Vec::new();
    if let Some(mode) = &overrides.mode {
        let by = if mode.by_process {
            " by its own process"
        } else {
            ""
        };
        let mode_word = visible(mode.mode.as_str());
        said.push(("said", format!("{mode_word}{by}{}", note(&mode.said))));
    }
    if let Some(weight) = &overrides.weight {
        said.push(("weight", format!("{}{}", weight.weight, note(&weight.said))));
    }
    if let Some(health) = &overrides.health {
        let word = visible(health.health.as_str());
        said.push(("health", format!("{word}{}", note(&health.said))));
    }
    if let Some(block) = &overrides.block {
        said.push(("blocked", note(block).trim_start().to_owned()));
    }
    said
}

fn note(said: &Said) -> String {
    let mut text = String::new();
    if !said.author.is_empty() {
        text.push_str(&format!(" by {}", visible(&said.author)));
    }
    text.push_str(&format!(" since {}", visible(&said.since)));
    if let Some(until) = &said.until {
        text.push_str(&format!(" until {}", visible(until)));
    }
    if !said.reason.is_empty() {
        text.push_str(&format!(": {}", visible(&said.reason)));
    }
    text
}
