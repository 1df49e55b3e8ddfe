//! Every route of every adapter with no, a wrong, an expired, a revoked and a too narrow credential.
//!
//! `tests/access/routes.txt` says what each route asks for. A test beside the composition root compares it with the routes
//! that there are: one that nobody decided on fails it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Server, Setup, eventually, eventually_within};

mod audit;
mod cloudmap;
mod limits;
mod tls;

const ROUTES: &str = include_str!("../access/routes.txt");
const PLACE: &str = "/v1/namespaces/svc.internal/services/hidden/instances/hidden-1";

/// What is there, and nobody of little right may see.
const HIDDEN: [&str; 2] = ["hidden", "secret-place"];

#[derive(Debug, Clone)]
struct Route {
    method: String,
    pattern: String,
    /// `open`, or the verb.
    decision: String,
}

fn routes() -> Vec<Route> {
    let lines = ROUTES.lines().filter(|line| !line.starts_with('#'));
    let routes = lines.filter_map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some(Route {
            method: words.next()?,
            pattern: words.next()?,
            decision: words.next()?,
        })
    });
    routes.collect()
}

impl Route {
    /// Fills the parameters in, so that it is about what is hidden.
    fn path(&self, token: &str) -> String {
        let mut path = self.pattern.clone();
        let is_token = path.starts_with("/v1/tokens");
        let id = if is_token { token } else { "hidden-1" };
        for (parameter, value) in [
            ("{namespace}", "svc.internal"),
            ("{service}", "hidden"),
            ("{service_name}", "hidden"),
            ("{id}", id),
            ("{instance_id}", "hidden-1"),
            ("{check}", "said"),
            ("{tag}", "secret-place"),
            ("{operation}", "ListServices"),
        ] {
            path = path.replace(parameter, value);
        }
        assert!(
            !path.contains('{'),
            "{path} has a parameter that nobody fills in"
        );
        path
    }

    fn body(&self) -> Value {
        let registration = json!({ "service_name": "hidden", "instance_id": "hidden-1", "host": "127.0.0.1", "port": 9 });
        let named = json!({ "service": "hidden", "id": "hidden-1" });
        match (self.method.as_str(), self.pattern.as_str()) {
            (_, "/v1/discovery/register" | "/service-discovery/register") => registration,
            (_, "/v1/discovery/heartbeat" | "/service-discovery/heartbeat") => {
                json!({ "service_name": "hidden", "instance_id": "hidden-1" })
            }
            ("POST", "/v1/batch/register") => json!({ "items": [{
                "service": "hidden", "id": "hidden-1", "registration": { "address": "127.0.0.1", "port": 9 },
            }] }),
            ("POST", pattern) if pattern.starts_with("/v1/batch") => json!({ "items": [named] }),
            ("PUT", pattern) if pattern.ends_with("/instances/{id}") => {
                json!({ "address": "127.0.0.1", "port": 9 })
            }
            ("PATCH", pattern) if pattern.ends_with("/instances/{id}") => json!({ "tags": ["x"] }),
            ("PUT", pattern) if pattern.ends_with("/mode") => {
                json!({ "mode": "Maintenance", "reason": "because" })
            }
            ("PUT", pattern) if pattern.contains("/checks/") => json!({ "state": "passing" }),
            ("POST", "/v1/tokens") => json!({ "name": "more" }),
            ("PUT" | "PATCH" | "POST", _) => json!({}),
            _ => Value::Null,
        }
    }
}

/// A server with something hidden, and the token of its administrator.
pub(super) struct Guarded {
    pub(super) server: Server,
    pub(super) admin: String,
}

impl Guarded {
    pub(super) fn start() -> Self {
        Self::of(Setup::new())
    }

    pub(super) fn of(setup: Setup) -> Self {
        let server = setup.start();
        let body = json!({
            "address": "127.0.0.1", "port": 9, "tags": ["secret-place"],
            "checks": [{ "id": "said", "kind": "reported" }],
        });
        server.put(PLACE, &body).expect(201);
        let made = server
            .post("/v1/tokens", &json!({ "name": "admin" }))
            .expect(201)
            .json();
        let admin = made["secret"].as_str().unwrap().to_owned();
        Self { server, admin }
    }

