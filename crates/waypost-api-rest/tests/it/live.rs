//! Streams of changes and long polls.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use waypost_core::CheckState;

use crate::support::{Answered, Options, PATIENCE, Running, TOKEN, start, start_with, with_secret};

const SERVICES: &str = "/v1/namespaces/svc.internal/services";

/// One event of a stream.
#[derive(Debug)]
struct Event {
    name: String,
    data: Value,
}

/// A reader of a stream.
struct Reader {
    stream: TcpStream,
    bytes: Vec<u8>,
    text: String,
    /// The id that came last.
    last_id: String,
    ended: bool,
}

impl Reader {
    async fn open(server: &Running, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reader = Self {
            stream,
            bytes: Vec::new(),
            text: String::new(),
            last_id: String::new(),
            ended: false,
        };
        let head = reader.until(b"\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        reader
    }

    async fn read(&mut self) -> usize {
        let read = self.stream.read_buf(&mut self.bytes);
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.expect("the stream goes on").unwrap()
    }

    /// Takes what stands before and at an end out of what came.
    async fn until(&mut self, end: &[u8]) -> String {
        loop {
            let mut windows = self.bytes.windows(end.len());
            if let Some(at) = windows.position(|window| window == end) {
                let taken: Vec<u8> = self.bytes.drain(..at + end.len()).collect();
                return String::from_utf8(taken).unwrap();
            }
            assert_ne!(self.read().await, 0, "cut off");
        }
    }

    async fn chunk(&mut self) {
        let size = self.until(b"\r\n").await;
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        while self.bytes.len() < size + 2 {
            assert_ne!(self.read().await, 0, "cut off");
        }
        let chunk: Vec<u8> = self.bytes.drain(..size + 2).collect();
        self.text
            .push_str(std::str::from_utf8(&chunk[..size]).unwrap());
        self.ended = size == 0;
    }

    /// Returns the next block of lines, which an empty line ends; `None` at the end of the stream.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            if self.ended {
                return None;
            }
            self.chunk().await;
        }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let mut event = Event {
                name: String::new(),
                data: Value::Null,
            };
            for line in block.lines() {
                match line.split_once(": ").unwrap() {
                    ("id", id) => id.clone_into(&mut self.last_id),
                    ("event", name) => name.clone_into(&mut event.name),
                    ("data", data) => event.data = serde_json::from_str(data).unwrap(),
                    ("retry", _) | ("", _) => {}
                    other => panic!("{other:?}"),
                }
            }
            if !event.name.is_empty() {
                return Some(event);
            }
        }
    }

    /// Reads up to the next `synced` and tells each event in a word or two.
    async fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            let word = |value: &Value| value.as_str().unwrap().to_owned();
            told.push(match event.name.as_str() {
                "synced" => return told,
                "reset" => format!("reset: {}", word(&event.data["reason"])),
                "gone" => format!("gone {}", word(&event.data["service"])),
                "service" => {
                    let instances = event.data["instances"].as_array().unwrap().iter();
                    let ids: Vec<String> = instances.map(|it| word(&it["id"])).collect();
                    format!("{} {}", word(&event.data["service"]["name"]), ids.join(","))
                }
                other => panic!("{other}"),
            });
        }
    }
}

const BEGINNING: &str = "reset: this is the beginning";

#[tokio::test]
async fn a_stream_begins_with_everything_and_tells_every_change() {
    let server = start().await;
    server.register("web", "a").await;
    let mut reader = Reader::open(&server, "/v1/watch", "").await;
    assert_eq!(reader.told().await, [BEGINNING, "web a"]);
    server.register("web", "b").await;
    assert_eq!(reader.told().await, ["web a,b"]);
    server.register("api", "x").await;
    assert_eq!(reader.told().await, ["api x"]);
    for id in ["a", "b"] {
        let path = format!("{SERVICES}/web/instances/{id}");
        assert_eq!(server.delete(&path).await.status, 204);
        reader.told().await;
    }
    assert_eq!(server.delete(&format!("{SERVICES}/web")).await.status, 204);
    assert_eq!(reader.told().await, ["gone web"]);
    server.stop().await;
}

