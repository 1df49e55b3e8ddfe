//! The `--name value` arguments of the measuring programs.

use std::io;
use std::str::FromStr;

/// The command line, taken apart by name; a name that is not asked for is an error at the end.
#[derive(Debug, Clone)]
pub struct Arguments {
    pairs: Vec<(String, String)>,
}

impl Arguments {
    /// Reads the command line of this process.
    ///
    /// # Errors
    /// When it is not a sequence of `--name value`.
    pub fn of_this_process() -> io::Result<Self> {
        Self::parse(std::env::args().skip(1))
    }

    /// Reads a command line without its program.
    ///
    /// # Errors
    /// When it is not a sequence of `--name value`.
    pub fn parse(words: impl IntoIterator<Item = String>) -> io::Result<Self> {
        let mut words = words.into_iter();
        let mut pairs = Vec::new();
        while let Some(word) = words.next() {
            let name = word
                .strip_prefix("--")
                .ok_or_else(|| io::Error::other(format!("`{word}` is not of the form --name")))?;
            let value = words
                .next()
                .ok_or_else(|| io::Error::other(format!("--{name} has no value")))?;
            pairs.push((name.to_owned(), value));
        }
        Ok(Self { pairs })
    }

    /// Takes every value of a name.
    pub fn take_all(&mut self, name: &str) -> Vec<String> {
        let taken = self.pairs.extract_if(.., |(found, _)| found == name);
        taken.map(|(_, value)| value).collect()
    }

    /// Takes the value of a name, the last one if there are several.
    ///
    /// # Errors
    /// When the value is not of the type that is asked for.
    pub fn take<T: FromStr>(&mut self, name: &str) -> io::Result<Option<T>> {
        let Some(value) = self.take_all(name).pop() else {
            return Ok(None);
        };
        let parsed = value.parse();
        parsed
            .map(Some)
            .map_err(|_| io::Error::other(format!("--{name} cannot be `{value}`")))
    }

    /// Takes the value of a name that must be there.
    ///
    /// # Errors
    /// When it is not there or not of the type that is asked for.
    pub fn require<T: FromStr>(&mut self, name: &str) -> io::Result<T> {
        self.take(name)?
            .ok_or_else(|| io::Error::other(format!("--{name} is missing")))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When a name is left that nobody took.
    pub fn finish(self) -> io::Result<()> {
        match self.pairs.first() {
            None => Ok(()),
            Some((name, _)) => Err(io::Error::other(format!("--{name} is not known"))),
        }
    }
}

#[cfg(test)]
mod tests;