    pub(super) fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, String) {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("Content-Type", "application/json")];
        if !token.is_empty() {
            headers.push(("Authorization", &bearer));
        }
        let bytes = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = self
            .server
            .request(method, path, &headers, bytes.as_bytes());
        (answer.status, answer.text())
    }

    /// Issues a token; gives its id and its secret.
    pub(super) fn issue(&self, settings: &Value) -> (String, String) {
        let (status, text) = self.ask(&self.admin, "POST", "/v1/tokens", settings);
        assert_eq!(status, 201, "{text}");
        let made: Value = serde_json::from_str(&text).unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("id"), text("secret"))
    }

    /// Issues a token with these verbs for everything.
    fn with_verbs(&self, verbs: &[&str]) -> String {
        let grants = json!([{ "verbs": verbs, "namespaces": "*", "services": "*" }]);
        self.issue(&json!({ "name": verbs.join("-"), "grants": grants }))
            .1
    }

    /// Shows everything that an administrator sees, vitals aside.
    fn everything(&self) -> String {
        let listed = ["/v1/namespaces", "/v1/namespaces/svc.internal/services"];
        let mut all: Vec<String> = listed
            .iter()
            .map(|path| self.ask(&self.admin, "GET", path, &Value::Null).1)
            .collect();
        let (_, instance) = self.ask(&self.admin, "GET", PLACE, &Value::Null);
        let mut instance: Value = serde_json::from_str(&instance).unwrap();
        for vital in ["last_heartbeat", "lease"] {
            instance.as_object_mut().unwrap().remove(vital);
        }
        all.push(instance.to_string());
        let (_, listed) = self.ask(&self.admin, "GET", "/v1/tokens", &Value::Null);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let names = listed["tokens"].as_array().unwrap().iter();
        // One that ended goes when its time has come.
        let names =
            names.filter_map(|token| token["name"].as_str().filter(|name| *name != "short"));
        all.extend(names.map(str::to_owned));
        all.join("\n")
    }
}

/// The stream never ends: what it shows is a test of its own.
fn is_stream(route: &Route) -> bool {
    route.pattern == "/v1/watch"
}

/// Cloud Map's operations are behind one route: they have a test of their own.
fn is_cloud_map(route: &Route) -> bool {
    route.decision == "operation"
}

#[test]
fn without_a_credential_and_with_a_wrong_or_ended_one_nothing_but_open_routes_answers() {
    let guarded = Guarded::start();
    let (ending, expired) = guarded.issue(&json!({ "name": "short", "expires_in_seconds": 1 }));
    let (gone, revoked) = guarded.issue(&json!({ "name": "gone" }));
    let (status, _) = guarded.ask(
        &guarded.admin,
        "DELETE",
        &format!("/v1/tokens/{gone}"),
        &Value::Null,
    );
    assert_eq!(status, 204);
    eventually("the short token ends", || {
        let (status, _) = guarded.ask(&expired, "GET", "/v1/namespaces", &Value::Null);
        (status == 401).then_some(())
    });
    let before = guarded.everything();
    let routes = routes();
    assert!(routes.len() > 50, "{} routes", routes.len());
    for route in &routes {
        let (path, body) = (route.path(&ending), route.body());
        for token in ["", "wp_WRONG", &expired, &revoked] {
            let (status, text) = guarded.ask(token, &route.method, &path, &body);
            let what = format!("{} {path} with {token:?}: {status} {text}", route.method);
            if route.decision == "open" {
                assert!(status == 200 || status == 503, "{what}");
                continue;
            }
            let is_refused = match is_cloud_map(route) {
                true => status == 400 && text.contains("Exception"),
                false => status == 401,
            };
            assert!(is_refused, "{what}");
            assert!(
                !HIDDEN
                    .iter()
                    .any(|name| text.contains(name) && !path.contains(name)),
                "{what}"
            );
        }
    }
    assert_eq!(guarded.everything(), before, "nothing was changed");
}

