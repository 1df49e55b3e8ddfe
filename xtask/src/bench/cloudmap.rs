//! The Cloud Map benchmark: DiscoverInstances with a verified signature beside REST's discover and beside moto's server,
//! and durable registrations beside REST's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::figure::{self, Figure, median, value_of};
use super::heading::heading;
use super::server::Server;
use crate::metadata::Metadata;
use crate::peers;
use crate::program::{Environment, Failure, output_of, succeeds};

const KEY: &str = "AKIAWAYPOSTBENCH0001";
const SECRET: &str = "only+for/the/benchmark/of/waypost/000001";
const INSTANCES: usize = 5;
/// What signs and prints a request of DiscoverInstances as it goes over the wire, with botocore.
const SIGN: &str = r#"
import sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

address, key, secret, operation, body = sys.argv[1:6]
request = AWSRequest("POST", f"http://{address}/", data=body, headers={
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": f"Route53AutoNaming_v20170314.{operation}",
})
SigV4Auth(Credentials(key, secret), "servicediscovery", "eu-west-1").add_auth(request)
head = [f"POST / HTTP/1.1", f"Host: {address}", f"Content-Length: {len(body)}"]
head += [f"{name}: {value}" for name, value in request.headers.items() if name.lower() != "content-length"]
sys.stdout.write("\r\n".join(head) + "\r\n\r\n" + body)
"#;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Extent {
    rounds: usize,
    requests: usize,
    /// Requests to moto, which takes its time.
    moto_requests: usize,
    writing_seconds: f64,
}

/// A service has at most 100,000 instances, so that the writing is short.
const WRITING_ROUNDS: usize = 3;

const FULL: Extent = Extent {
    rounds: 5,
    requests: 50_000,
    moto_requests: 2_000,
    writing_seconds: 1.0,
};

const QUICK: Extent = Extent {
    rounds: 2,
    requests: 5_000,
    moto_requests: 300,
    writing_seconds: 0.5,
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
    let python = peers::install(environment, &metadata.target_directory)
        .into_iter()
        .find(|peer| peer.name == "python")
        .ok_or_else(|| Failure::new("there is no peer python"))?;
    let folder = metadata.target_directory.join("bench/cloudmap");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let moto = peers::moto_server(environment, &metadata.target_directory);
    let mut bench = Bench {
        programs: metadata.target_directory.join("release"),
        python: python.found.map_err(Failure::new)?,
        folder,
        extent: if quick { QUICK } else { FULL },
        figures: Vec::new(),
        missing: Vec::new(),
    };
    let mut show = Command::new(bench.programs.join("waypost"));
    let config = output_of(show.args(["config", "show"]).current_dir(&bench.folder))?;
    let mut text = heading(environment, "AWS Cloud Map", &config)?;
    bench.discoveries(moto)?;
    bench.registrations()?;
    text.push('\n');
    text.push_str(&figure::table(&bench.figures));
    for sentence in &bench.missing {
        text.push_str(&format!("\n{sentence}\n"));
    }
    println!("{text}");
    if !quick {
        let results = environment.root.join("benches/results");
        fs::create_dir_all(&results)?;
        fs::write(results.join("cloudmap.md"), text)?;
        println!("kept in benches/results/cloudmap.md");
    }
    Ok(())
}

struct Bench {
    programs: PathBuf,
    python: PathBuf,
    folder: PathBuf,
    extent: Extent,
    figures: Vec<Figure>,
    /// What could not be measured, and why.
    missing: Vec<String>,
}

/// One run of a load against one server.
#[derive(Debug, Clone, Copy)]
struct Round {
    cpu_microseconds: f64,
    rate: f64,
}

