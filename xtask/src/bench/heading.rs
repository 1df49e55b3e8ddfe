//! What a table must say about the machine and the build it was measured on.

use std::fs;
use std::process::Command;

use crate::program::{Environment, Failure, output_of};

/// Builds the heading; `config` is what the server says about its settings.
pub(super) fn heading(
    environment: &Environment,
    title: &str,
    config: &str,
) -> Result<String, Failure> {
    let date = output_of(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?;
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        output_of(command.args(arguments).current_dir(&environment.root))
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let state = if changed.is_empty() {
        ""
    } else {
        ", with changes that are not committed"
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(format!(
        "# {title}\n\n- date: {}\n- commit: {}{state}\n- CPU: {}\n- kernel: {}\n- load average before: {}\n\n\
         Effective configuration of the server:\n\n```text\n{}\n```\n",
        date.trim(),
        commit.trim(),
        processor()?,
        kernel.trim(),
        load.split(' ').take(3).collect::<Vec<_>>().join(" "),
        config.trim()
    ))
}

fn processor() -> Result<String, Failure> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let models = || {
        text.lines()
            .filter_map(|line| line.strip_prefix("model name"))
    };
    let model = models().next().unwrap_or(": unknown");
    let model = model.trim_start_matches([' ', '\t', ':']);
    Ok(format!("{} x {model}", models().count().max(1)))
}