#[test]
fn a_credential_for_another_service_sees_and_changes_nothing_of_what_is_hidden() {
    let guarded = Guarded::start();
    let verbs = ["read", "register", "operate", "configure"];
    let grants = json!([{ "verbs": verbs, "namespaces": "other.internal", "services": "*" },
                        { "verbs": verbs, "namespaces": "svc.internal", "services": "mine*" }]);
    let (id, narrow) = guarded.issue(&json!({ "name": "narrow", "grants": grants }));
    let before = guarded.everything();
    for route in routes()
        .iter()
        .filter(|it| it.decision != "open" && !is_stream(it) && !is_cloud_map(it))
    {
        let (path, body) = (route.path(&id), route.body());
        let (status, text) = guarded.ask(&narrow, &route.method, &path, &body);
        let what = format!("{} {path}: {status} {text}", route.method);
        if route.pattern.starts_with("/v1/batch") {
            let answer: Value = serde_json::from_str(&text).unwrap();
            let status = &answer["results"][0]["status"];
            assert!(*status == 403 || *status == 404, "{what}");
        } else if route.decision != "read" {
            assert!([403, 404].contains(&status), "{what}");
        }
        // What the path itself names may be repeated, and nothing else of it.
        let told = text
            .replace("hidden-1", "")
            .replace("service hidden", "")
            .replace("svc.internal/hidden", "");
        let told = told
            .replace("credential hidden", "")
            .replace("\"hidden\" ", "");
        if path == "/v1/dns" {
            continue;
        }
        let is_telling = told.contains("secret-place") && !path.contains("secret-place");
        assert!(!is_telling && !told.contains("127.0.0.1"), "{what}");
    }
    assert_eq!(guarded.everything(), before, "nothing was changed");
}

#[test]
fn a_credential_with_every_verb_but_the_one_that_a_route_asks_for_is_refused() {
    let guarded = Guarded::start();
    let verbs = ["read", "register", "operate", "configure", "admin"];
    let (id, _) = guarded.issue(&json!({ "name": "target", "grants": [{ "verbs": ["read"] }] }));
    let before = guarded.everything();
    for verb in verbs {
        let others: Vec<&str> = verbs
            .iter()
            .copied()
            .filter(|other| *other != verb && *other != "admin")
            .collect();
        let lacking = guarded.with_verbs(&others);
        let before = match verb {
            "read" => before.clone(),
            _ => guarded.everything(),
        };
        for route in routes()
            .iter()
            .filter(|it| it.decision == verb && !is_stream(it))
        {
            let (path, body) = (route.path(&id), route.body());
            let (status, text) = guarded.ask(&lacking, &route.method, &path, &body);
            let what = format!("{} {path} without {verb}: {status} {text}", route.method);
            let is_item = route.pattern.starts_with("/v1/batch");
            if path == "/v1/dns" {
                // Where the server listens is no secret from whoever has a credential.
                continue;
            }
            if verb == "read" {
                assert!(
                    !text.contains("secret-place") || path.contains("secret-place"),
                    "{what}"
                );
                assert!(!text.contains("127.0.0.1"), "{what}");
            } else if is_item {
                assert!(
                    text.contains("\"status\":403") || text.contains("\"status\":404"),
                    "{what}"
                );
            } else {
                assert_eq!(status, 403, "{what}");
            }
        }
        if verb != "read" {
            assert_eq!(
                guarded.everything(),
                before,
                "nothing was changed without {verb}"
            );
        }
    }
}

#[test]
fn a_credential_with_the_one_verb_that_a_route_asks_for_is_let_in() {
    let guarded = Guarded::start();
    let (id, _) = guarded.issue(&json!({ "name": "target" }));
    for verb in ["read", "register", "operate", "configure", "admin"] {
        let verbs: &[&str] = match verb {
            "register" => &["register", "read"],
            "operate" => &["operate", "read"],
            _ => &[verb],
        };
        let enough = guarded.with_verbs(verbs);
        // Removals last, so that the others find what they are about.
        let mut of_verb: Vec<Route> = routes()
            .into_iter()
            .filter(|it| it.decision == verb && !is_stream(it))
            .collect();
        of_verb.sort_by_key(|route| route.method == "DELETE");
        for route in of_verb {
            let (path, body) = (route.path(&id), route.body());
            let (status, text) = guarded.ask(&enough, &route.method, &path, &body);
            assert!(
                ![401, 403].contains(&status),
                "{} {path} with {verb}: {status} {text}",
                route.method
            );
        }
    }
}

