//! What the disk of a folder can do: append 256 bytes, fdatasync, again; one thread.
//!
//! `disk --dir DIR [--seconds 3]`

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use waypost_benches::{Arguments, Histogram, Stopwatch, print_rate};

fn main() -> io::Result<()> {
    let mut arguments = Arguments::of_this_process()?;
    let folder: PathBuf = arguments.require("dir")?;
    let seconds: f64 = arguments.take("seconds")?.unwrap_or(3.0);
    arguments.finish()?;

    let path = folder.join("waypost-disk-rate");
    let mut file = File::create(&path)?;
    let mut times = Histogram::default();
    let whole = Stopwatch::start();
    while whole.elapsed() < Duration::from_secs_f64(seconds) {
        let one = Stopwatch::start();
        file.write_all(&[b'w'; 256])?;
        file.sync_data()?;
        times.add(one.elapsed());
    }
    let elapsed = whole.elapsed();
    fs::remove_file(path)?;
    print_rate("append 256 B and fdatasync", &times, elapsed)
}
