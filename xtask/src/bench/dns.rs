//! The DNS benchmark: Waypost beside Knot, NSD and an echo, on one core, with the same names and the same load.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use super::figure::{self, Figure, median, value_of};
use super::heading::heading;
use super::server::pause;
use crate::metadata::Metadata;
use crate::peers::debian_programs;
use crate::program::{Environment, Failure, output_of, succeeds};

mod contenders;
mod zone;

use contenders::{Contender, Contenders, SERVER_CORE};

/// The load has the other core.
const LOAD_CORE: &str = "1";
const SERVICES: usize = 1_000;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Extent {
    rounds: usize,
    seconds: f64,
}

const FULL: Extent = Extent {
    rounds: 5,
    seconds: 4.0,
};

const QUICK: Extent = Extent {
    rounds: 2,
    seconds: 1.0,
};

pub(super) fn run(environment: &Environment, quick: bool) -> Result<(), Failure> {
    let metadata = Metadata::load(&environment.root, environment.ci)?;
    let built = succeeds(&mut environment.cargo(&[
        "build",
        "--release",
        "--package",
        "waypost",
        "--package",
        "waypost-benches",
        "--bins",
    ]))?;
    if !built {
        return Err(Failure::new("the release build failed"));
    }
    let wanted = [
        ("knotd", "", "knot"),
        ("nsd", "", "nsd"),
        ("dnsperf", "", "dnsperf"),
        ("taskset", "", "util-linux"),
    ];
    for peer in debian_programs(environment, &wanted) {
        peer.found.map_err(Failure::new)?;
    }
    let folder = metadata.target_directory.join("bench/dns");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let programs = metadata.target_directory.join("release");
    let contenders = Contenders::start(environment, &programs, &folder)?;
    let mut text = heading(environment, "DNS", &contenders.config)?;
    let mut bench = Bench {
        programs,
        folder,
        extent: if quick { QUICK } else { FULL },
        quick,
        figures: Vec::new(),
        contenders,
    };
    bench.measure()?;
    text.push('\n');
    text.push_str(&figure::table(&bench.figures));
    println!("{text}");
    if !quick {
        let results = environment.root.join("benches/results");
        fs::create_dir_all(&results)?;
        fs::write(results.join("dns.md"), text)?;
        println!("kept in benches/results/dns.md");
    }
    bench.contenders.stop()
}

struct Bench {
    programs: PathBuf,
    folder: PathBuf,
    extent: Extent,
    quick: bool,
    figures: Vec<Figure>,
    contenders: Contenders,
}

/// One run of a load against one server.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    /// Of the server, for each answer.
    cpu_microseconds: f64,
    /// Of its threads that answer over UDP alone.
    worker_microseconds: f64,
    answers: f64,
    rate: f64,
    lost: f64,
    changes: f64,
}

/// The rounds of one server under one load.
struct Rounds(Vec<Round>);

impl Rounds {
    fn median(&self, part: fn(&Round) -> f64) -> f64 {
        median(self.0.iter().map(part).collect())
    }

    fn cpu(&self) -> f64 {
        self.median(|round| round.cpu_microseconds)
    }

    fn rate(&self) -> f64 {
        self.median(|round| round.rate)
    }
}