#[tokio::test]
async fn an_event_has_the_service_its_tier_and_every_instance_as_reads_show_them() {
    let server = start().await;
    server.register("web", "a").await;
    server.report("web", "a", CheckState::Passing, "ok").await;
    let mut reader = Reader::open(&server, "/v1/watch?service=web", "").await;
    assert_eq!(reader.next().await.unwrap().name, "reset");
    let event = reader.next().await.unwrap();
    assert_eq!(event.name, "service");
    let shown = server.get(&format!("{SERVICES}/web")).await.json();
    assert_eq!(event.data["service"], shown);
    assert_eq!(event.data["tier"], 0);
    let listed = server.get(&format!("{SERVICES}/web/instances")).await;
    let (told, shown) = (&event.data["instances"], &listed.json()["instances"]);
    assert_eq!(without_vitals(told), without_vitals(shown));
    server.stop().await;
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_only_what_changed_meanwhile() {
    let server = start().await;
    for service in ["web", "api", "old"] {
        server.register(service, "a").await;
    }
    let mut reader = Reader::open(&server, "/v1/watch", "").await;
    reader.told().await;
    let id = reader.last_id.clone();
    drop(reader);
    server.register("web", "b").await;
    assert_eq!(
        server
            .delete(&format!("{SERVICES}/old/instances/a"))
            .await
            .status,
        204
    );
    assert_eq!(server.delete(&format!("{SERVICES}/old")).await.status, 204);
    let header = format!("Last-Event-ID: {id}\r\n");
    let mut reader = Reader::open(&server, "/v1/watch", &header).await;
    assert_eq!(reader.told().await, ["gone old", "web a,b"]);
    // The same by a parameter, and nothing at all when nothing happened.
    let path = format!("/v1/watch?revision={}", reader.last_id);
    let mut reader = Reader::open(&server, &path, "").await;
    server.register("api", "b").await;
    assert_eq!(reader.told().await, ["api a,b"]);
    server.stop().await;
}

#[tokio::test]
async fn a_reader_from_another_history_the_future_or_too_long_ago_is_reset_and_told_why() {
    let server = start().await;
    server.register("web", "a").await;
    let mut reader = Reader::open(&server, "/v1/watch", "").await;
    reader.told().await;
    let known = reader.last_id.clone();
    let (epoch, revision) = known.split_once('.').unwrap();
    let revision: u64 = revision.parse().unwrap();
    let cases = [
        (format!("{epoch}.{}", revision + 1), "of a future"),
        (format!("{:016x}.{revision}", 0xb2), "restored or made anew"),
        ("17".to_owned(), "none of this server's"),
        (String::new(), "none of this server's"),
    ];
    for (id, why) in cases {
        let header = format!("Last-Event-ID: {id}\r\n");
        let mut reader = Reader::open(&server, "/v1/watch", &header).await;
        let told = reader.told().await;
        assert!(
            told[0].starts_with("reset: ") && told[0].contains(why),
            "{told:?}"
        );
        assert_eq!(told[1..], ["web a"]);
    }
    server.clock.advance(Duration::from_mins(11));
    server.register("web", "b").await;
    server.register("web", "c").await;
    let header = format!("Last-Event-ID: {epoch}.0\r\n");
    let mut reader = Reader::open(&server, "/v1/watch", &header).await;
    assert_eq!(reader.told().await[0], "reset: that was too long ago");
    server.get("/v1/watch?revision=17").await.problem(422);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_has_the_scopes_asked_for_and_waits_for_what_is_not_there_yet() {
    let server = start().await;
    server.register("api", "x").await;
    let path = "/v1/watch?service=web&service=other.internal/web&namespace=third.internal";
    let mut reader = Reader::open(&server, path, "").await;
    assert_eq!(reader.told().await, [BEGINNING]);
    server.register("api", "y").await;
    server.register("web", "a").await;
    assert_eq!(reader.told().await, ["web a"]);
    let body = json!({"address": "10.0.0.1", "port": 80}).to_string();
    let put = |path: &'static str| server.put(path, &body);
    put("/v1/namespaces/other.internal/services/web/instances/o").await;
    assert_eq!(reader.told().await, ["web o"]);
    put("/v1/namespaces/third.internal/services/cart/instances/c").await;
    assert_eq!(reader.told().await, ["cart c"]);
    server.stop().await;
}

#[tokio::test]
async fn too_many_scopes_and_unknown_parameters_are_refused() {
    let server = start().await;
    let many: Vec<String> = (0..1_000).map(|n| format!("service=s{n}")).collect();
    let problem = server
        .get(&format!("/v1/watch?{}", many[..61].join("&")))
        .await
        .problem(413);
    assert_eq!(problem["field"], "service");
    // A thousand of them are stopped by the bound of a request line, or by this one.
    let answered = server.get(&format!("/v1/watch?{}", many.join("&"))).await;
    assert!([400, 413].contains(&answered.status), "{answered:?}");
    for path in [
        "/v1/watch?servcie=web",
        "/v1/watch?service=not%20a%20name%0a",
    ] {
        server.get(path).await.problem(422);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_quiet_stream_is_kept_alive_and_its_id_moves_on() {
    let server = start().await;
    let mut reader = Reader::open(&server, "/v1/watch?service=web", "").await;
    reader.told().await;
    let before = reader.last_id.clone();
    server.register("elsewhere", "a").await;
    let block = loop {
        // Whether the stream waits already, nobody can see from here.
        server.clock.advance(Duration::from_secs(15));
        let block = tokio::time::timeout(Duration::from_millis(100), reader.block()).await;
        if let Ok(block) = block {
            break block.unwrap();
        }
    };
    let (id, comment) = block.split_once('\n').unwrap();
    assert_eq!(comment, ": keep-alive");
    assert_ne!(id, format!("id: {before}"));
    server.stop().await;
}

/// A document without what is only as it was at the time: vitals move no revision and are no event.
fn without_vitals(document: &Value) -> Value {
    let mut document = document.clone();
    for instance in document.as_array_mut().unwrap() {
        for vital in ["last_heartbeat", "last_probe", "load"] {
            instance.as_object_mut().unwrap().remove(vital);
        }
    }
    document
}

/// A token with which the service may be read, and its id.
async fn reader_of(server: &Running, service: &str) -> (String, String) {
    let admin = format!("Authorization: Bearer {TOKEN}\r\n");
    let grants = json!({"name": "reader", "grants": [
        {"verbs": ["read"], "namespaces": "*", "services": service}]});
    let made = server
        .send("POST", "/v1/tokens", &admin, grants.to_string().as_bytes())
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let word = |name: &str| made[name].as_str().unwrap().to_owned();
    (
        format!("Authorization: Bearer {}\r\n", word("secret")),
        word("id"),
    )
}

async fn revoke(server: &Running, id: &str) {
    let admin = format!("Authorization: Bearer {TOKEN}\r\n");
    let gone = server
        .send("DELETE", &format!("/v1/tokens/{id}"), &admin, b"")
        .await;
    assert_eq!(gone.status, 204, "{gone:?}");
}

async fn put_as_admin(server: &Running, service: &str, id: &str) {
    let admin = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
    let path = format!("{SERVICES}/{service}/instances/{id}");
    let body = br#"{"address": "10.0.0.1", "port": 80}"#;
    let put = server.send("PUT", &path, &admin, body).await;
    assert_eq!(put.status, 201, "{put:?}");
}

#[tokio::test]
async fn a_stream_shows_what_its_token_may_read_and_ends_when_that_is_revoked() {
    let server = start_with(with_secret(false)).await;
    server.get("/v1/watch").await.problem(401);
    let (header, id) = reader_of(&server, "web").await;
    let (other, _) = reader_of(&server, "web").await;
    put_as_admin(&server, "secret", "s").await;
    let mut reader = Reader::open(&server, "/v1/watch", &header).await;
    let mut stays = Reader::open(&server, "/v1/watch", &other).await;
    for reader in [&mut reader, &mut stays] {
        assert_eq!(reader.told().await, [BEGINNING]);
    }
    put_as_admin(&server, "secret", "t").await;
    put_as_admin(&server, "web", "a").await;
    for reader in [&mut reader, &mut stays] {
        assert_eq!(reader.told().await, ["web a"]);
    }
    revoke(&server, &id).await;
    assert!(reader.next().await.is_none(), "it ends");
    put_as_admin(&server, "web", "b").await;
    assert_eq!(stays.told().await, ["web a,b"]);
    server
        .send("GET", "/v1/watch", &header, b"")
        .await
        .problem(401);
    server.stop().await;
}

#[tokio::test]
async fn streams_end_and_polls_are_answered_when_the_server_stops() {
    let server = start().await;
    server.register("web", "a").await;
    let mut reader = Reader::open(&server, "/v1/watch", "").await;
    reader.told().await;
    let poll = Poll::of(&server, "/v1/discover/web")
        .await
        .wait(&server)
        .await;
    server.stopping.send(true).unwrap();
    assert!(reader.next().await.is_none());
    assert_eq!(poll.await.unwrap().status, 200);
    server.stop().await;
}

#[tokio::test]
async fn more_streams_and_polls_than_are_held_are_refused() {
    let mut options = Options::default();
    options.config.watchers_max = 1;
    let server = start_with(options).await;
    server.register("web", "a").await;
    let mut reader = Reader::open(&server, "/v1/watch", "").await;
    reader.told().await;
    let refused = server.get("/v1/watch").await;
    let problem = refused.problem(429);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("rest.watchers_max")
    );
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let poll = Poll::of(&server, "/v1/discover/web").await;
    let path = format!("/v1/discover/web?wait=30s&revision={}", poll.revision);
    server.get(&path).await.problem(429);
    // A read that does not wait takes no place.
    assert_eq!(server.get("/v1/discover/web?wait=30s").await.status, 200);
    drop(reader);
    // The server sees that the reader left when it writes next, or when the connection is closed.
    let asked = async {
        loop {
            server.register("web", "a").await;
            let poll = Poll::of(&server, "/v1/discover/web").await.at("&wait=1s");
            server.clock.advance(Duration::from_secs(15));
            if server.get("/v1/watch?service=%00").await.status == 422
                && server.get(&poll).await.status == 200
            {
                return;
            }
        }
    };
    let poll = async {
        loop {
            tokio::task::yield_now().await;
            server.clock.advance(Duration::from_secs(1));
        }
    };
    let freed = async {
        tokio::select! { () = asked => {}, () = poll => {} }
    };
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("the place is free again");
    server.stop().await;
}

/// A read with what its answer said of where it stands.
struct Poll {
    path: String,
    revision: String,
    answer: Answered,
}

impl Poll {
    async fn of(server: &Running, path: &str) -> Self {
        let and = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{and}");
        let answer = server.get(&format!("{path}wait=30s")).await;
        Self {
            revision: answer.header("waypost-revision").unwrap().to_owned(),
            path,
            answer,
        }
    }

    fn at(&self, rest: &str) -> String {
        format!("{}revision={}{rest}", self.path, self.revision)
    }

    /// Begins to wait, and gives what answers.
    #[expect(clippy::disallowed_methods, reason = "the test awaits the task itself")]
    async fn wait(&self, server: &Running) -> JoinHandle<Answered> {
        let path = self.at("&wait=50");
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        // Whatever happens to come before the server reads this is answered at once, which is right too.
        tokio::spawn(async move {
            let mut bytes = Vec::new();
            let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
            read.expect("the poll ends").unwrap();
            let answer = String::from_utf8(bytes).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            Answered {
                status: head.split(' ').nth(1).unwrap().parse().unwrap(),
                head: head.to_owned(),
                body: body.to_owned(),
            }
        })
    }
}

fn ids(answer: &Answered) -> Vec<String> {
    let document = answer.json();
    let instances = document["instances"].as_array().unwrap().iter();
    instances
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_long_poll_of_a_rotation_ends_when_that_changes_and_by_nothing_else() {
    let server = start().await;
    server.register("web", "a").await;
    server.report("web", "a", CheckState::Passing, "ok").await;
    let poll = Poll::of(&server, "/v1/discover/web").await;
    assert_eq!(ids(&poll.answer), ["a"]);
    let waiting = poll.wait(&server).await;
    // It is registered and untried, and stays out of the rotation.
    server.register("web", "b").await;
    server.report("web", "b", CheckState::Passing, "ok").await;
    assert_eq!(ids(&waiting.await.unwrap()), ["a", "b"]);
    // The plain answer is the same after a change that it does not show.
    let poll = Poll::of(&server, "/v1/discover/web").await;
    server.register("web", "c").await;
    assert_eq!(
        Poll::of(&server, "/v1/discover/web").await.answer.body,
        poll.answer.body
    );
    let waiting = poll.wait(&server).await;
    server.report("web", "c", CheckState::Passing, "ok").await;
    assert_eq!(ids(&waiting.await.unwrap()), ["a", "b", "c"]);
    server.stop().await;
}

#[tokio::test]
async fn a_long_poll_of_a_filtered_list_ends_when_its_page_changes() {
    let server = start().await;
    let put = async |id: &str, zone: &str| {
        let body = json!({"address": "10.0.0.1", "port": 80, "zone": zone}).to_string();
        let path = format!("{SERVICES}/web/instances/{id}");
        assert!(server.put(&path, &body).await.status < 300);
    };
    put("a", "z1").await;
    for path in [
        &format!("{SERVICES}/web/instances?zone=z1"),
        "/v1/instances?zone=z1",
    ] {
        let poll = Poll::of(&server, path).await;
        let waiting = poll.wait(&server).await;
        put("b", "z2").await;
        put("c", "z1").await;
        assert_eq!(ids(&waiting.await.unwrap()), ["a", "c"]);
        assert_eq!(
            server
                .delete(&format!("{SERVICES}/web/instances/c"))
                .await
                .status,
            204
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_long_poll_waits_for_what_is_not_there_yet_and_for_what_goes() {
    let server = start().await;
    let poll = Poll::of(&server, &format!("{SERVICES}/web/instances/a")).await;
    poll.answer.problem(404);
    let waiting = poll.wait(&server).await;
    server.register("web", "b").await;
    server.register("web", "a").await;
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status, &answer.json()["id"]), (200, &json!("a")));
    let poll = Poll::of(&server, &format!("{SERVICES}/web/instances/a")).await;
    let waiting = poll.wait(&server).await;
    assert_eq!(
        server
            .delete(&format!("{SERVICES}/web/instances/a"))
            .await
            .status,
        204
    );
    waiting.await.unwrap().problem(404);
    server.stop().await;
}

#[tokio::test]
async fn a_long_poll_ends_in_time_with_the_answer_as_it_is() {
    let server = start().await;
    server.register("web", "a").await;
    let poll = Poll::of(&server, &format!("{SERVICES}/web")).await;
    let waiting = poll.wait(&server).await;
    let time = async {
        loop {
            server.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let answer =
        tokio::select! { answer = waiting => answer.unwrap(), () = time => unreachable!() };
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("waypost-revision"),
        Some(poll.revision.as_str())
    );
    server.stop().await;
}

#[tokio::test]
async fn a_long_poll_from_another_history_or_the_future_is_answered_at_once() {
    let server = start().await;
    server.register("web", "a").await;
    let poll = Poll::of(&server, "/v1/discover/web").await;
    let (epoch, rest) = poll.revision.split_once('.').unwrap();
    let digest = rest.split_once('.').unwrap().1;
    for revision in [
        format!("00000000000000b2.{rest}"),
        format!("{epoch}.999.{digest}"),
        format!("{epoch}.0"),
    ] {
        let answer = server
            .get(&format!("/v1/discover/web?wait=50&revision={revision}"))
            .await;
        assert_eq!(
            answer.header("waypost-revision"),
            Some(poll.revision.as_str()),
            "{revision}"
        );
    }
    // A revision alone asks for nothing to wait for.
    assert_eq!(server.get(&poll.at("")).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn waits_and_revisions_that_are_none_are_refused_by_name() {
    let server = start().await;
    server.register("web", "a").await;
    for (query, field) in [
        ("wait=51s", "wait"),
        ("wait=0", "wait"),
        ("wait=-1", "wait"),
        ("wait=1m", "wait"),
        ("wait=", "wait"),
        ("revision=1", "revision"),
        ("wait=5&revision=", "revision"),
        ("wait=5&revision=00000000000000a1.1.zz", "revision"),
    ] {
        for path in [
            "/v1/discover/web",
            &format!("{SERVICES}/web"),
            &format!("{SERVICES}/web/instances"),
        ] {
            let problem = server.get(&format!("{path}?{query}")).await.problem(422);
            assert_eq!(problem["field"], field, "{path} {query}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_long_poll_whose_credential_is_revoked_is_refused() {
    let server = start_with(with_secret(false)).await;
    let (header, id) = reader_of(&server, "web").await;
    put_as_admin(&server, "web", "a").await;
    let first = server
        .send("GET", "/v1/discover/web?wait=50", &header, b"")
        .await;
    let revision = first.header("waypost-revision").unwrap();
    let path = format!("/v1/discover/web?wait=50&revision={revision}");
    let revoked = async { revoke(&server, &id).await };
    let waiting = server.send("GET", &path, &header, b"");
    // Either it waits already or it is refused from the start.
    let (answer, ()) = tokio::join!(waiting, revoked);
    answer.problem(401);
    server.stop().await;
}

/// What happens to the registry, and to its reader.
#[derive(Clone, Debug)]
enum Step {
    Register(u8, u8, u16),
    Deregister(u8, u8),
    DeleteService(u8),
    Report(u8, u8, bool),
    /// The reader's connection breaks after some events, and it comes back with the last id.
    BreakAfter(u8),
    /// So much later that the tombstones are gone.
    LongAfter,
}

fn step() -> impl Strategy<Value = Step> {
    let (service, id) = (0..3_u8, 0..3_u8);
    prop_oneof![
        6 => (service.clone(), id.clone(), 1..4_u16).prop_map(|(s, i, port)| Step::Register(s, i, port)),
        3 => (service.clone(), id.clone()).prop_map(|(s, i)| Step::Deregister(s, i)),
        2 => service.clone().prop_map(Step::DeleteService),
        2 => (service, id, any::<bool>()).prop_map(|(s, i, ok)| Step::Report(s, i, ok)),
        4 => (0..4_u8).prop_map(Step::BreakAfter),
        1 => Just(Step::LongAfter),
    ]
}

/// A copy as a client keeps one: it forgets what a reset did not name again, once that is complete.
#[derive(Default)]
struct Copy {
    services: BTreeMap<String, Value>,
    named: Option<Vec<String>>,
}

impl Copy {
    fn take(&mut self, event: &Event) {
        let data = &event.data;
        match event.name.as_str() {
            "reset" => self.named = Some(Vec::new()),
            "service" => {
                let name = data["service"]["name"].as_str().unwrap().to_owned();
                let number = |document: &Value| {
                    let revision = document["service"]["revision"].as_str().unwrap();
                    revision.split_once('.').unwrap().1.parse::<u64>().unwrap()
                };
                if let Some(before) = self.services.get(&name) {
                    assert!(
                        number(data) >= number(before),
                        "a step back: {before} {data}"
                    );
                }
                self.named
                    .iter_mut()
                    .for_each(|named| named.push(name.clone()));
                self.services.insert(name, data.clone());
            }
            "gone" => {
                self.services.remove(data["service"].as_str().unwrap());
            }
            "synced" => {
                if let Some(named) = self.named.take() {
                    self.services.retain(|name, _| named.contains(name));
                }
            }
            other => panic!("{other}"),
        }
    }
}

async fn perform(server: &Running, step: &Step) {
    let service = |n: &u8| format!("s{n}");
    let path = |s: &u8, i: &u8| format!("{SERVICES}/{}/instances/i{i}", service(s));
    match step {
        Step::Register(s, i, port) => {
            let body = json!({"address": "10.0.0.1", "port": port, "checks": [
                {"id": "http", "kind": "http", "path": "/health"}]});
            let put = server.put(&path(s, i), &body.to_string()).await;
            assert!(put.status < 300, "{put:?}");
        }
        Step::Deregister(s, i) => {
            server.delete(&path(s, i)).await;
        }
        Step::DeleteService(s) => {
            server.delete(&format!("{SERVICES}/{}", service(s))).await;
        }
        Step::Report(s, i, passes) => {
            if server.get(&path(s, i)).await.status == 200 {
                let state = if *passes {
                    CheckState::Passing
                } else {
                    CheckState::Failing
                };
                let word = format!("said {passes}");
                server.report_unseen(&service(s), &format!("i{i}"), state, &word);
            }
        }
        Step::BreakAfter(_) => {}
        Step::LongAfter => server.clock.advance(Duration::from_mins(11)),
    }
}

async fn a_reader_ends_equal(steps: Vec<Step>) {
    let server = start().await;
    let mut reader = Reader::open(&server, "/v1/watch", "").await;
    let mut copy = Copy::default();
    for step in &steps {
        perform(&server, step).await;
        if let Step::BreakAfter(events) = step {
            for _ in 0..*events {
                let next = tokio::time::timeout(Duration::from_millis(20), reader.next()).await;
                let Ok(event) = next else { break };
                copy.take(&event.unwrap());
            }
            let header = if reader.last_id.is_empty() {
                String::new()
            } else {
                format!("Last-Event-ID: {}\r\n", reader.last_id)
            };
            reader = Reader::open(&server, "/v1/watch", &header).await;
        }
    }
    // The last word is a change of its own: when that has come, everything has.
    server.register("last", "one").await;
    while !copy.services.contains_key("last") || copy.named.is_some() {
        let event = reader.next().await.unwrap();
        copy.take(&event);
    }
    let read = tokio::time::timeout(PATIENCE, async {
        // Reports are published when they are: what came after is read too.
        loop {
            let mut differs = None;
            let listed = server.get(SERVICES).await.json();
            let listed = listed["services"].as_array().unwrap();
            if listed.len() != copy.services.len() {
                differs = Some(format!("{listed:?} {:?}", copy.services.keys()));
            }
            for shown in listed {
                let name = shown["name"].as_str().unwrap();
                let page = server
                    .get(&format!("{SERVICES}/{name}/instances"))
                    .await
                    .json();
                let known = copy.services.get(name);
                let known_is = |known: &Value| {
                    let instances = without_vitals(&known["instances"]);
                    known["service"] == *shown && instances == without_vitals(&page["instances"])
                };
                if !known.is_some_and(known_is) {
                    differs = Some(format!("{shown} {page} {known:?}"));
                }
            }
            let Some(differs) = differs else { return };
            let next = tokio::time::timeout(PATIENCE / 3, reader.next()).await;
            copy.take(&next.unwrap_or_else(|_| panic!("{differs}")).unwrap());
        }
    });
    read.await.expect("the copy becomes equal");
    server.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn after_any_changes_breaks_and_resumes_a_reader_has_what_the_registry_has_and_never_less_than_before(
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(a_reader_ends_equal(steps));
    }
}
