//! What `waypost run` itself says, on standard error, apart from what its commands say.

use std::io::Write as _;

/// Says things, unless it is asked to be quiet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    pub(crate) quiet: bool,
}

impl Voice {
    /// Says what goes on.
    pub(crate) fn say(self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// Says what goes wrong. Nobody is left to tell when standard error is closed.
    pub(crate) fn warn(self, text: &str) {
        drop(writeln!(std::io::stderr().lock(), "waypost run: {text}"));
    }
}