impl Bench {
    /// The same service, found in both dialects and in moto, in turn.
    fn discoveries(&mut self, moto: Result<PathBuf, Failure>) -> Result<(), Failure> {
        let settings = self.folder.join("waypost.toml");
        let keys = format!(
            "[[access.aws_keys]]\nid = \"{KEY}\"\nsecret = \"{SECRET}\"\n\n[access]\npublic_reads = true\n"
        );
        fs::write(&settings, keys)?;
        let signed = self.waypost("signed", Some(&settings))?;
        self.populate(&signed)?;
        let open = self.waypost("open", None)?;
        self.populate(&open)?;
        let body = r#"{"NamespaceName":"svc.internal","ServiceName":"bench"}"#;
        let discover = self.signed(&signed, "DiscoverInstances", body)?;
        expect(&signed, &discover, "instance-5")?;
        let unsigned = self.signed(&open, "DiscoverInstances", body)?;
        let rest = "GET /v1/discover/bench HTTP/1.1\r\nHost: localhost\r\n\r\n";
        expect(&signed, rest.as_bytes(), "instance-5")?;
        let moto = moto.and_then(|program| self.moto(&program, body));
        let (mut ours, mut without, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        let mut motos = Vec::new();
        let requests = self.extent.requests;
        for _ in 0..self.extent.rounds {
            ours.push(self.round(&signed, &discover, requests)?);
            without.push(self.round(&open, &unsigned, requests)?);
            theirs.push(self.round(&signed, rest.as_bytes(), requests)?);
            if let Ok((moto, discover)) = &moto {
                motos.push(self.round(moto, discover, self.extent.moto_requests)?);
            }
        }
        signed.stop()?;
        open.stop()?;
        let note = format!(
            "REST discover: {:.0}/s; AWS's quota: 1,000/s, 2,000 in a burst",
            rate(&theirs)
        );
        self.add(
            "DiscoverInstances, signed, 8 connections",
            rate(&ours),
            "1/s",
            &note,
        );
        let note = format!("REST discover: {:.2}", cpu(&theirs));
        self.add(
            "DiscoverInstances, signed, CPU per request",
            cpu(&ours),
            "us",
            &note,
        );
        let ratio = cpu(&ours) / cpu(&theirs);
        self.add(
            "DiscoverInstances, CPU against REST discover",
            ratio,
            "x",
            "goal: at most 2",
        );
        let verification = cpu(&ours) - cpu(&without);
        let note = "signed on a server with a key, less signed on an open one; goal: at most 15";
        self.add("verification of a signature", verification, "us", note);
        match moto {
            Ok((moto, _)) => {
                moto.stop()?;
                self.add_moto(&motos, &ours);
            }
            Err(why) => self
                .missing
                .push(format!("moto's server was not measured: {why}")),
        }
        Ok(())
    }

    /// Starts moto's server and gives it the same instances, with the request that finds them.
    fn moto(&self, program: &Path, body: &str) -> Result<(Server, Vec<u8>), Failure> {
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        let log = self.folder.join("moto.log");
        let moto = Server::start_other(command.current_dir(&self.folder), &log, "/moto-api/")?;
        self.populate(&moto)?;
        let discover = self.signed(&moto, "DiscoverInstances", body)?;
        expect(&moto, &discover, "instance-5")?;
        Ok((moto, discover))
    }

    fn add_moto(&mut self, motos: &[Round], ours: &[Round]) {
        let note = "its server closes each connection; it verifies no signature";
        let name = "moto's DiscoverInstances, 8 connections";
        self.add(name, rate(motos), "1/s", note);
        let name = "moto's DiscoverInstances, CPU per request";
        self.add(name, cpu(motos), "us", "");
        let name = "DiscoverInstances, signed, CPU against moto's";
        self.add(name, cpu(ours) / cpu(motos), "x", "");
    }

    /// Durable registrations of 64 clients, each of another instance, in both dialects.
    fn registrations(&mut self) -> Result<(), Failure> {
        let server = self.waypost("registrations", None)?;
        self.populate(&server)?;
        let services = self.signed(&server, "ListServices", "{}")?;
        let answer = server.ask(&services)?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let id = between(&text, "\"srv-")?;
        let body = format!(
            r#"{{"ServiceId":"srv-{id}","InstanceId":"load-@@@@@@@@","Attributes":{{"AWS_INSTANCE_IPV4":"127.0.0.1","AWS_INSTANCE_PORT":"8080","version":"1.0.0"}}}}"#
        );
        let register = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Route53AutoNaming_v20170314.RegisterInstance\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let body = r#"{"address":"127.0.0.1","port":8080,"attributes":{"version":"1.0.0"}}"#;
        let rest = format!(
            "PUT /v1/namespaces/svc.internal/services/bench/instances/rest-@@@@@@@@ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..WRITING_ROUNDS {
            ours.push(self.writers(&server, register.as_bytes(), round)?);
            theirs.push(self.writers(&server, rest.as_bytes(), round)?);
        }
        server.stop()?;
        let (ours, theirs) = (median(ours), median(theirs));
        let note = format!("REST: {theirs:.0}/s");
        self.add("RegisterInstance, durable, 64 clients", ours, "1/s", &note);
        let ratio = ours / theirs;
        self.add(
            "RegisterInstance against REST",
            ratio,
            "x",
            "goal: at least 0.7",
        );
        Ok(())
    }

    fn writers(&self, server: &Server, request: &[u8], round: usize) -> Result<f64, Failure> {
        let seconds = self.extent.writing_seconds.to_string();
        // Each round has numbers of its own: nothing is registered twice.
        let first = (round * 10_000_000).to_string();
        let more = ["--seconds", &seconds, "--first-number", &first];
        let figures = self.load(server, request, 64, &more)?;
        Ok(value_of(&figures, "request rate").unwrap_or_default())
    }

    fn round(&self, server: &Server, request: &[u8], requests: usize) -> Result<Round, Failure> {
        let before = server.cpu_seconds()?;
        let requests = requests.to_string();
        let figures = self.load(server, request, 8, &["--requests", &requests])?;
        let used = server.cpu_seconds()? - before;
        let answered = value_of(&figures, "requests").unwrap_or_default();
        Ok(Round {
            cpu_microseconds: used * 1e6 / answered,
            rate: value_of(&figures, "request rate").unwrap_or_default(),
        })
    }

    fn load(
        &self,
        server: &Server,
        request: &[u8],
        connections: usize,
        more: &[&str],
    ) -> Result<Vec<Figure>, Failure> {
        let file = self.folder.join("request");
        fs::write(&file, request)?;
        let mut command = Command::new(self.programs.join("load"));
        command.args(["--to", &server.address.to_string(), "--request"]);
        command.arg(&file);
        command.args(["--connections", &connections.to_string()]);
        let figures = figure::parse(&output_of(command.args(more))?);
        match figures.iter().find(|figure| figure.name == "errors") {
            Some(errors) if errors.value == 0.0 => Ok(figures),
            Some(errors) => Err(Failure::new(format!(
                "{} requests failed, the first: {}",
                errors.value, errors.note
            ))),
            None => Err(Failure::new("the load generator printed no result")),
        }
    }

    fn waypost(&self, data: &str, settings: Option<&Path>) -> Result<Server, Failure> {
        let mut command = Command::new(self.programs.join("waypost"));
        command.current_dir(&self.folder);
        command.args([
            "serve",
            "--http",
            "127.0.0.1:0",
            "--dns",
            "off",
            "--data-dir",
            data,
        ]);
        if let Some(settings) = settings {
            command.arg("--config").arg(settings);
        }
        Server::start(&mut command, &self.folder.join(format!("{data}.log")))
    }

    /// Registers the instances through Cloud Map's own service, so that both servers have the same.
    fn populate(&self, server: &Server) -> Result<(), Failure> {
        let make = r#"{"Name":"svc.internal","Vpc":"vpc-1"}"#;
        let made = server.ask(&self.signed(server, "CreatePrivateDnsNamespace", make)?)?;
        let text = String::from_utf8_lossy(&made.body).into_owned();
        if made.status != 200 {
            return Err(Failure::new(format!("no namespace was made: {text}")));
        }
        let list = server.ask(&self.signed(server, "ListNamespaces", "{}")?)?;
        let text = String::from_utf8_lossy(&list.body).into_owned();
        let id = between(&text, "\"ns-")?;
        let service = format!(r#"{{"Name":"bench","NamespaceId":"ns-{id}"}}"#);
        let made = server.ask(&self.signed(server, "CreateService", &service)?)?;
        let text = String::from_utf8_lossy(&made.body).into_owned();
        let id = between(&text, "\"srv-")?;
        for number in 1..=INSTANCES {
            let body = format!(
                r#"{{"ServiceId":"srv-{id}","InstanceId":"instance-{number}","Attributes":{{"AWS_INSTANCE_IPV4":"127.0.0.{number}","AWS_INSTANCE_PORT":"8080","version":"1.0.0"}}}}"#
            );
            let made = server.ask(&self.signed(server, "RegisterInstance", &body)?)?;
            if made.status != 200 {
                let text = String::from_utf8_lossy(&made.body).into_owned();
                return Err(Failure::new(format!("nothing was registered: {text}")));
            }
        }
        Ok(())
    }

    fn signed(&self, server: &Server, operation: &str, body: &str) -> Result<Vec<u8>, Failure> {
        let mut command = Command::new(&self.python);
        command.args(["-c", SIGN, &server.address.to_string(), KEY, SECRET]);
        Ok(output_of(command.args([operation, body]))?.into_bytes())
    }

    fn add(&mut self, name: &str, value: f64, unit: &str, note: &str) {
        println!("{name}: {value:.3} {unit} ({note})");
        self.figures.push(Figure::new(name, value, unit, note));
    }
}

fn cpu(rounds: &[Round]) -> f64 {
    median(rounds.iter().map(|round| round.cpu_microseconds).collect())
}

fn rate(rounds: &[Round]) -> f64 {
    median(rounds.iter().map(|round| round.rate).collect())
}

/// Gives what stands between a word and the next quote.
fn between<'a>(text: &'a str, word: &str) -> Result<&'a str, Failure> {
    text.split(word)
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .ok_or_else(|| Failure::new(format!("there is no {word} in {text}")))
}

fn expect(server: &Server, request: &[u8], word: &str) -> Result<(), Failure> {
    let answer = server.ask(request)?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status == 200 && text.contains(word) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} and no {word}: {text}",
        answer.status
    )))
}
