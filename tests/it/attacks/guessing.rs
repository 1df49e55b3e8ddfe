//! Tokens that are guessed, and tokens that end while they are in use.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Fort, HIDDEN, SECRET, TREASURE};
use crate::connection::Connection;
use crate::server::Setup;

const GUESSERS: usize = 8;
const GUESSES: u64 = 20_000;

/// A guess: near the secret, near the form of an issued token, or anything.
fn guess(number: u64) -> String {
    let at = usize::try_from(number).unwrap() % SECRET.len();
    match number % 6 {
        0 => SECRET[..at].to_owned(),
        1 => format!("{SECRET}{number}"),
        2 => SECRET.replacen(&SECRET[at..=at], "_", 1),
        3 => format!("wp_{number:064x}"),
        4 => SECRET.to_uppercase(),
        _ => format!("guess-{number}"),
    }
}

#[test]
fn guessing_at_line_rate_finds_nothing_and_holds_up_nobody() {
    let fort = Fort::build(Setup::new());
    let (made, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..GUESSERS {
            scope.spawn(|| {
                let mut connection = fort.server.connect();
                loop {
                    let number = made.fetch_add(1, Ordering::Relaxed);
                    if number >= GUESSES {
                        over.store(true, Ordering::Relaxed);
                        return;
                    }
                    let token = format!("Bearer {}", guess(number));
                    let headers = [("Authorization", token.as_str())];
                    let answer = connection.request("GET", HIDDEN, &headers, b"");
                    let answer = answer.unwrap_or_else(|error| panic!("guess {number}: {error}"));
                    // Whoever guesses too fast may be told so.
                    assert!(
                        [401, 429].contains(&answer.status),
                        "{token}: {}",
                        answer.text()
                    );
                    assert!(!answer.text().contains(TREASURE), "{token}");
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while !over.load(Ordering::Relaxed) {
            fort.serves_friends("beside guessing");
        }
    });
    let refused = refused.into_inner();
    assert_eq!(refused, GUESSES);
    let counted = fort.answered(401) + fort.answered(429);
    assert!(counted >= refused, "{counted} of {refused} are counted");
    let log = fort.server.log();
    let metrics = fort.as_friend("GET", "/metrics", b"").text();
    for text in [&log, &metrics] {
        assert!(!text.contains("guess-"), "a guess is shown");
        assert!(!text.contains(SECRET), "the secret is shown");
    }
    // Neither does a guess leave something in a log that grows with them.
    assert!(log.len() < 2_000_000, "{} bytes of log", log.len());
    fort.grew_at_most(32 * 1_024, "guessing");
}

/// A token that may read, and its id.
fn reader(fort: &Fort) -> (String, String) {
    let grants = json!({"name": "reader", "grants": [{"verbs": ["read"], "services": "*"}]});
    let made = fort.as_friend("POST", "/v1/tokens", grants.to_string().as_bytes());
    let made = made.json();
    let word = |name: &str| {
        made[name]
            .as_str()
            .unwrap_or_else(|| panic!("{made}"))
            .to_owned()
    };
    (word("id"), format!("Bearer {}", word("secret")))
}

fn open(fort: &Fort, token: &str, path: &str) -> Connection {
    let mut connection = fort.server.connect();
    connection.set_patience(Duration::from_secs(10)).unwrap();
    connection
        .send("GET", path, &[("Authorization", token)], b"")
        .unwrap();
    connection
}

#[test]
fn a_stream_and_a_long_poll_end_when_their_token_is_revoked() {
    let fort = Fort::build(Setup::new());
    let (id, token) = reader(&fort);
    let mut stream = open(&fort, &token, "/v1/watch");
    assert_eq!(stream.begin().unwrap(), 200);
    let first = stream.chunks_until("synced").unwrap();
    assert!(first.contains(TREASURE), "{first}");
    let revision = fort.as_friend("GET", "/v1/discover/web?wait=1s", b"");
    let revision = revision.header("waypost-revision").unwrap().to_owned();
    let mut poll = open(
        &fort,
        &token,
        &format!("/v1/discover/web?wait=50s&revision={revision}"),
    );
    let held = || {
        fort.metric("waypost_watchers{kind=\"Poll\"}")
            + fort.metric("waypost_watchers{kind=\"Stream\"}")
    };
    crate::server::eventually("both are held", || (held() == 2).then_some(()));

    fort.as_friend("DELETE", &format!("/v1/tokens/{id}"), b"")
        .expect(204);
    let rest = stream.chunks_to_the_end().unwrap();
    assert!(!rest.contains("event:"), "{rest}");
    assert_eq!(poll.answer("GET").unwrap().status, 401);
    // What happens afterwards is told to nobody who has gone.
    let body = json!({"address": "127.0.0.1", "port": 2});
    fort.as_friend(
        "PUT",
        "/v1/namespaces/svc.internal/services/web/instances/later",
        body.to_string().as_bytes(),
    )
    .expect(201);
    crate::server::eventually("neither is held", || (held() == 0).then_some(()));
    let again =
        fort.server
            .connect()
            .request("GET", "/v1/watch", &[("Authorization", &token)], b"");
    assert_eq!(again.unwrap().status, 401);
    fort.serves_friends("after the revocation");
}

/// An admin token that is revoked cannot issue its successor in the same moment.
#[test]
fn a_revoked_token_does_nothing_more_over_a_connection_that_is_open() {
    let fort = Fort::build(Setup::new());
    let (id, token) = reader(&fort);
    let mut connection = fort.server.connect();
    let headers = [("Authorization", token.as_str())];
    let mut ask = || connection.request("GET", HIDDEN, &headers, b"").unwrap();
    assert!(ask().expect(200).text().contains(TREASURE));
    fort.as_friend("DELETE", &format!("/v1/tokens/{id}"), b"")
        .expect(204);
    let refused: Value = ask().expect(401).json();
    assert_eq!(refused["code"], "unauthenticated");
}
