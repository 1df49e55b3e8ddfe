//! What bounds how often somebody may ask.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use waypost_core::{Document, DocumentKey, Object};

use super::Guarded;
use crate::server::{Server, Setup, waypost};
use crate::snapshots::kills::written;

fn limited(rate: &str) -> Setup {
    Setup::new().file(format!("[access.rates]\nrequests_per_loopback = {rate}\n"))
}

fn count(server: &Server, token: &str, requests: usize) -> (usize, usize) {
    let mut connection = server.connect();
    let bearer = format!("Bearer {token}");
    let mut answered = (0, 0);
    for _ in 0..requests {
        let answer = connection
            .request("GET", "/v1/namespaces", &[("Authorization", &bearer)], b"")
            .unwrap();
        match answer.status {
            200 => answered.0 += 1,
            429 => {
                let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=2).contains(&after), "{after}");
                let problem = answer.json();
                assert_eq!(problem["code"], "throttled");
                assert!(
                    problem["detail"]
                        .as_str()
                        .unwrap()
                        .contains("access.rates.requests_per_loopback"),
                    "{problem}"
                );
                answered.1 += 1;
            }
            other => panic!("{other}"),
        }
    }
    answered
}

#[test]
fn an_address_that_asks_too_often_is_told_to_wait_and_probes_are_not() {
    let server = limited("{ per_second = 1, burst = 20 }").start();
    let (answered, refused) = count(&server, "", 100);
    assert!(
        (20..40).contains(&answered) && refused >= 60,
        "{answered} {refused}"
    );
    let mut connection = server.connect();
    for path in ["/livez", "/readyz", "/health"] {
        for _ in 0..50 {
            connection
                .request("GET", path, &[], b"")
                .unwrap()
                .expect(200);
        }
    }
    let metrics = format!("{:?}", server.log());
    assert!(!metrics.contains("panic"), "{metrics}");
}

#[test]
fn a_refusal_by_rate_is_counted_and_in_the_journal() {
    let server = limited("{ per_second = 50, burst = 50 }").start();
    let (_, refused) = count(&server, "", 300);
    assert!(refused > 0);
    let patient = |path: &str| {
        crate::server::eventually("it is let in again", || {
            let answer = server.get(path);
            (answer.status == 200).then_some(answer)
        })
    };
    let metrics = patient("/metrics").text();
    let counted = metrics
        .lines()
        .find_map(|line| line.strip_prefix("waypost_http_rejections_total{reason=\"rate\"} "));
    assert!(
        counted.unwrap().parse::<usize>().unwrap() >= refused,
        "{metrics}"
    );
    let lines = patient("/v1/audit?cause=throttled").json();
    assert_eq!(lines["lines"][0]["address"], "127.0.0.1", "{lines}");
}

#[test]
fn ten_thousand_credentials_are_all_there_can_be() {
    const MOST: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("a.snapshot"), folder.path().join("data"));
    let credential = |number: usize| {
        let content = json!({
            "id": format!("tok-{number}"), "name": "many", "is_aws": false, "account": "000000000000", "grants": [], "created": 0,
        });
        let key = DocumentKey::new("access/token", &format!("{number:064x}")).unwrap();
        Object::Document(Arc::new(Document {
            key,
            bytes: content.to_string().into_bytes().into(),
            expiry: None,
        }))
    };
    written(&file, (1..MOST).map(credential));
    let restore = waypost(["snapshot", "restore"])
        .args([&file, Path::new("--data-dir"), &data])
        .output()
        .unwrap();
    assert!(restore.status.success(), "{restore:?}");
    let secret = "only-for-this-test";
    let server = Setup::new()
        .data_dir(&data)
        .env("SERVICE_DISCOVERY_SECRET", secret)
        .start();
    let guarded = Guarded {
        server,
        admin: secret.to_owned(),
    };
    guarded.issue(&json!({ "name": "last" }));
    let one_more = json!({ "name": "one-more" });
    let (status, text) = guarded.ask(secret, "POST", "/v1/tokens", &one_more);
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("at most 10000 credentials"), "{text}");
}

#[test]
fn instances_of_a_service_have_a_bound_and_the_refusal_names_it() {
    let server = Setup::new()
        .env("WAYPOST__CORE__INSTANCES_PER_SERVICE_MAX", "2")
        .start();
    let body = json!({ "address": "127.0.0.1", "port": 9 });
    let path = |service: &str, id: u32| {
        format!("/v1/namespaces/svc.internal/services/{service}/instances/{id}")
    };
    for id in [0, 1] {
        server.put(&path("web", id), &body).expect(201);
    }
    let refused = server.put(&path("web", 2), &body).expect(413).text();
    assert!(
        refused.contains("core.instances_per_service_max"),
        "{refused}"
    );
    server.put(&path("web", 1), &body).expect(200);
    server.put(&path("api", 0), &body).expect(201);
    server.delete(&path("web", 0)).expect(204);
    server.put(&path("web", 2), &body).expect(201);
}

#[test]
fn a_credential_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    // One address that has no bound of its own asks with several credentials from a network that is not loopback's.
    let Some(network) = network::Network::new() else {
        return;
    };
    network.run();
}

