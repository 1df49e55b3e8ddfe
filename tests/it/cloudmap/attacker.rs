//! Somebody between a client and the server: of each signed request that comes he first sends changed copies, one for
//! each part, then the request itself. A copy must be refused with its code and change nothing.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::tampered::{Expected, Tampered, every_bit, operation_of, tampered};
use crate::connection::{Answer, Connection};
use crate::server::Server;

/// What a request is made of, as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Reads one; nothing when the client closes instead.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            line.truncate(line.trim_end_matches(['\r', '\n']).len());
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let mut parts = lines[0].split(' ');
        let mut part = || parts.next().unwrap_or_default().as_bytes().to_vec();
        let (method, target) = (part(), part());
        let headers = lines[1..].iter().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().as_bytes().to_vec()))
        });
        let mut request = Self {
            method,
            target,
            headers: headers.collect(),
            body: Vec::new(),
        };
        let length = request.header("content-length").unwrap_or("0").parse();
        let length = length.map_err(io::Error::other)?;
        reader.take(length).read_to_end(&mut request.body)?;
        Ok(Some(request))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok()
    }

    /// Sends it on a connection of its own: what is no HTTP any more ends one.
    fn send(&self, to: SocketAddr) -> io::Result<Answer> {
        let mut bytes = [&self.method[..], b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        let mut connection = Connection::open(to)?;
        connection.send_raw(&bytes)?;
        connection.answer("POST")
    }
}

/// What was seen until now.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    /// Operations that were called.
    pub(super) operations: BTreeSet<String>,
    /// Parts that were changed, and those of them of which a copy was not refused as it must be.
    pub(super) parts: BTreeSet<String>,
    pub(super) passed: BTreeSet<String>,
    /// What was wrong, in words.
    pub(super) findings: Vec<String>,
    /// Copies that were sent.
    pub(super) copies: usize,
}

/// The attacker, on a port of his own. Dropping him closes it.
#[derive(Debug)]
pub(super) struct Attacker {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// Where the requests are meant to go.
    server: SocketAddr,
    /// A server that has the same keys but for one bit of their secrets.
    other: Option<SocketAddr>,
    /// What may read the metrics of both.
    token: String,
    /// The operation of whose first request every single bit is changed.
    thorough: Option<&'static str>,
    state: Mutex<(bool, Seen)>,
}

impl Attacker {
    /// Begins between clients and a server. `token` may read the metrics of both servers.
    pub(super) fn start(
        server: &Server,
        other: Option<&Server>,
        token: &str,
        thorough: Option<&'static str>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: server.address(),
            other: other.map(Server::address),
            token: token.to_owned(),
            thorough,
            state: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        let thread = thread::spawn(move || accept(&listener, &accepting));
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn seen(&self) -> Seen {
        self.shared.lock().1.clone()
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.shared.lock().0 = true;
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.lock().0 {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            if let Err(error) = shared.serve(stream) {
                shared.found(&format!("a request cannot be passed on: {error}"));
            }
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (bool, Seen)> {
        self.state.lock().unwrap()
    }

    fn found(&self, what: &str) {
        self.lock().1.findings.push(what.to_owned());
    }

    /// Attacks with each request of a client, then passes it on.
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut reader = BufReader::new(stream);
        // A client may leave a connection idle, or break it off.
        while let Ok(Some(request)) = Request::read(&mut reader) {
            self.attack(&request)?;
            let answer = request.send(self.server)?;
            let stream = reader.get_mut();
            let mut head = format!("HTTP/1.1 {} Status\r\n", answer.status);
            for (name, value) in &answer.headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            stream.write_all(&[head.as_bytes(), b"\r\n", &answer.body].concat())?;
        }
        Ok(())
    }

    fn attack(&self, request: &Request) -> io::Result<()> {
        let operation = operation_of(request).to_owned();
        for copy in tampered(request) {
            self.try_copy(&operation, &copy, self.server)?;
        }
        if let Some(other) = self.other {
            let copy = Tampered {
                part: "secret".to_owned(),
                request: request.clone(),
                expected: Expected::Code("InvalidSignatureException"),
            };
            self.try_copy(&operation, &copy, other)?;
        }
        let is_first = self.lock().1.operations.insert(operation.clone());
        if is_first && self.thorough == Some(&operation) {
            self.try_every_bit(request)?;
        }
        Ok(())
    }

    fn try_copy(&self, operation: &str, copy: &Tampered, to: SocketAddr) -> io::Result<()> {
        let before = self.revision(to)?;
        let answer = copy.request.send(to)?;
        let after = self.revision(to)?;
        let mut state = self.lock();
        let seen = &mut state.1;
        seen.parts.insert(copy.part.clone());
        seen.copies += 1;
        if !copy.expected.is_met(&answer) || before != after {
            seen.passed.insert(copy.part.clone());
            seen.findings.push(format!(
                "{operation} with another {}: {:?} was expected, {} came, revision {before} then {after}: {}",
                copy.part, copy.expected, answer.status, answer.text()
            ));
        }
        Ok(())
    }

    /// Sends one copy for each bit; what is no HTTP any more may be refused without an answer.
    fn try_every_bit(&self, request: &Request) -> io::Result<()> {
        let before = self.revision(self.server)?;
        for (what, copy) in every_bit(request) {
            self.lock().1.copies += 1;
            if let Ok(answer) = copy.send(self.server)
                && !(400..500).contains(&answer.status)
            {
                self.found(&format!("{what}: {} {}", answer.status, answer.text()));
            }
        }
        let after = self.revision(self.server)?;
        if before != after {
            self.found(&format!("a bit led from revision {before} to {after}"));
        }
        Ok(())
    }

    /// Gives the registry's revision, which every change moves.
    fn revision(&self, of: SocketAddr) -> io::Result<String> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("Authorization", bearer.as_str())];
        let answer = Connection::open(of)?.request("GET", "/metrics", &headers, b"")?;
        let text = answer.text();
        let mut lines = text.lines();
        let revision = lines.find_map(|line| line.strip_prefix("waypost_registry_revision "));
        let revision = revision.map(str::to_owned);
        revision.ok_or_else(|| io::Error::other(format!("no revision in {text}")))
    }
}
