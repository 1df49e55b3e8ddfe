//! HTTP/1.1 as the tests speak it: byte for byte what they mean to send, over blocking sockets.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longest silence of the server: longer than its longest long poll.
const SILENCE_MAX: Duration = Duration::from_secs(75);

/// An answer, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names as they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// Fails the test when the status is another.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A connection that stays open between requests, as long as the server agrees.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect_timeout(
            &address,
            Duration::from_secs(10),
        )?)
    }

    /// Speaks over a socket that is open already.
    pub(crate) fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(Self {
            reader: BufReader::new(stream),
        })
    }

    /// Sends a request and reads the answer.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        self.send(method, path, headers, body)?;
        self.answer(method)
    }

    /// The same with JSON, or without a body.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &Value) -> io::Result<Answer> {
        if body.is_null() {
            return self.request(method, path, &[], b"");
        }
        let json = [("Content-Type", "application/json")];
        self.request(method, path, &json, body.to_string().as_bytes())
    }

    /// Sends a request; a body with `Content-Length`.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: waypost\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT") {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.send_raw(&bytes)
    }

    /// Sends bytes as they are, for requests that are wrong on purpose.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Says whether something came back, without waiting for it or taking it.
    pub(crate) fn has_answer(&self) -> io::Result<bool> {
        let stream = self.reader.get_ref();
        stream.set_nonblocking(true)?;
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        match peeked {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads line by line until one holds the words, and gives all that came.
    pub(crate) fn until(&mut self, words: &str) -> io::Result<String> {
        let mut came = String::new();
        while !came.contains(words) {
            came.push_str(&self.line()?);
            came.push('\n');
        }
        Ok(came)
    }

    /// Reads the status of an interim answer: 100 to a request that expects it.
    pub(crate) fn interim(&mut self) -> io::Result<u16> {
        Ok(self.head()?.0)
    }

    /// Limits how long [`Self::answer`] waits.
    pub(crate) fn set_patience(&self, limit: Duration) -> io::Result<()> {
        self.reader.get_ref().set_read_timeout(Some(limit))
    }

    /// Reads the answer to a request with this method.
    pub(crate) fn answer(&mut self, method: &str) -> io::Result<Answer> {
        let (status, headers) = loop {
            let (status, headers) = self.head()?;
            if status != 100 {
                break (status, headers);
            }
        };
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        if method != "HEAD" && status != 204 && status != 304 {
            answer.body = self.body(&answer)?;
        }
        Ok(answer)
    }

    /// Reads the head of an answer whose body is a stream, and gives the status.
    pub(crate) fn begin(&mut self) -> io::Result<u16> {
        Ok(self.head()?.0)
    }

    /// Reads chunks of a stream until one of them has the word.
    pub(crate) fn chunks_until(&mut self, word: &str) -> io::Result<String> {
        let mut text = String::new();
        while !text.contains(word) {
            match self.chunk()? {
                Some(chunk) => text.push_str(&String::from_utf8_lossy(&chunk)),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(text)
    }

    /// Reads chunks of a stream until it ends, in order or not.
    pub(crate) fn chunks_to_the_end(&mut self) -> io::Result<String> {
        let mut text = String::new();
        loop {
            match self.chunk() {
                Ok(Some(chunk)) => text.push_str(&String::from_utf8_lossy(&chunk)),
                Ok(None) => return Ok(text),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(text),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads one chunk; none is the last.
    fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| broken(&line))?;
        let mut chunk = Vec::new();
        self.part(size, &mut chunk)?;
        let end = self.line()?;
        if size > 0 && !end.is_empty() {
            return Err(broken(&end));
        }
        Ok((size > 0).then_some(chunk))
    }

    fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| broken(&first))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, answer: &Answer) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        let coding = answer.header("transfer-encoding").unwrap_or_default();
        if coding.eq_ignore_ascii_case("chunked") {
            while let Some(chunk) = self.chunk()? {
                body.extend(chunk);
            }
            return Ok(body);
        }
        match answer.header("content-length") {
            Some(length) => self.part(length.parse().map_err(|_| broken(length))?, &mut body)?,
            None => drop(self.reader.read_to_end(&mut body)?),
        }
        Ok(body)
    }

    fn part(&mut self, size: u64, body: &mut Vec<u8>) -> io::Result<()> {
        let read = self.reader.by_ref().take(size).read_to_end(body)?;
        if read as u64 == size {
            return Ok(());
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }
}

fn broken(line: &str) -> io::Error {
    io::Error::other(format!("this is not HTTP: {line:?}"))
}