#[test]
fn streams_are_not_ended_by_the_rate_of_their_credential() {
    const STREAMS: usize = 15;
    let guarded = Guarded::of(limited("{ per_second = 1, burst = 40 }"));
    let bearer = format!("Bearer {}", guarded.admin);
    let path = "/v1/watch?service=web";
    let mut streams: Vec<_> = (0..STREAMS)
        .map(|_| {
            let mut connection = guarded.server.connect();
            let headers = [("Authorization", bearer.as_str())];
            connection.send("GET", path, &headers, b"").unwrap();
            assert_eq!(connection.begin().unwrap(), 200);
            connection
        })
        .collect();
    // Each change is told to every stream, which looks at its credential again before: 60 looks in all.
    for port in 1..=4 {
        let place = "/v1/namespaces/svc.internal/services/web/instances/a";
        let (status, said) = guarded.ask(
            &guarded.admin,
            "PUT",
            place,
            &json!({"address": "10.0.0.1", "port": port}),
        );
        assert!([200, 201].contains(&status), "{said}");
        for stream in &mut streams {
            let told = stream.chunks_until(&format!("\"number\":{port},")).unwrap();
            assert!(told.contains("event: service"), "{told}");
        }
    }
}

mod network {
    //! A client elsewhere: a network namespace of its own, so that it does not come over loopback.

    use std::process::Command;

    use super::{Guarded, Setup, Value, json};
    use crate::skips::skipped;

    const TEST: &str =
        "access::limits::a_credential_that_asks_too_often_is_told_to_wait_and_others_are_not";

    pub(super) struct Network {
        name: String,
    }

    fn ip(arguments: &[&str]) -> Result<(), String> {
        let output = Command::new("ip")
            .args(arguments)
            .output()
            .map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    impl Network {
        pub(super) fn new() -> Option<Self> {
            let name = format!("wpl{}", std::process::id());
            let (ours, theirs) = (format!("{name}a"), format!("{name}b"));
            let made = Self { name: name.clone() };
            let steps: [&[&str]; 6] = [
                &["netns", "add", &name],
                &[
                    "link", "add", &ours, "type", "veth", "peer", "name", &theirs,
                ],
                &["link", "set", &theirs, "netns", &name],
                &["addr", "add", "10.231.77.1/24", "dev", &ours],
                &["link", "set", &ours, "up"],
                &["-n", &name, "addr", "add", "10.231.77.2/24", "dev", &theirs],
            ];
            let up = steps
                .iter()
                .try_for_each(|step| ip(step))
                .and_then(|()| ip(&["-n", &name, "link", "set", &theirs, "up"]));
            match up {
                Ok(()) => Some(made),
                Err(why) => {
                    skipped(TEST, &format!("no network namespace can be made: {why}"));
                    None
                }
            }
        }

        pub(super) fn run(&self) {
            let setup = Setup::new()
                .http("10.231.77.1:0")
                .env("WAYPOST__ACCESS__ALLOW_ANONYMOUS", "true")
                .file("[access.rates]\nrequests_per_credential = { per_second = 1, burst = 10 }\n");
            let guarded = Guarded::of(setup.env("WAYPOST__DIAL__ALLOW", "127.0.0.0/8"));
            let (_, one) = guarded.issue(&json!({ "name": "one" }));
            let (_, two) = guarded.issue(&json!({ "name": "two" }));
            assert_eq!(self.answered(&guarded, &one, 50), (10, 40));
            assert_eq!(
                self.answered(&guarded, &two, 5),
                (5, 0),
                "another one has its own"
            );
            let lines = guarded
                .ask(
                    &two,
                    "GET",
                    "/v1/audit?cause=throttled&subject=one",
                    &Value::Null,
                )
                .1;
            assert!(lines.contains("10.231.77.2"), "{lines}");
        }

        /// Asks so often from the other network, and counts what was answered and what was refused.
        fn answered(&self, guarded: &Guarded, token: &str, requests: usize) -> (usize, usize) {
            let url = format!("{}/v1/namespaces?[1-{requests}]", guarded.server.url())
                .replace("?[", "?limit=1&after=a[");
            let output = Command::new("ip")
                .args([
                    "netns",
                    "exec",
                    &self.name,
                    "curl",
                    "-s",
                    "-o",
                    "/dev/null",
                    "-w",
                    "%{http_code}\n",
                    "-H",
                ])
                .arg(format!("Authorization: Bearer {token}"))
                .arg(url)
                .output()
                .unwrap();
            let codes = String::from_utf8(output.stdout).unwrap();
            let of = |code: &str| codes.lines().filter(|line| *line == code).count();
            assert_eq!(of("200") + of("429"), requests, "{codes}");
            (of("200"), of("429"))
        }
    }

    impl Drop for Network {
        fn drop(&mut self) {
            // The pair of devices goes with it.
            let _gone = ip(&["netns", "del", &self.name]);
            let _gone = ip(&["link", "del", &format!("{}a", self.name)]);
        }
    }
}