#[test]
fn a_stream_shows_a_narrow_credential_nothing_but_that_it_is_in_step() {
    let guarded = Guarded::start();
    let grants = json!([{ "verbs": ["read"], "namespaces": "svc.internal", "services": "mine" }]);
    let (_, narrow) = guarded.issue(&json!({ "name": "narrow", "grants": grants }));
    for path in [
        "/v1/watch",
        "/v1/watch?service=svc.internal/hidden",
        "/v1/watch?namespace=svc.internal",
    ] {
        let mut stream = guarded.server.connect();
        let bearer = format!("Bearer {narrow}");
        stream
            .send("GET", path, &[("Authorization", &bearer)], b"")
            .unwrap();
        let mut told = String::new();
        while !told.contains("event: synced") {
            told.push_str(&stream.line().unwrap());
        }
        assert!(told.starts_with("HTTP/1.1 200"), "{told}");
        assert!(
            !told.contains("secret-place") && !told.contains("127.0.0.1"),
            "{path}: {told}"
        );
    }
}

#[test]
fn nobody_can_lock_everybody_out() {
    let guarded = Guarded::start();
    let delete = |token: &str, id: &str| {
        guarded.ask(token, "DELETE", &format!("/v1/tokens/{id}"), &Value::Null)
    };
    let (status, listed) = guarded.ask(&guarded.admin, "GET", "/v1/tokens", &Value::Null);
    assert_eq!(status, 200);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let first = listed["tokens"][0]["id"].as_str().unwrap().to_owned();
    let (reader, _) =
        guarded.issue(&json!({ "name": "reader", "grants": [{ "verbs": ["read"] }] }));
    let (short, ending) = guarded.issue(&json!({ "name": "ending", "expires_in_seconds": 3600 }));
    // The others cannot issue the next one, or not for long.
    let (status, text) = delete(&guarded.admin, &first);
    assert_eq!(status, 409, "{text}");
    assert!(text.contains("nobody could get in"), "{text}");
    // A key pair cannot issue one either: nobody signs there.
    let (pair, _) = guarded.issue(&json!({ "name": "pair", "aws": true }));
    assert_eq!(delete(&guarded.admin, &first).0, 409);
    assert_eq!(delete(&guarded.admin, &pair).0, 204);
    // Two who remove each other at the same time do not both succeed.
    let (second, other) = guarded.issue(&json!({ "name": "second" }));
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| delete(&guarded.admin, &second).0);
        let two = scope.spawn(|| delete(&other, &first).0);
        (one.join().unwrap(), two.join().unwrap())
    });
    assert!(
        [(204, 401), (401, 204), (204, 409), (409, 204)].contains(&(one, two)),
        "{one} {two}"
    );
    let left = if one == 204 { &guarded.admin } else { &other };
    for id in [&reader, &short] {
        assert_eq!(delete(left, id).0, 204);
    }
    assert_eq!(
        guarded
            .ask(&ending, "GET", "/v1/namespaces", &Value::Null)
            .0,
        401
    );
    // The very last one opens the server again, since it listens on loopback only.
    let last = if one == 204 { &first } else { &second };
    assert_eq!(delete(left, last).0, 204);
    assert_eq!(
        guarded.ask("", "GET", "/v1/namespaces", &Value::Null).0,
        200
    );
}

#[test]
fn the_first_credential_is_for_everything_and_does_not_end() {
    let server = Server::start();
    for settings in [
        json!({ "name": "a", "grants": [{ "verbs": ["admin"] }] }),
        json!({ "name": "a", "aws": true }),
        json!({ "name": "a", "expires_in_seconds": 60 }),
    ] {
        server.post("/v1/tokens", &settings).expect(422);
    }
    server.get("/v1/namespaces").expect(200);
    server
        .post("/v1/tokens", &json!({ "name": "a" }))
        .expect(201);
    server.get("/v1/namespaces").expect(401);
}

