//! The reference of the HTTP benchmarks: hyper alone, one fixed response to every request.
//!
//! `bare_hyper --body FILE [--header 'name: value']...` listens on a free port of the loopback address, prints it,
//! reads each request to its end, and stops on SIGTERM. The runtime, the allocator, the socket options and the hyper
//! settings are those of Waypost, so that what differs is what a request costs beyond hyper.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use waypost_benches::Arguments;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What every request gets.
struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

fn main() -> io::Result<()> {
    let mut arguments = Arguments::of_this_process()?;
    let body: PathBuf = arguments.require("body")?;
    let headers = arguments.take_all("header");
    arguments.finish()?;
    let answer = Arc::new(Answer {
        headers: parse(&headers)?,
        body: std::fs::read(body)?.into(),
    });
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(answer))
}

fn parse(lines: &[String]) -> io::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let wrong = || io::Error::other(format!("`{line}` is no header"));
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
        let value = HeaderValue::try_from(value.trim()).map_err(|_| wrong())?;
        headers.append(name, value);
    }
    Ok(headers)
}

async fn serve(answer: Arc<Answer>) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(connection(accepted?.0, Arc::clone(&answer)));
            }
            Some(_) = connections.join_next() => {}
            _ = terminated.recv() => return Ok(()),
        }
    }
}

async fn connection(stream: TcpStream, answer: Arc<Answer>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| respond(request, Arc::clone(&answer)));
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).pipeline_flush(true);
    // A connection that a client drops is no matter of the reference.
    let _closed = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    request: Request<Incoming>,
    answer: Arc<Answer>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // A request that breaks off has nobody left to answer.
    let _read = request.into_body().collect().await;
    let mut response = Response::new(Full::new(answer.body.clone()));
    *response.headers_mut() = answer.headers.clone();
    Ok(response)
}