/// What is asked, how, and meanwhile what changes.
#[derive(Debug, Clone, Copy)]
enum Load {
    /// As much as can be, by our generator.
    Saturated(&'static str),
    /// So many a second, by our generator.
    Paced(u32),
    /// As much as can be, with so many changes a second.
    Changing(u32),
    /// By dnsperf, over `udp` or `tcp`.
    Dnsperf(&'static str),
}

impl Bench {
    fn measure(&mut self) -> Result<(), Failure> {
        self.in_process()?;
        self.saturated()?;
        self.missing()?;
        self.changing()?;
        self.slow()?;
        self.dnsperf("udp", "goal: at most 0.95")?;
        self.dnsperf("tcp", "goal: at most 1.2")
    }

    /// The figures that need no sockets come from a program of their own.
    fn in_process(&mut self) -> Result<(), Failure> {
        let mut program = pinned(SERVER_CORE, &self.programs.join("dns_bench"));
        if self.quick {
            program.args(["--quick", "1"]);
        }
        let figures = figure::parse(&output_of(&mut program)?);
        for figure in &figures {
            println!("{}: {:.3} {}", figure.name, figure.value, figure.unit);
        }
        self.figures.extend(figures);
        Ok(())
    }

    fn saturated(&mut self) -> Result<(), Failure> {
        let load = Load::Saturated("usual");
        let all = [
            Contender::Waypost,
            Contender::Knot,
            Contender::Nsd,
            Contender::Echo,
        ];
        let rounds = self.side_by_side(load, &all)?;
        let [ours, knot, nsd, echo] = rounds.as_slice() else {
            return Err(Failure::new("a server was not measured"));
        };
        let note = format!(
            "Knot {:.0}, NSD {:.0}, echo {:.0}; goal: at least 250,000",
            knot.rate(),
            nsd.rate(),
            echo.rate()
        );
        self.add("saturated, answers on one core", ours.rate(), "1/s", &note);
        let note = format!(
            "Knot {:.2}, NSD {:.2}, echo {:.2}",
            knot.cpu(),
            nsd.cpu(),
            echo.cpu()
        );
        self.add("saturated, CPU per answer", ours.cpu(), "us", &note);
        let against = |other: &Rounds| ours.cpu() / other.cpu();
        let (to_knot, to_nsd, to_echo) = (against(knot), against(nsd), against(echo));
        let goal = "goal: at most 0.85, stretch 0.75";
        self.add("saturated, CPU against Knot", to_knot, "x", goal);
        self.add("saturated, CPU against NSD", to_nsd, "x", "");
        let goal = "goal: at most 1.2";
        self.add("saturated, CPU against the echo", to_echo, "x", goal);
        let lost = ours.median(|round| round.lost);
        self.add("saturated, questions without an answer", lost, "", "");
        Ok(())
    }

    /// Names that are not there beside names that are.
    fn missing(&mut self) -> Result<(), Failure> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for _ in 0..self.extent.rounds {
            found.push(self.round(Load::Saturated("found"), Contender::Waypost)?);
            missing.push(self.round(Load::Saturated("missing"), Contender::Waypost)?);
        }
        let (found, missing) = (Rounds(found).cpu(), Rounds(missing).cpu());
        let note = format!("{missing:.2} us beside {found:.2}; goal: at most 1.1");
        let name = "saturated, CPU of NXDOMAIN against a hit";
        self.add(name, missing / found, "x", &note);
        Ok(())
    }

    /// 1,000 instances a second leave the rotation or come back meanwhile, over HTTP.
    fn changing(&mut self) -> Result<(), Failure> {
        let (mut still, mut moving) = (Vec::new(), Vec::new());
        for _ in 0..self.extent.rounds {
            still.push(self.round(Load::Saturated("usual"), Contender::Waypost)?);
            moving.push(self.round(Load::Changing(1_000), Contender::Waypost)?);
        }
        let (still, moving) = (Rounds(still), Rounds(moving));
        let changes = moving.median(|round| round.changes);
        let worker = |rounds: &Rounds| rounds.median(|round| round.worker_microseconds);
        let note = format!(
            "{:.2} us beside {:.2}; {changes:.0} changes/s; goal: at most 1.05",
            worker(&moving),
            worker(&still)
        );
        let name =
            "saturated, CPU of the answering thread with 1,000 changes a second against none";
        self.add(name, worker(&moving) / worker(&still), "x", &note);
        let note = format!(
            "{:.2} us beside {:.2}; here also HTTP, the registry and its watchers pay for the changes",
            moving.cpu(),
            still.cpu()
        );
        let name = "saturated, CPU of the whole server with 1,000 changes a second against none";
        self.add(name, moving.cpu() / still.cpu(), "x", &note);
        let note = format!("{:.0}/s without", still.rate());
        let name = "saturated, answers with 1,000 changes a second";
        self.add(name, moving.rate(), "1/s", &note);
        Ok(())
    }

    /// At a low rate each question wakes the server up.
    fn slow(&mut self) -> Result<(), Failure> {
        let both = [Contender::Waypost, Contender::Knot];
        let rounds = self.side_by_side(Load::Paced(20_000), &both)?;
        let [ours, knot] = rounds.as_slice() else {
            return Err(Failure::new("a server was not measured"));
        };
        let note = format!(
            "{:.2} us beside {:.2}; goal: at most 1.0",
            ours.cpu(),
            knot.cpu()
        );
        let name = "20,000 questions a second, CPU against Knot";
        self.add(name, ours.cpu() / knot.cpu(), "x", &note);
        Ok(())
    }

    fn dnsperf(&mut self, transport: &'static str, goal: &str) -> Result<(), Failure> {
        let both = [Contender::Waypost, Contender::Knot];
        let rounds = self.side_by_side(Load::Dnsperf(transport), &both)?;
        let [ours, knot] = rounds.as_slice() else {
            return Err(Failure::new("a server was not measured"));
        };
        let note = format!(
            "{:.2} us beside {:.2}; {:.0}/s beside {:.0}; {goal}",
            ours.cpu(),
            knot.cpu(),
            ours.rate(),
            knot.rate()
        );
        let name = format!("dnsperf over {transport}, CPU against Knot");
        self.add(&name, ours.cpu() / knot.cpu(), "x", &note);
        Ok(())
    }

    /// Measures several servers in turn, so that what else the machine does meets them all.
    fn side_by_side(&self, load: Load, contenders: &[Contender]) -> Result<Vec<Rounds>, Failure> {
        let mut rounds: Vec<Rounds> = contenders.iter().map(|_| Rounds(Vec::new())).collect();
        for _ in 0..self.extent.rounds {
            for (contender, rounds) in contenders.iter().zip(&mut rounds) {
                rounds.0.push(self.round(load, *contender)?);
            }
        }
        Ok(rounds)
    }

    fn round(&self, load: Load, contender: Contender) -> Result<Round, Failure> {
        let server = self.contenders.get(contender);
        // What the server still does for the round before is not counted to this one.
        pause(std::time::Duration::from_millis(100));
        let before = (server.run_seconds()?, server.worker_seconds()?);
        let mut round = match load {
            Load::Saturated(mix) => self.generator(server.address, &["--mix", mix])?,
            Load::Paced(rate) => self.generator(server.address, &["--rate", &rate.to_string()])?,
            Load::Changing(changes) => {
                let http = self.contenders.http.to_string();
                let changes = changes.to_string();
                let more = ["--changes-to", &http, "--changes", &changes];
                self.generator(server.address, &more)?
            }
            Load::Dnsperf(transport) => self.perf(server.address, transport)?,
        };
        let each = 1e6 / round.answers;
        round.cpu_microseconds = (server.run_seconds()? - before.0) * each;
        round.worker_microseconds = (server.worker_seconds()? - before.1) * each;
        Ok(round)
    }

    fn generator(&self, to: SocketAddr, more: &[&str]) -> Result<Round, Failure> {
        let seconds = self.extent.seconds.to_string();
        let mut command = pinned(LOAD_CORE, &self.programs.join("dns_load"));
        command.args(["--to", &to.to_string(), "--seconds", &seconds]);
        let figures = figure::parse(&output_of(command.args(more))?);
        let of = |name| value_of(&figures, name).unwrap_or_default();
        if of("answers") < 1.0 {
            return Err(Failure::new(format!("{to} answered nothing")));
        }
        Ok(Round {
            answers: of("answers"),
            rate: of("answer rate"),
            lost: of("lost"),
            changes: of("change rate"),
            ..Round::default()
        })
    }

    fn perf(&self, to: SocketAddr, transport: &str) -> Result<Round, Failure> {
        let questions = self.folder.join("questions");
        if !questions.exists() {
            fs::write(&questions, zone::questions(SERVICES, 100_000))?;
        }
        let seconds = self.extent.seconds.ceil().to_string();
        let mut command = pinned(LOAD_CORE, &PathBuf::from("dnsperf"));
        command.args(["-s", &to.ip().to_string(), "-p", &to.port().to_string()]);
        command.args([
            "-c", "20", "-q", "200", "-T", "1", "-t", "1", "-l", &seconds,
        ]);
        command.args(["-m", transport]).arg("-d").arg(&questions);
        let output = output_of(&mut command)?;
        let of = |name: &str| number_after(&output, name);
        let completed = of("Queries completed:")
            .filter(|completed| *completed > 0.0)
            .ok_or_else(|| Failure::new(format!("dnsperf had no answer:\n{output}")))?;
        Ok(Round {
            answers: completed,
            rate: of("Queries per second:").unwrap_or_default(),
            lost: of("Queries lost:").unwrap_or_default(),
            ..Round::default()
        })
    }

    fn add(&mut self, name: &str, value: f64, unit: &str, note: &str) {
        println!("{name}: {value:.3} {unit} ({note})");
        self.figures.push(Figure::new(name, value, unit, note));
    }
}

/// Runs a program on one core only.
fn pinned(core: &str, program: &std::path::Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

/// Reads the number after a word of dnsperf's report.
fn number_after(text: &str, word: &str) -> Option<f64> {
    let (_, rest) = text.split_once(word)?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::number_after;

    #[test]
    fn numbers_are_read_out_of_what_dnsperf_prints() {
        let text =
            "Statistics:\n\n  Queries sent:         12\n  Queries completed:    11 (91.67%)\n";
        assert_eq!(number_after(text, "Queries completed:"), Some(11.0));
        assert_eq!(number_after(text, "Queries lost:"), None);
    }
}
