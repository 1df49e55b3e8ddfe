//! A real HTTP server with answers that a test gives it. The command line's tests include this file too.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The `Date` of every answer; it was a Sunday.
pub(crate) const NOW: &str = "Sun, 01 Nov 2026 12:00:12 GMT";

/// What a test's server does with a call.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with a status and JSON.
    Json(u16, Value),
    /// Answers with a status and bytes.
    Bytes(u16, Vec<u8>),
    /// Answers with a header besides.
    WithHeader(u16, &'static str, &'static str),
    /// Reads the call and never answers.
    Never,
    /// Reads the call and closes the connection.
    HangUp,
    /// Closes the connection in the middle of the answer's body.
    Cut,
}

/// A call as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// How many calls came before it.
    pub(crate) index: usize,
    /// `METHOD /path?query`.
    pub(crate) call: String,
    pub(crate) authorization: Option<String>,
    /// `name: value` of `If-Match`, `If-None-Match` or `Last-Event-ID`.
    pub(crate) condition: Option<String>,
    /// `Null` when there was none.
    pub(crate) body: Value,
}

/// A server on a port of its own; it ends with this value.
pub(crate) struct Canned {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Receiver<usize>,
    _server: JoinSet<()>,
}

struct Shared {
    answer: Box<dyn Fn(&Seen) -> Reply + Send + Sync>,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Sender<usize>,
}

impl Canned {
    /// Starts a server that answers each call with what `answer` says.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (count, counted) = watch::channel(0);
        let shared = Shared {
            answer: Box::new(answer),
            seen: Arc::clone(&seen),
            count,
        };
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::new(shared)));
        Self {
            url,
            seen,
            count: counted,
            _server: server,
        }
    }

    /// Starts a server that gives the same answer to every call.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// Gives the calls that came so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// Gives `METHOD /path?query` of the calls that came so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.call).collect()
    }

    /// Waits until `count` calls came.
    pub(crate) async fn wait_for_calls(&mut self, count: usize) {
        self.count
            .wait_for(|so_far| *so_far >= count)
            .await
            .expect("the server runs");
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| respond(request, &shared));
            // A connection that the test cuts ends with an error; that is its purpose.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<Response<BoxBody<Bytes, io::Error>>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let authorization = head
        .headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let mut seen = Seen {
        index: 0,
        call: format!("{} {}", head.method, head.uri),
        authorization: authorization.map(str::to_owned),
        condition: ["if-match", "if-none-match", "last-event-id"]
            .iter()
            .find_map(|name| {
                let value = head.headers.get(*name)?.to_str().ok()?;
                Some(format!("{name}: {value}"))
            }),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    {
        let mut all = shared.seen.lock().expect("no panic");
        seen.index = all.len();
        all.push(seen.clone());
        shared.count.send_replace(all.len());
    }
    let response = Response::builder().header("date", NOW);
    let whole = |bytes: Vec<u8>| {
        Full::new(Bytes::from(bytes))
            .map_err(|never: Infallible| match never {})
            .boxed()
    };
    let response = match (shared.answer)(&seen) {
        Reply::Json(status, value) => response
            .status(status)
            .body(whole(value.to_string().into_bytes())),
        Reply::Bytes(status, bytes) => response.status(status).body(whole(bytes)),
        Reply::WithHeader(status, name, value) => response
            .status(status)
            .header(name, value)
            .body(whole(b"{}".to_vec())),
        Reply::Never => std::future::pending().await,
        Reply::HangUp => return Err(io::Error::other("hang up")),
        Reply::Cut => response.body(CutBody { started: false }.boxed()),
    };
    response.map_err(io::Error::other)
}

/// A body that starts and then breaks.
struct CutBody {
    started: bool,
}

impl Body for CutBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(if self.started {
            Err(io::Error::other("cut"))
        } else {
            self.started = true;
            Ok(Frame::data(Bytes::from_static(b"{\"names")))
        }))
    }
}
