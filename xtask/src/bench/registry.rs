//! The registry benchmark: the core by itself, HTTP beside bare hyper, the disk beside both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::figure::{self, Figure, median, value_of};
use super::heading::heading;
use super::server::{Answer, Server, pause};
use crate::metadata::Metadata;
use crate::program::{Environment, Failure, output_of, succeeds};

const SERVICE: &str = "bench";
const INSTANCES: usize = 5;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Extent {
    rounds: usize,
    requests: usize,
    seconds: f64,
    callgrind_requests: [usize; 2],
}

const FULL: Extent = Extent {
    rounds: 5,
    requests: 100_000,
    seconds: 5.0,
    callgrind_requests: [1_000, 5_000],
};

const QUICK: Extent = Extent {
    rounds: 2,
    requests: 5_000,
    seconds: 1.0,
    callgrind_requests: [200, 600],
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
    let folder = metadata.target_directory.join("bench/registry");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut bench = Bench {
        environment,
        programs: metadata.target_directory.join("release"),
        folder,
        extent: if quick { QUICK } else { FULL },
        figures: Vec::new(),
    };
    let mut text = heading(environment, "Registry", &bench.config()?)?;
    bench.measure()?;
    text.push('\n');
    text.push_str(&figure::table(&bench.figures));
    println!("{text}");
    if !quick {
        let results = environment.root.join("benches/results");
        fs::create_dir_all(&results)?;
        fs::write(results.join("registry.md"), text)?;
        println!("kept in benches/results/registry.md");
    }
    Ok(())
}

/// A request that is measured on both servers.
struct Subject {
    name: &'static str,
    request: Vec<u8>,
    goal_ratio: Option<f64>,
    goal_instructions: Option<f64>,
    /// With a token, rates of address and token, and the journal that is always kept.
    is_guarded: bool,
}

impl Subject {
    fn all() -> [Self; 4] {
        let discover = format!(
            "GET /v1/discovery/services/{SERVICE}/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"
        );
        [
            Self {
                name: "GET discover",
                request: discover.clone().into_bytes(),
                goal_ratio: Some(1.35),
                goal_instructions: Some(13_000.0),
                is_guarded: false,
            },
            Self {
                name: "GET discover with token and limits",
                request: discover.into_bytes(),
                goal_ratio: None,
                goal_instructions: Some(17_000.0),
                is_guarded: true,
            },
            Self {
                name: "POST heartbeat",
                request: heartbeat(1),
                goal_ratio: Some(1.5),
                goal_instructions: None,
                is_guarded: false,
            },
            Self {
                name: "POST heartbeat with token and limits",
                request: heartbeat(1),
                goal_ratio: None,
                goal_instructions: None,
                is_guarded: true,
            },
        ]
    }
}

struct Bench<'a> {
    environment: &'a Environment,
    programs: PathBuf,
    folder: PathBuf,
    extent: Extent,
    figures: Vec<Figure>,
}

