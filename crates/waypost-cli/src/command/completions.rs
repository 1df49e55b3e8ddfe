//! `waypost completions`

use clap::Args;
use clap_complete::Shell;
use serde::Serialize;

use crate::Exit;
use crate::failure::Failure;
use crate::screen::Screen;

/// Arguments of `completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

#[derive(Serialize)]
struct Completions {
    shell: String,
    script: String,
}

impl CompletionsArguments {
    pub(crate) fn run(
        self,
        program: &mut clap::Command,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let name = program.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, program, name, &mut script);
        let completions = Completions {
            shell: self.shell.to_string(),
            script: String::from_utf8_lossy(&script).into_owned(),
        };
        screen.object(&completions, |_| completions.script.clone())?;
        Ok(Exit::Ok)
    }
}
