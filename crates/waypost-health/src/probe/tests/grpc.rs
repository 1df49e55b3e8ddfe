//! The `grpc` probe against servers on real sockets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use waypost_core::{GrpcProbe, TlsProbe};

use super::*;
use crate::testing::tls::{Authority, Manners};

/// Patient, since a handshake on a busy machine takes its time.
const PATIENT: Duration = Duration::from_secs(20);

/// What a server answers a call with.
#[derive(Debug, Clone)]
enum Says {
    /// A message, and a status in the trailers.
    Message(Vec<u8>, &'static str),
    /// A status in the headers, and nothing else.
    Status(&'static str, &'static str),
    /// A page.
    Page,
    /// A message of so many bytes.
    Large(usize),
    /// Headers of so many bytes.
    LargeHead(usize),
    /// Nothing.
    Nothing,
    /// It resets the call.
    Resets,
}

/// A gRPC server that says what it is told to; it ends with its connections when it is dropped.
struct Server {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
    /// Path, content type and message of every call.
    calls: Arc<Mutex<Vec<(String, String, Bytes)>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn new(says: Says, tls: Option<&Manners>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let says = Arc::new(Mutex::new(says));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let acceptor = tls.map(|manners| TlsAcceptor::from(manners.config()));
        let mut tasks = JoinSet::new();
        let (told, seen) = (Arc::clone(&says), Arc::clone(&calls));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (told, seen) = (Arc::clone(&told), Arc::clone(&seen));
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    match acceptor {
                        None => serve(stream, &told, &seen).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, &told, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            says,
            calls,
            _tasks: tasks,
        }
    }

    fn turns_to(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }
}

/// The other side may go away at any time, which is no failure here.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    told: &Mutex<Says>,
    seen: &Mutex<Vec<(String, String, Bytes)>>,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    let mut held = Vec::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (head, mut body) = request.into_parts();
        let kind = head.headers["content-type"].to_str().unwrap().to_owned();
        let reading = async {
            let mut message = Vec::new();
            while let Some(Ok(data)) = body.data().await {
                message.extend_from_slice(&data);
            }
            message
        };
        // The connection has to be driven while the body is read.
        let message = tokio::select! {
            message = reading => message,
            _ = std::future::poll_fn(|context| connection.poll_closed(context)) => return,
        };
        let call = (head.uri.path().to_owned(), kind, Bytes::from(message));
        seen.lock().unwrap().push(call);
        let says = told.lock().unwrap().clone();
        held.extend(respond_with(respond, says));
    }
}

fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

/// Gives back the call that is to stay open.
fn respond_with(mut respond: SendResponse<Bytes>, says: Says) -> Option<SendResponse<Bytes>> {
    let grpc = || Response::builder().header("content-type", "application/grpc+proto");
    let trailers = |status: &'static str| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        trailers
    };
    match says {
        Says::Message(message, status) => {
            let mut body = respond
                .send_response(grpc().body(()).unwrap(), false)
                .unwrap();
            body.send_data(framed(&message), false).unwrap();
            body.send_trailers(trailers(status)).unwrap();
        }
        Says::Status(status, detail) => {
            let head = grpc()
                .header("grpc-status", status)
                .header("grpc-message", detail);
            respond.send_response(head.body(()).unwrap(), true).unwrap();
        }
        Says::Page => {
            let head = Response::builder()
                .status(404)
                .header("content-type", "text/html");
            let mut body = respond
                .send_response(head.body(()).unwrap(), false)
                .unwrap();
            body.send_data(Bytes::from_static(b"<html>"), true).unwrap();
        }
        Says::Large(length) => {
            let mut body = respond
                .send_response(grpc().body(()).unwrap(), false)
                .unwrap();
            body.send_data(framed(&vec![0; length]), false).unwrap();
            let _ = body.send_trailers(trailers("0"));
        }
        Says::LargeHead(length) => {
            let head = grpc().header("x-large", "x".repeat(length));
            let _ = respond.send_response(head.body(()).unwrap(), true);
        }
        Says::Nothing => return Some(respond),
        Says::Resets => respond.send_reset(h2::Reason::ENHANCE_YOUR_CALM),
    }
    None
}

async fn ask_within(address: SocketAddr, grpc: GrpcProbe, timeout: Duration) -> ProbeReport {
    let probes = Probes::new(&Dialer::new(&dial()), &no_profiles());
    let resolver = Resolver::new(&dial(), AddressPolicy::new(&dial(), false));
    let spec = ProbeSpec::new(ProbeProtocol::Grpc(grpc));
    let target = resolver.pin(address).unwrap();
    let probe = probes.of(&spec.protocol);
    probe.probe(&spec, &target, timeout).await
}

async fn ask_grpc(address: SocketAddr, grpc: GrpcProbe) -> ProbeReport {
    ask_within(address, grpc, PATIENT).await
}