impl Bench<'_> {
    fn measure(&mut self) -> Result<(), Failure> {
        self.core()?;
        self.idle()?;
        for (writers, is_guarded) in [(1, false), (1, true), (64, false), (64, true)] {
            self.registrations(writers, is_guarded)?;
        }
        for subject in Subject::all() {
            self.beside_bare_hyper(&subject)?;
        }
        Ok(())
    }

    /// The figures that need no server come from a program of their own.
    fn core(&mut self) -> Result<(), Failure> {
        let program = self.programs.join("core_bench");
        if !program.is_file() {
            println!("SKIPPED: the core: there is no core_bench");
            return Ok(());
        }
        let folder = self.folder.join("core");
        fs::create_dir_all(&folder)?;
        let output = output_of(Command::new(program).arg("--dir").arg(folder))?;
        self.figures.extend(figure::parse(&output));
        Ok(())
    }

    fn idle(&mut self) -> Result<(), Failure> {
        let server = self.waypost("idle", false, None)?;
        // The memory of start-up is given back within moments.
        pause(Duration::from_secs(2));
        let resident = server.resident_mebibytes()?;
        self.add("idle RSS", resident, "MiB", "goal: at most 30");
        server.stop()
    }

    /// Durable registrations over HTTP, each of another instance, beside what the disk does at that moment.
    fn registrations(&mut self, writers: usize, is_guarded: bool) -> Result<(), Failure> {
        let seconds = self.extent.seconds.to_string();
        let mut disk = Command::new(self.programs.join("disk"));
        disk.arg("--dir").arg(&self.folder);
        disk.args(["--seconds", &seconds]);
        let disk = figure::parse(&output_of(&mut disk)?);

        let with = if is_guarded {
            ", with token and limits"
        } else {
            ""
        };
        let slug = format!("registrations-{writers}-{is_guarded}");
        let server = self.waypost(&slug, is_guarded, None)?;
        let body = r#"{"address":"127.0.0.1","port":8080,"attributes":{"version":"1.0.0"}}"#;
        // Without a check: what is measured is the registration, and nothing is probed.
        let request = send("PUT", &instance_path("load-@@@@@@@@"), body);
        let request = self.signed(&server, &request, is_guarded)?;
        let extent = ["--seconds", &seconds];
        let load = self.load(&server, &request, writers, &extent)?;
        server.stop()?;

        let plural = if writers == 1 { "" } else { "s" };
        let name = format!("HTTP registrations, {writers} writer{plural}{with}");
        let raw = value_of(&disk, "append 256 B and fdatasync rate").unwrap_or_default();
        let note = format!("fdatasync alone: {raw:.0}/s just before");
        self.add(
            &name,
            value_of(&load, "request rate").unwrap_or_default(),
            "1/s",
            &note,
        );
        for share in ["p50", "p99"] {
            let raw = value_of(&disk, &format!("append 256 B and fdatasync {share}"));
            let note = format!("fdatasync alone: {:.3} ms", raw.unwrap_or_default());
            let value = value_of(&load, &format!("request {share}")).unwrap_or_default();
            self.add(&format!("{name}, {share}"), value, "ms", &note);
        }
        Ok(())
    }

    /// One request on Waypost and, with the same bytes in both directions, on hyper alone, in turn.
    fn beside_bare_hyper(&mut self, subject: &Subject) -> Result<(), Failure> {
        let slug = subject.name.replace(' ', "-");
        let waypost = self.waypost(&slug, subject.is_guarded, None)?;
        let answer = self.populate(&waypost, subject)?;
        let request = self.signed(&waypost, &subject.request, subject.is_guarded)?;
        let bare = self.bare_hyper(&answer, &slug, None)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..self.extent.rounds {
            ours.push(self.round(&waypost, &request)?);
            theirs.push(self.round(&bare, &request)?);
        }
        waypost.stop()?;
        bare.stop()?;

        let of =
            |rounds: &[Round], part: fn(&Round) -> f64| median(rounds.iter().map(part).collect());
        let cpu = |rounds: &[Round]| of(rounds, |round| round.cpu_microseconds);
        let (ours_cpu, theirs_cpu) = (cpu(&ours), cpu(&theirs));
        let name = subject.name;
        let rate = of(&ours, |round| round.rate);
        let note = format!("bare hyper: {:.0}/s", of(&theirs, |round| round.rate));
        self.add(&format!("{name}, 8 connections"), rate, "1/s", &note);
        let note = format!("bare hyper: {:.3} ms", of(&theirs, |round| round.p99));
        self.add(
            &format!("{name}, p99"),
            of(&ours, |round| round.p99),
            "ms",
            &note,
        );
        let note = format!("bare hyper: {theirs_cpu:.2}");
        self.add(&format!("{name}, CPU per request"), ours_cpu, "us", &note);
        let goal = subject.goal_ratio;
        let goal = goal.map_or_else(String::new, |goal| format!("goal: at most {goal}"));
        self.add(
            &format!("{name}, CPU against bare hyper"),
            ours_cpu / theirs_cpu,
            "x",
            &goal,
        );
        self.instructions(subject, &answer)
    }

    /// User instructions per request: the difference of two counts, so that starting and stopping cancel.
    fn instructions(&mut self, subject: &Subject, answer: &Answer) -> Result<(), Failure> {
        if self.environment.find("valgrind").is_none() {
            println!(
                "SKIPPED: {}, instructions: there is no valgrind",
                subject.name
            );
            return Ok(());
        }
        let [few, many] = self.extent.callgrind_requests;
        let before = self.counted_both(subject, answer, few)?;
        let after = self.counted_both(subject, answer, many)?;
        let more = as_number(many - few);
        let ours = (after.ours - before.ours) / more;
        let theirs = (after.theirs - before.theirs) / more;
        let goal = subject
            .goal_instructions
            .map_or_else(String::new, |goal| format!("; goal: at most {goal}"));
        let note = format!("bare hyper: {theirs:.0}{goal}");
        self.add(
            &format!("{}, user instructions", subject.name),
            ours,
            "Ir",
            &note,
        );
        Ok(())
    }

    fn counted_both(
        &self,
        subject: &Subject,
        answer: &Answer,
        requests: usize,
    ) -> Result<Counts, Failure> {
        let slug = format!("{}-{requests}", subject.name.replace(' ', "-"));
        let log = self.folder.join(format!("callgrind-{slug}"));
        let waypost = self.waypost(&slug, subject.is_guarded, Some(&log))?;
        self.populate(&waypost, subject)?;
        let request = self.signed(&waypost, &subject.request, subject.is_guarded)?;
        let ours = self.counted(waypost, &request, requests, &log)?;
        let bare = self.bare_hyper(answer, &slug, Some(&log))?;
        let theirs = self.counted(bare, &request, requests, &log)?;
        Ok(Counts { ours, theirs })
    }

    /// Sends requests to a server under callgrind, stops it, and gives the instructions it counted.
    fn counted(
        &self,
        server: Server,
        request: &[u8],
        requests: usize,
        log: &Path,
    ) -> Result<f64, Failure> {
        self.load(&server, request, 1, &["--requests", &requests.to_string()])?;
        server.stop()?;
        collected(&fs::read_to_string(log)?)
            .ok_or_else(|| Failure::new("callgrind printed no count"))
    }

    fn round(&self, server: &Server, request: &[u8]) -> Result<Round, Failure> {
        let before = server.cpu_seconds()?;
        let requests = self.extent.requests.to_string();
        // A server that takes longer is measured by what it has answered by then.
        let extent = ["--requests", &requests, "--seconds", "60"];
        let load = self.load(server, request, 8, &extent)?;
        let used = server.cpu_seconds()? - before;
        let answered = value_of(&load, "requests").unwrap_or_default();
        Ok(Round {
            cpu_microseconds: used * 1e6 / answered,
            rate: value_of(&load, "request rate").unwrap_or_default(),
            p99: value_of(&load, "request p99").unwrap_or_default(),
        })
    }

    /// Runs the load generator; a figure with errors in it is none.
    fn load(
        &self,
        server: &Server,
        request: &[u8],
        connections: usize,
        extent: &[&str],
    ) -> Result<Vec<Figure>, Failure> {
        let file = self.folder.join("request");
        fs::write(&file, request)?;
        let mut command = Command::new(self.programs.join("load"));
        command.args(["--to", &server.address.to_string(), "--request"]);
        command.arg(&file);
        command.args(["--connections", &connections.to_string()]);
        let figures = figure::parse(&output_of(command.args(extent))?);
        match figures.iter().find(|figure| figure.name == "errors") {
            Some(errors) if errors.value == 0.0 => Ok(figures),
            Some(errors) => Err(Failure::new(format!(
                "{} requests failed, the first: {}",
                errors.value, errors.note
            ))),
            None => Err(Failure::new("the load generator printed no result")),
        }
    }

    /// Registers the instances, beats for each, and gives the answer to the measured request.
    fn populate(&self, server: &Server, subject: &Subject) -> Result<Answer, Failure> {
        for number in 1..=INSTANCES {
            let body = format!(
                r#"{{"address":"127.0.0.{number}","port":8080,"attributes":{{"version":"1.0.0"}},"lease_seconds":3600}}"#
            );
            let register = send("PUT", &instance_path(&format!("instance-{number}")), &body);
            for request in [register, heartbeat(number)] {
                expect_success(&server.ask(&request)?)?;
            }
        }
        let answer = server.ask(&subject.request)?;
        expect_success(&answer)?;
        let text = String::from_utf8_lossy(&answer.body);
        let shown = (1..=INSTANCES).filter(|number| text.contains(&format!("instance-{number}")));
        if subject.request.starts_with(b"GET") && shown.count() != INSTANCES {
            return Err(Failure::new(format!(
                "not all {INSTANCES} instances are discovered: {text}"
            )));
        }
        Ok(answer)
    }

    /// Issues a token and adds it to a request, when the server is guarded.
    fn signed(
        &self,
        server: &Server,
        request: &[u8],
        is_guarded: bool,
    ) -> Result<Vec<u8>, Failure> {
        if !is_guarded {
            return Ok(request.to_vec());
        }
        let answer = server.ask(&send("POST", "/v1/tokens", r#"{"name":"bench"}"#))?;
        expect_success(&answer)?;
        let text = String::from_utf8_lossy(&answer.body);
        let secret = text.split_once(r#""secret":""#);
        let secret = secret.and_then(|(_, rest)| rest.split('"').next());
        let secret = secret.ok_or_else(|| Failure::new("a token has no secret"))?;
        let host = "Host: localhost\r\n";
        let with = format!("{host}Authorization: Bearer {secret}\r\n");
        Ok(String::from_utf8_lossy(request)
            .replacen(host, &with, 1)
            .into_bytes())
    }

    /// Starts Waypost with a data folder of its own, under callgrind when there is a log for it.
    fn waypost(
        &self,
        data: &str,
        is_guarded: bool,
        callgrind: Option<&Path>,
    ) -> Result<Server, Failure> {
        let mut command = self.command("waypost", callgrind);
        if is_guarded {
            // Bounds that are looked at with each request and never met.
            let rate = "WAYPOST__ACCESS__RATES__REQUESTS_PER_LOOPBACK";
            command.env(format!("{rate}__PER_SECOND"), "1000000");
            command.env(format!("{rate}__BURST"), "1000000");
        }
        // The folder is named relatively, so that the table holds no path of this machine.
        command.args(["serve", "--http", "127.0.0.1:0", "--data-dir", data]);
        self.start(&mut command, callgrind)
    }

    fn bare_hyper(
        &self,
        answer: &Answer,
        slug: &str,
        callgrind: Option<&Path>,
    ) -> Result<Server, Failure> {
        let body = self.folder.join(format!("body-{slug}"));
        fs::write(&body, &answer.body)?;
        let mut command = self.command("bare_hyper", callgrind);
        command.arg("--body").arg(body);
        // Hyper writes these by itself.
        let by_hyper = ["date", "content-length", "connection", "transfer-encoding"];
        for header in &answer.headers {
            let name = header.split(':').next().unwrap_or_default().to_lowercase();
            if !by_hyper.contains(&name.as_str()) {
                command.args(["--header", header]);
            }
        }
        self.start(&mut command, callgrind)
    }

    fn command(&self, program: &str, callgrind: Option<&Path>) -> Command {
        let path = self.programs.join(program);
        let mut command = if callgrind.is_some() {
            let mut command = Command::new("valgrind");
            command.args(["--tool=callgrind", "--callgrind-out-file=callgrind.out"]);
            command.arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(&self.folder);
        command
    }

    fn start(&self, command: &mut Command, log: Option<&Path>) -> Result<Server, Failure> {
        let log = log.map_or_else(|| self.folder.join("server.log"), Path::to_owned);
        Server::start(command, &log)
    }

    fn config(&self) -> Result<String, Failure> {
        let mut command = Command::new(self.programs.join("waypost"));
        output_of(command.args(["config", "show"]).current_dir(&self.folder))
    }

    fn add(&mut self, name: &str, value: f64, unit: &str, note: &str) {
        println!("{name}: {value:.3} {unit} ({note})");
        self.figures.push(Figure::new(name, value, unit, note));
    }
}

/// One run of the load generator against one server.
struct Round {
    cpu_microseconds: f64,
    rate: f64,
    p99: f64,
}

/// Instructions of the two servers over their whole lives.
struct Counts {
    ours: f64,
    theirs: f64,
}

fn heartbeat(instance: usize) -> Vec<u8> {
    let body = format!(r#"{{"service_name":"{SERVICE}","instance_id":"instance-{instance}"}}"#);
    send("POST", "/v1/discovery/heartbeat", &body)
}

fn instance_path(id: &str) -> String {
    format!("/v1/namespaces/svc.internal/services/{SERVICE}/instances/{id}")
}

fn send(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn expect_success(answer: &Answer) -> Result<(), Failure> {
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the server answered {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    )))
}

/// Reads "==1== Collected : 123456" out of what callgrind prints.
pub(super) fn collected(log: &str) -> Option<f64> {
    let line = log.lines().find(|line| line.contains("Collected :"))?;
    let (_, number) = line.rsplit_once(": ")?;
    number.split_whitespace().next()?.parse().ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count of requests is far below 2^52"
)]
fn as_number(count: usize) -> f64 {
    count as f64
}
