//! The question on its way: UDP with repeats, TCP when an answer was cut or when that is asked for.

use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::RecordType;
use super::message::{self, Reply};
use crate::Exit;
use crate::failure::Failure;

/// How often a question is sent over UDP.
const TRIES: u32 = 3;
/// Longest wait for the answer to one try.
const TRY_MAX: Duration = Duration::from_secs(1);

/// An answer and how it came.
pub(in crate::command) struct Asked {
    pub(in crate::command) reply: Reply,
    pub(in crate::command) transport: &'static str,
    pub(in crate::command) took: Duration,
    pub(in crate::command) bytes: usize,
}

/// Asks and waits for the answer, for `limit` at most.
pub(in crate::command) async fn ask(
    server: SocketAddr,
    name: &str,
    kind: RecordType,
    over_tcp: bool,
    limit: Duration,
) -> Result<Asked, Failure> {
    let question = message::question(random_id(), name, kind).map_err(Failure::usage)?;
    let since = started();
    let whole = async {
        if !over_tcp {
            let bytes = udp(server, &question, limit).await?;
            if !message::is_cut(&bytes) {
                return Ok((bytes, "udp"));
            }
        }
        Ok((tcp(server, &question).await?, "tcp"))
    };
    let outcome = timeout(limit, whole)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let (bytes, transport) = outcome.map_err(|error| failure(server, &error))?;
    let took = since.elapsed();
    let reply = message::take_apart(&bytes).map_err(|why| Failure::new(Exit::Failure, why))?;
    Ok(Asked {
        reply,
        transport,
        took,
        bytes: bytes.len(),
    })
}

async fn udp(server: SocketAddr, question: &[u8], limit: Duration) -> io::Result<Vec<u8>> {
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let wait = TRY_MAX.min(limit / TRIES);
    for _ in 0..TRIES {
        socket.send(question).await?;
        if let Ok(answer) = timeout(wait, answer_to(&socket, question)).await {
            return answer;
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Waits for the answer; what is none, or another's, is passed over.
async fn answer_to(socket: &UdpSocket, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut room = vec![0; 65_535];
    loop {
        let len = socket.recv(&mut room).await?;
        let bytes = room.get(..len).unwrap_or_default();
        if message::answers(bytes, question) {
            return Ok(bytes.to_vec());
        }
    }
}

async fn tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let len = u16::try_from(question.len()).map_err(io::Error::other)?;
    let framed = [&len.to_be_bytes(), question].concat();
    stream.write_all(&framed).await?;
    let len = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(len)];
    stream.read_exact(&mut bytes).await?;
    if message::answers(&bytes, question) {
        return Ok(bytes);
    }
    Err(io::Error::other("what came back answers another question"))
}

fn failure(server: SocketAddr, error: &io::Error) -> Failure {
    let (exit, what) = match error.kind() {
        io::ErrorKind::TimedOut => (Exit::Timeout, "no answer in time".to_owned()),
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => {
            (Exit::Unreachable, "nobody answers there".to_owned())
        }
        _ => (Exit::Failure, error.to_string()),
    };
    Failure::new(exit, format!("cannot ask {server} by DNS: {what}")).with_hint(
        "`waypost serve` prints where it answers DNS; --dns ADDRESS:PORT names another place",
    )
}

/// Returns an id that nobody can guess: the standard library's keys are random.
fn random_id() -> u16 {
    let hash = std::hash::RandomState::new().build_hasher().finish();
    u16::try_from(hash & 0xffff).unwrap_or(0)
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is shown how long an exchange really took"
)]
pub(in crate::command) fn started() -> Instant {
    Instant::now()
}
