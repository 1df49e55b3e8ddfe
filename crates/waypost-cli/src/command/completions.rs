//! `waypost completions`

use clap::Args;
use clap_complete::Shell;
use serde::Serialize;

use crate::Exit;
use crate::complete::VARIABLE;
use crate::failure::Failure;
use crate::screen::Screen;

/// Arguments of `completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArguments {
    /// The shell; in bash, zsh and fish names of services and instances are completed too
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
        let shells = clap_complete::env::Shells::builtins();
        let asks = [Shell::Bash, Shell::Zsh, Shell::Fish].contains(&self.shell);
        match shells.completer(&self.shell.to_string()).filter(|_| asks) {
            // These ask the program itself each time, which knows the names that are there.
            Some(shell) => shell
                .write_registration(VARIABLE, &name, &name, &name, &mut script)
                .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?,
            None => clap_complete::generate(self.shell, program, name, &mut script),
        }
        let completions = Completions {
            shell: self.shell.to_string(),
            script: String::from_utf8_lossy(&script).into_owned(),
        };
        screen.object(&completions, |_| completions.script.clone())?;
        Ok(Exit::Ok)
    }
}
