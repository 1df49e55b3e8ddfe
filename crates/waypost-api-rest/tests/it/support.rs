//! A server on a port of the system's choice, and a client that sends bytes as they are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use waypost_access::{AccessConfig, Authenticator, Secret, ServerKey};
use waypost_api_rest::{RestConfig, RestContext, RestMetrics, router};
use waypost_core::{
    Access, Answer, CheckId, CheckState, Clock, Epoch, InstanceKey, ManualClock, MemoryJournal,
    MemoryStore, Parts, Policy, Registry, Report, Scope, Snapshots, SoleOwner, SystemClock,
    Timestamp, random_seeds, text,
};
use waypost_http::{HttpMetrics, ListenerConfig, Server, Service};

/// Longer than anything a test waits for; hitting it is a failure, not a wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// 2024-01-15T10:30:00Z.
pub(crate) const START: u64 = 1_705_314_600_000;
pub(crate) const TOKEN: &str = "7c1d8a4f-only-for-tests";

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// The same without a socket.
    pub(crate) service: Service,
    pub(crate) registry: Registry,
    pub(crate) snapshots: Snapshots,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: tokio::sync::watch::Sender<bool>,
    stop: Vec<oneshot::Sender<()>>,
}

/// How a server differs from the default one.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) access: AccessConfig,
    pub(crate) config: RestConfig,
    /// Whether time passes by itself.
    pub(crate) real_time: bool,
}

pub(crate) async fn start() -> Running {
    start_with(Options::default()).await
}

pub(crate) fn with_secret(public_reads: bool) -> Options {
    let access = AccessConfig {
        shared_secret: Some(Secret::new(TOKEN)),
        public_reads,
        ..AccessConfig::default()
    };
    Options {
        access,
        ..Options::default()
    }
}

pub(crate) async fn start_with(options: Options) -> Running {
    let clock = Arc::new(ManualClock::new(Timestamp(START)));
    let used: Arc<dyn Clock> = if options.real_time {
        Arc::new(SystemClock::new())
    } else {
        clock.clone()
    };
    let parts = Parts {
        store: Arc::new(MemoryStore::new(Epoch(0xa1))),
        journal: Arc::new(MemoryJournal::new(1_000)),
        clock: used,
        ownership: Arc::new(SoleOwner),
        projections: Vec::new(),
        policy: Policy::default(),
        seeds: random_seeds(),
    };
    let opened = Registry::open(parts).await.unwrap();
    let tasks = TaskTracker::new();
    let stopping = tokio::sync::watch::channel(false);
    let mut stop = Vec::new();
    let mut signal = || {
        let (sender, stopped) = oneshot::channel::<()>();
        stop.push(sender);
        async move {
            let _ = stopped.await;
        }
    };
    tasks.spawn(opened.writer.run(signal()));
    tasks.spawn(opened.timekeeper.run(signal()));
    let key = ServerKey::from_bytes(&[9; 32]);
    let authenticator = Arc::new(Authenticator::new(&options.access, key, true).unwrap());
    authenticator.follow(opened.snapshots.clone());
    let context = RestContext {
        registry: opened.registry.clone(),
        snapshots: opened.snapshots.clone(),
        authenticator,
        config: options.config,
        version: "0.0.0-test".to_owned(),
        metrics: RestMetrics::default(),
        dns: waypost_api_rest::DnsFacts::default(),
        stopping: stopping.1.clone(),
    };
    let listener = ListenerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..ListenerConfig::default()
    };
    let server = Server::bind(&listener).unwrap();
    let address = server.local_addr();
    let service = Service::new(router(context), &HttpMetrics::default(), &listener).unwrap();
    let (of_connections, shutdown) = (tasks.clone(), signal());
    let direct = service.clone();
    tasks.spawn(async move { server.serve(service, shutdown, &of_connections).await });
    Running {
        address,
        service: direct,
        registry: opened.registry,
        snapshots: opened.snapshots,
        clock,
        tasks,
        stopping: stopping.0,
        stop,
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that this is a problem document and returns it.
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["success"], false);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["message"], problem["detail"]);
        problem
    }
}

