//! What the measuring programs share: arguments, time, percentiles, and the form of a result.
//!
//! Every program prints one figure per line, `name<TAB>value<TAB>unit<TAB>note`, which `cargo xtask bench` collects.

mod arguments;
mod chance;
mod histogram;
mod questions;

use std::io::{self, Write};
use std::time::{Duration, Instant};

pub use arguments::Arguments;
pub use chance::Chance;
pub use histogram::Histogram;
pub use questions::{Mix, Questions, question};

/// Time since something began.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "a measurement is of real time; there is no clock to move"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Gives the time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Prints one figure.
///
/// # Errors
/// When stdout is closed.
pub fn print_figure(name: &str, value: f64, unit: &str, note: &str) -> io::Result<()> {
    // Big figures are whole numbers in any table; small ones keep their digits.
    let digits = if value >= 1000.0 { 0 } else { 3 };
    writeln!(
        io::stdout().lock(),
        "{name}\t{value:.digits$}\t{unit}\t{note}"
    )
}

/// Prints the median and the 99th percentile of a histogram in milliseconds, and how many per second it holds.
///
/// # Errors
/// When stdout is closed.
pub fn print_rate(name: &str, times: &Histogram, over: Duration) -> io::Result<()> {
    let milliseconds = |share| times.quantile(share).as_secs_f64() * 1000.0;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of operations is far below 2^52"
    )]
    let rate = times.count() as f64 / over.as_secs_f64();
    print_figure(&format!("{name} rate"), rate, "1/s", "")?;
    print_figure(&format!("{name} p50"), milliseconds(0.5), "ms", "")?;
    print_figure(&format!("{name} p99"), milliseconds(0.99), "ms", "")
}