#[tokio::test]
async fn the_call_is_check_with_the_name_of_the_service() {
    let server = Server::new(Says::Message(b"\x08\x01".to_vec(), "0"), None).await;
    let about = |service: Option<&str>| GrpcProbe {
        service: service.map(text),
        tls: None,
    };
    for service in [None, Some("shop.v1.Cart")] {
        let report = ask_grpc(server.address, about(service)).await;
        assert_eq!(
            (report.state, &*report.reason),
            (CheckState::Passing, "gRPC health SERVING")
        );
    }
    let path = || "/grpc.health.v1.Health/Check".to_owned();
    let kind = || "application/grpc".to_owned();
    let expected = [
        (path(), kind(), Bytes::from_static(b"\0\0\0\0\0")),
        (
            path(),
            kind(),
            Bytes::from_static(b"\0\0\0\0\x0e\x0a\x0cshop.v1.Cart"),
        ),
    ];
    assert_eq!(*server.calls.lock().unwrap(), expected);
}

#[tokio::test]
async fn whatever_is_not_serving_fails_and_says_what_it_is() {
    let server = Server::new(Says::Nothing, None).await;
    let address = server.address;
    for (says, reason) in [
        (
            Says::Message(b"\x08\x02".to_vec(), "0"),
            "gRPC health NOT_SERVING".to_owned(),
        ),
        (
            Says::Message(b"\x08\x03".to_vec(), "0"),
            "gRPC health SERVICE_UNKNOWN".to_owned(),
        ),
        (
            Says::Message(b"\x08\x01".to_vec(), "13"),
            "gRPC status 13 (INTERNAL)".to_owned(),
        ),
        (
            Says::Status("12", ""),
            "the server has no grpc.health.v1.Health (gRPC UNIMPLEMENTED)".to_owned(),
        ),
        (
            Says::Status("5", ""),
            "the server knows no health of the server as a whole (gRPC NOT_FOUND)".to_owned(),
        ),
        (
            Says::Status("16", "no%20token%0A"),
            "gRPC status 16 (UNAUTHENTICATED): no token\\n".to_owned(),
        ),
        (
            Says::Page,
            "it does not speak gRPC: HTTP status 404, content type text/html".to_owned(),
        ),
        (
            Says::Large(64 * 1_024 + 1),
            format!("{address} did not answer in HTTP: its message is over the limit (64 KiB)"),
        ),
    ] {
        server.turns_to(says.clone());
        let report = ask_grpc(address, GrpcProbe::default()).await;
        assert_eq!(
            (report.state, &*report.reason),
            (CheckState::Failing, &*reason),
            "{says:?}"
        );
    }
}

#[tokio::test]
async fn resets_and_headers_over_the_limit_fail() {
    let server = Server::new(Says::Resets, None).await;
    for says in [Says::Resets, Says::LargeHead(64 * 1_024)] {
        server.turns_to(says.clone());
        let report = ask_grpc(server.address, GrpcProbe::default()).await;
        assert_eq!(report.state, CheckState::Failing, "{says:?}");
        let beginning = format!("{} did not answer in HTTP: ", server.address);
        assert!(
            report.reason.starts_with(&beginning),
            "{says:?}: {}",
            report.reason
        );
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_fails_in_time() {
    let server = Server::new(Says::Nothing, None).await;
    let short = Duration::from_millis(300);
    let report = ask_within(server.address, GrpcProbe::default(), short).await;
    let reason = format!(
        "{} accepted the connection and sent no answer within 300 ms",
        server.address
    );
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Failing, &*reason)
    );
}

#[tokio::test]
async fn a_server_of_http_1_is_no_grpc_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    };
    let (report, ()) = tokio::join!(ask_grpc(address, GrpcProbe::default()), answering);
    assert_eq!(report.state, CheckState::Failing);
    let beginning = format!("{address} did not answer in HTTP: no HTTP/2");
    assert!(report.reason.starts_with(&beginning), "{}", report.reason);
}

#[tokio::test]
async fn the_call_goes_inside_of_tls_when_the_check_says_so() {
    let authority = Authority::new();
    let mut manners = Manners::of(authority.server(&["cart.example"]));
    manners.alpn = Some(b"h2");
    let server = Server::new(Says::Message(b"\x08\x01".to_vec(), "0"), Some(&manners)).await;
    let named = |name: &str| GrpcProbe {
        service: None,
        tls: Some(TlsProbe {
            server_name: Some(text(name)),
            ca_pem: Some(text(&authority.pem)),
            ..TlsProbe::default()
        }),
    };
    let report = ask_grpc(server.address, named("cart.example")).await;
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Passing, "gRPC health SERVING")
    );
    let report = ask_grpc(server.address, named("shop.example")).await;
    let reason = format!(
        "TLS with {} failed: the certificate is not valid for shop.example; it is for cart.example",
        server.address
    );
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Failing, &*reason)
    );
    // Without TLS its port says nothing that can be understood.
    let report = ask_grpc(server.address, GrpcProbe::default()).await;
    assert_eq!(report.state, CheckState::Failing);
}