impl Running {
    /// Sends a request with a body on a connection of its own.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Answered {
        let length = body.len();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n",
            self.address
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.exchange(&request).await
    }

    /// Sends bytes as they are and reads until the server closes.
    pub(crate) async fn exchange(&self, request: &[u8]) -> Answered {
        let exchanged = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            // A server that refuses a long body may close before all of it was sent.
            let _ = stream.write_all(request).await;
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            bytes
        };
        let bytes = tokio::time::timeout(PATIENCE, exchanged)
            .await
            .expect("an answer");
        // A snapshot is no text.
        let answer = String::from_utf8_lossy(&bytes);
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answered {
            status,
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send("GET", path, "", b"").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answered {
        self.send("DELETE", path, "", b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answered {
        self.send(
            "POST",
            path,
            "Content-Type: application/json\r\n",
            body.as_bytes(),
        )
        .await
    }

    pub(crate) async fn put(&self, path: &str, body: &str) -> Answered {
        self.send(
            "PUT",
            path,
            "Content-Type: application/json\r\n",
            body.as_bytes(),
        )
        .await
    }

    /// Registers over source 003's path.
    pub(crate) async fn register(&self, service: &str, id: &str) {
        let body = format!(
            r#"{{"service_name":"{service}","instance_id":"{id}","host":"10.0.0.7","port":8080}}"#
        );
        assert_eq!(self.post("/v1/discovery/register", &body).await.status, 200);
    }

    /// Says what the checker would, and waits until it is published.
    pub(crate) async fn report(&self, service: &str, id: &str, state: CheckState, reason: &str) {
        let access = Access::internal("checker");
        let key = InstanceKey::new("svc.internal", service, id).unwrap();
        let scope = Scope::Service(key.service);
        let since = self.snapshots.latest().modified(&scope);
        let mut watch = self.registry.watch(&access, scope, since);
        self.report_unseen(service, id, state, reason);
        tokio::time::timeout(PATIENCE, watch.next())
            .await
            .expect("the report is published");
    }

    /// Says what the checker would.
    pub(crate) fn report_unseen(&self, service: &str, id: &str, state: CheckState, reason: &str) {
        let access = Access::internal("checker");
        let key = InstanceKey::new("svc.internal", service, id).unwrap();
        let report = Report {
            key,
            registration: None,
            check: CheckId::new("http").unwrap(),
            state,
            reason: text(reason),
            body: None,
            resolved: None,
        };
        assert!(self.registry.report(&access, report));
    }

    /// Records what a probe got, as the checker would.
    pub(crate) fn probed(&self, service: &str, id: &str, answer: (u16, &str), load: Option<f32>) {
        let key = InstanceKey::new("svc.internal", service, id).unwrap();
        let snapshot = self.snapshots.latest();
        let vitals = snapshot.instance(&key).unwrap().vitals();
        let (status, body) = answer;
        let answer = Answer {
            check: CheckId::new("http").unwrap(),
            at: self.clock.wall(),
            reason: text(&format!("answered {status}")),
            status: Some(status),
            body: Some(text(body)),
            dependencies: Box::default(),
        };
        vitals.record_probe(answer, !(200..300).contains(&status));
        if let Some(load) = load {
            vitals.record_load(load);
        }
    }

    /// Waits until something of the service is as wanted.
    pub(crate) async fn until(
        &self,
        service: &str,
        wanted: impl Fn(&waypost_core::ServiceState) -> bool,
    ) {
        let key = waypost_core::ServiceKey::new("svc.internal", service).unwrap();
        let since = waypost_core::Revision::ZERO;
        let mut watch = self.registry.watch(
            &Access::internal("test"),
            Scope::Service(key.clone()),
            since,
        );
        let waited = async {
            while let Some(view) = watch.next().await {
                if view.service(&key).is_ok_and(|state| wanted(state)) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waited)
            .await
            .expect("the service is as wanted");
    }

    /// Stops the server and waits until every task of it has ended.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.tasks.close();
        tokio::time::timeout(PATIENCE, self.tasks.wait())
            .await
            .expect("every task ended");
    }
}
