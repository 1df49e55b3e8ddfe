//! An instance to be checked: a small HTTP server that does what the test says.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a request gets.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// An answer with this status and body.
    Answer(u16, String),
    /// Nothing, until the reply changes or the target is dropped; then the connection is closed.
    Hang,
}

/// A server on a port of its own, on 127.0.0.1. Dropping it closes the port.
#[derive(Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    reply: Reply,
    generation: u64,
    /// The head of each request.
    requests: Vec<String>,
    stopped: bool,
}

impl Target {
    /// Starts one that answers 200 with `ok`.
    pub(crate) fn start() -> Self {
        Self::replying(Reply::Answer(200, "ok".to_owned()))
    }

    pub(crate) fn replying(reply: Reply) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            reply,
            generation: 0,
            requests: Vec::new(),
            stopped: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let thread = thread::spawn(move || accept(&listener, &accepting));
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes what requests get from now on.
    pub(crate) fn reply(&self, reply: Reply) {
        let mut state = self.shared.lock();
        state.reply = reply;
        state.generation += 1;
        self.shared.changed.notify_all();
    }

    /// Says how many requests came.
    pub(crate) fn count(&self) -> usize {
        self.shared.lock().requests.len()
    }

    /// Gives the heads of all requests, each with its lines.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.lock().requests.clone()
    }

    /// Closes the port: connections are refused from now on.
    pub(crate) fn stop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        drop(thread.join());
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.lock().stopped {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        thread::spawn(move || drop(serve(stream, &shared)));
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    // An idle connection must not keep a thread after the test.
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    while let Some(head) = read_request(&mut reader)? {
        let (reply, generation) = {
            let mut state = shared.lock();
            state.requests.push(head);
            (state.reply.clone(), state.generation)
        };
        let stream = reader.get_mut();
        match reply {
            Reply::Answer(status, body) => answer(stream, status, &body)?,
            Reply::Hang => {
                let is_same = |state: &mut State| !state.stopped && state.generation == generation;
                drop(shared.changed.wait_while(shared.lock(), is_same).unwrap());
                return stream.shutdown(Shutdown::Both);
            }
        }
        if shared.lock().stopped {
            break;
        }
    }
    Ok(())
}

/// Reads one request with its body and gives its head; nothing at the end of the connection.
fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut head = String::new();
    loop {
        let start = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        if head[start..].trim().is_empty() {
            break;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<u64>().ok())?
    });
    let mut body = Vec::new();
    reader.take(length.unwrap_or(0)).read_to_end(&mut body)?;
    Ok(Some(head))
}

fn answer(stream: &mut TcpStream, status: u16, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes())
}
