//! Where output goes and in which form.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::failure::Failure;
use crate::layout::{compact, pretty};
use crate::table::Paint;
use crate::{Exit, OutputFormat};

/// Standard output and standard error of one command.
pub(crate) struct Screen<'a> {
    pub(crate) out: &'a mut (dyn Write + Send),
    pub(crate) err: &'a mut (dyn Write + Send),
    pub(crate) format: OutputFormat,
    pub(crate) colors: bool,
    pub(crate) quiet: bool,
    pub(crate) is_terminal: bool,
}

impl Screen<'_> {
    /// Shows one object, or the text that `table` makes when the output is for people.
    pub(crate) fn object<T: Serialize>(
        &mut self,
        object: &T,
        table: impl FnOnce(bool) -> String,
    ) -> Result<(), Failure> {
        self.objects(object, std::slice::from_ref(object), table)
    }

    /// Shows a listing: `whole` as JSON, `items` one per line, or the text that `table` makes.
    pub(crate) fn objects<W: Serialize, T: Serialize>(
        &mut self,
        whole: &W,
        items: &[T],
        table: impl FnOnce(bool) -> String,
    ) -> Result<(), Failure> {
        let text = match self.format {
            OutputFormat::Table => table(self.colors),
            OutputFormat::Json => {
                pretty(&serde_json::to_string(whole).map_err(cannot_write)?) + "\n"
            }
            OutputFormat::Jsonl => {
                let mut lines = String::new();
                for item in items {
                    lines.push_str(&compact(
                        &serde_json::to_string(item).map_err(cannot_write)?,
                    ));
                    lines.push('\n');
                }
                lines
            }
        };
        self.data(&text)
    }

    /// Shows one of many objects that follow each other, on a line of its own unless it is laid out.
    pub(crate) fn line_of<T: Serialize>(&mut self, object: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(object).map_err(cannot_write)?;
        let text = match self.format {
            OutputFormat::Json => pretty(&text),
            OutputFormat::Jsonl | OutputFormat::Table => compact(&text),
        };
        self.data(&(text + "\n"))
    }

    /// Shows a text in place of the one before.
    pub(crate) fn redraw(&mut self, text: &str) -> Result<(), Failure> {
        // Home, then what each line leaves of the old one, then everything below.
        let lines = text.replace('\n', "\x1b[K\n");
        self.data(&format!("\x1b[H{lines}\x1b[J"))
    }

    /// Writes data to standard output. A reader that went away is content with what it has.
    pub(crate) fn data(&mut self, text: &str) -> Result<(), Failure> {
        match self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush())
        {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(cannot_write(error)),
            _ => Ok(()),
        }
    }

    /// Writes a remark for people to standard error.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }

    /// Writes what failed and what to do to standard error.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        let label = Paint::Bad.apply("error:", self.colors);
        self.line(&format!("{label} {}", failure.message));
        if let Some(hint) = &failure.hint {
            self.line(&format!("hint: {hint}"));
        }
    }

    fn line(&mut self, text: &str) {
        // There is nobody left to tell when standard error is closed.
        let _ = writeln!(self.err, "{text}");
    }
}

fn cannot_write(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failure, format!("cannot write the output: {error}"))
}