#[test]
fn admin_is_for_everything_or_not_at_all() {
    let guarded = Guarded::start();
    for grant in [
        json!({ "verbs": ["admin"], "namespaces": "svc.internal" }),
        json!({ "verbs": ["read", "admin"], "services": "web*" }),
    ] {
        let settings = json!({ "name": "narrow", "grants": [grant] });
        let (status, text) = guarded.ask(&guarded.admin, "POST", "/v1/tokens", &settings);
        assert_eq!(status, 422, "{text}");
        assert!(text.contains("admin"), "{text}");
    }
}

#[test]
fn a_rotated_credential_is_the_same_with_another_secret_and_the_old_one_ends() {
    let guarded = Guarded::start();
    let grants = json!([{ "verbs": ["read"], "namespaces": "svc.internal", "services": "hidden" }]);
    let (id, old) =
        guarded.issue(&json!({ "name": "app", "grants": grants, "expires_in_seconds": 86_400 }));
    let rotate = |id: &str, body: &Value| {
        let (status, text) = guarded.ask(
            &guarded.admin,
            "POST",
            &format!("/v1/tokens/{id}/rotate"),
            body,
        );
        assert_eq!(status, 201, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let status = |token: &str| {
        guarded
            .ask(token, "GET", "/v1/discover/hidden", &Value::Null)
            .0
    };
    assert_eq!(status(&old), 200);
    let first = rotate(&id, &json!({ "grace_seconds": 3600 }));
    let new = first["secret"].as_str().unwrap();
    assert_eq!(
        (status(&old), status(new)),
        (200, 200),
        "both hold for the grace"
    );
    assert_eq!(first["grants"], grants);
    assert_eq!(
        (&first["name"], &first["replaces"]),
        (&json!("app"), &json!(id))
    );
    assert!(
        first["expires"].is_string(),
        "it lives as long as the old one did: {first}"
    );
    let second = rotate(first["id"].as_str().unwrap(), &Value::Null);
    assert_eq!(status(new), 401, "without a grace it ends at once");
    assert_eq!(status(second["secret"].as_str().unwrap()), 200);
    let (status, text) = guarded.ask(
        &guarded.admin,
        "POST",
        "/v1/tokens/tok-none/rotate",
        &Value::Null,
    );
    assert_eq!(status, 404, "{text}");
}

#[test]
fn the_stream_of_a_rotated_credential_ends_with_its_grace() {
    let guarded = Guarded::start();
    let (id, old) =
        guarded.issue(&json!({ "name": "app", "grants": [{ "verbs": ["read", "register"] }] }));
    let mut stream = guarded.server.connect();
    let bearer = format!("Bearer {old}");
    stream
        .send("GET", "/v1/watch", &[("Authorization", &bearer)], b"")
        .unwrap();
    assert_eq!(stream.begin().unwrap(), 200);
    stream.chunks_until("synced").unwrap();
    let grace = json!({ "grace_seconds": 5 });
    let (status, text) = guarded.ask(
        &guarded.admin,
        "POST",
        &format!("/v1/tokens/{id}/rotate"),
        &grace,
    );
    assert_eq!(status, 201, "{text}");
    // It goes on for the grace, and is found to have ended at its next event.
    let change = |number: u32| {
        let body = json!({ "address": "127.0.0.1", "port": 9, "tags": [number.to_string()] });
        assert_eq!(guarded.ask(&guarded.admin, "PUT", PLACE, &body).0, 200);
    };
    change(0);
    stream.chunks_until("event: service").unwrap();
    let mut number = 0;
    eventually_within(Duration::from_secs(30), "it has ended", || {
        number += 1;
        change(number);
        let held = guarded
            .ask(&guarded.admin, "GET", "/metrics", &Value::Null)
            .1;
        held.contains("waypost_watchers{kind=\"Stream\"} 0")
            .then_some(())
    });
    stream.chunks_to_the_end().unwrap();
    assert_eq!(
        guarded.ask(&old, "GET", "/v1/namespaces", &Value::Null).0,
        401
    );
}

#[test]
fn who_lost_the_last_token_gets_in_with_a_shared_secret_and_issues_the_next() {
    let mut guarded = Guarded::start();
    assert!(guarded.server.terminate().success());
    let secret = "only-for-this-test";
    let found = Setup::new()
        .data_dir(guarded.server.data_dir())
        .env("SERVICE_DISCOVERY_SECRET", secret)
        .start();
    let guarded = Guarded {
        server: found,
        admin: secret.to_owned(),
    };
    guarded.server.get("/v1/namespaces").expect(401);
    let (_, next) = guarded.issue(&json!({ "name": "next" }));
    assert_eq!(guarded.ask(&next, "GET", "/v1/tokens", &Value::Null).0, 200);
}

#[test]
fn when_a_credential_was_used_last_is_told_and_outlives_a_restart() {
    let mut guarded = Guarded::start();
    let (id, token) = guarded.issue(&json!({ "name": "app" }));
    let used = |guarded: &Guarded| {
        let (_, text) = guarded.ask(&guarded.admin, "GET", "/v1/tokens", &Value::Null);
        let listed: Value = serde_json::from_str(&text).unwrap();
        let tokens = listed["tokens"].as_array().unwrap().clone();
        tokens.into_iter().find(|it| it["id"] == json!(id)).unwrap()["last_used"].clone()
    };
    assert_eq!(used(&guarded), Value::Null);
    assert_eq!(
        guarded.ask(&token, "GET", "/v1/namespaces", &Value::Null).0,
        200
    );
    let at = used(&guarded);
    assert!(at.is_string(), "{at}");
    guarded.server.restart();
    assert_eq!(used(&guarded), at);
}

#[test]
fn another_server_key_than_the_credentials_were_made_with_is_told_at_the_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut guarded = Guarded::start();
    let said = "server.key is another one than the credentials were made with";
    guarded.server.restart();
    assert!(!guarded.server.log().contains(said));
    assert!(guarded.server.terminate().success());
    let key = guarded.server.data_dir().join("server.key");
    std::fs::write(&key, [7; 32]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    guarded.server.restart();
    assert!(
        guarded.server.log().contains(said),
        "{}",
        guarded.server.log()
    );
    assert_eq!(
        guarded
            .ask(&guarded.admin, "GET", "/v1/namespaces", &Value::Null)
            .0,
        401
    );
}

#[test]
fn the_metrics_take_a_credential_that_may_read_everything_and_say_so() {
    let guarded = Guarded::start();
    let narrow = json!([{ "verbs": ["read"], "services": "web" }]);
    let (_, narrow) = guarded.issue(&json!({ "name": "narrow", "grants": narrow }));
    let (_, reader) =
        guarded.issue(&json!({ "name": "reader", "grants": [{ "verbs": ["read"] }] }));
    let metrics = |token: &str| guarded.ask(token, "GET", "/metrics", &Value::Null);
    let (status, text) = metrics(&narrow);
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("read for all of them"), "{text}");
    assert_eq!(metrics(&reader).0, 200);
    assert_eq!(metrics("wp_WRONG").0, 401);
}

#[test]
fn the_shared_secret_may_stand_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "only-for-this-test\n").unwrap();
    let server = Setup::new()
        .env("SERVICE_DISCOVERY_SECRET_FILE", &file)
        .start();
    server.get("/v1/namespaces").expect(401);
    let secret = [("Authorization", "Bearer only-for-this-test")];
    server
        .request("GET", "/v1/namespaces", &secret, b"")
        .expect(200);
    let missing = folder.path().join("missing");
    let refused = Setup::new()
        .env("SERVICE_DISCOVERY_SECRET_FILE", &missing)
        .refusal();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("SERVICE_DISCOVERY_SECRET_FILE") && said.contains("missing"),
        "{said}"
    );
}
