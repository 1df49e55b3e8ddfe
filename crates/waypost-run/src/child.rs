//! A running command: its process, the group that it leads, and how both end.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use tokio::process::{Child as Process, Command};

/// How often it is looked whether a group is empty.
const LOOK: Duration = Duration::from_millis(20);
/// How long what a command left behind may take to end.
const STRAYS: Duration = Duration::from_secs(5);

/// A running command.
#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
    target: Target,
}

/// Whom signals go to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pid: Pid,
    /// Whether the command leads a group of its own.
    leads: bool,
}

impl Target {
    /// Sends a signal; it is no error when nobody is left.
    pub(crate) fn signal(self, signal: Signal) {
        let _sent = if self.leads {
            kill_process_group(self.pid, signal)
        } else {
            kill_process(self.pid, signal)
        };
    }
}

impl Child {
    /// Starts a command. On a terminal it stays in the terminal's group, which alone may read from it and which Ctrl-C
    /// reaches as a whole; else it leads one of its own, so that all that it starts can be signalled and ended with it.
    pub(crate) fn start(command: &mut Command, on_terminal: bool) -> io::Result<Self> {
        command.stdin(if on_terminal {
            Stdio::inherit()
        } else {
            Stdio::null()
        });
        if !on_terminal {
            command.process_group(0);
        }
        let process = command.spawn()?;
        let pid = process.id().and_then(|id| i32::try_from(id).ok());
        let pid = pid
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the command has no process id"))?;
        let target = Target {
            pid,
            leads: !on_terminal,
        };
        Ok(Self { process, target })
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }

    /// Returns the number of its process.
    pub(crate) fn pid(&self) -> i32 {
        self.target.pid.as_raw_nonzero().get()
    }

    pub(crate) fn output(
        &mut self,
    ) -> (
        Option<tokio::process::ChildStdout>,
        Option<tokio::process::ChildStderr>,
    ) {
        (self.process.stdout.take(), self.process.stderr.take())
    }

    /// Waits until the command itself has ended.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// Ends what the command started and left behind.
    pub(crate) async fn end_strays(&self) {
        if !self.target.leads || test_kill_process_group(self.target.pid).is_err() {
            return;
        }
        self.target.signal(Signal::TERM);
        let gone = async {
            while test_kill_process_group(self.target.pid).is_ok() {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(STRAYS, gone).await.is_err() {
            self.target.signal(Signal::KILL);
        }
    }
}

/// Returns the exit code that a shell would show: the command's own, or 128 and the signal that ended it.
pub(crate) fn code_of(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
