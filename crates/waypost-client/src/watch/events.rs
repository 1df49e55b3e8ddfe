//! Server-sent events out of bytes that come in pieces (WHATWG HTML, 9.2).

use crate::ClientError;
use crate::transport::LONGEST_ANSWER_BYTES;

/// One event, or a sign of life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: String,
}

/// Bytes that are not an event yet.
#[derive(Debug, Default)]
pub(crate) struct Events {
    bytes: Vec<u8>,
    /// Up to here there is no end of an event.
    looked: usize,
}

impl Events {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Gives the next whole event.
    pub(crate) fn next(&mut self) -> Result<Option<Block>, ClientError> {
        loop {
            let Some((length, with_end)) = self.end() else {
                if self.bytes.len() > LONGEST_ANSWER_BYTES {
                    let text = format!("an event is longer than {LONGEST_ANSWER_BYTES} bytes");
                    return Err(ClientError::failed(text));
                }
                return Ok(None);
            };
            let text = self.bytes.get(..length).unwrap_or_default();
            let block = read(&String::from_utf8_lossy(text));
            self.bytes.drain(..with_end);
            self.looked = 0;
            // Only `retry`, which is for browsers.
            if block.is_some() {
                return Ok(block);
            }
        }
    }

    /// Finds the empty line: how long what stands before it is, and with it.
    fn end(&mut self) -> Option<(usize, usize)> {
        let from = self.looked.saturating_sub(3);
        let rest = self.bytes.get(from..)?;
        let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        for (at, _) in ends {
            let after = rest.get(at + 1..).unwrap_or_default();
            if after.starts_with(b"\n") {
                return Some((from + at, from + at + 2));
            }
            if after.starts_with(b"\r\n") {
                return Some((from + at, from + at + 3));
            }
        }
        self.looked = self.bytes.len();
        None
    }
}

fn read(text: &str) -> Option<Block> {
    let mut block = Block::default();
    let mut is_told = false;
    let mut data: Option<String> = None;
    for line in text.lines().map(|line| line.trim_end_matches('\r')) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        is_told |= field != "retry";
        match field {
            "id" => block.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut block.name),
            "data" => match &mut data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => data = Some(value.to_owned()),
            },
            _ => {}
        }
    }
    block.data = data.unwrap_or_default();
    is_told.then_some(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&str]) -> Vec<Block> {
        let mut events = Events::default();
        let mut all = Vec::new();
        for piece in pieces {
            events.take(piece.as_bytes());
            while let Some(block) = events.next().unwrap() {
                all.push(block);
            }
        }
        all
    }

    #[test]
    fn events_come_out_whole_however_they_are_cut() {
        let text = "retry: 1000\n\nevent: a\ndata: {}\n\nid: 7\n: keep-alive\n\nid: 8\r\nevent: b\r\ndata: 1\r\ndata:2\r\n\r\n";
        let whole = all(&[text]);
        let shown: Vec<_> = whole
            .iter()
            .map(|it| (it.id.as_deref(), it.name.as_str(), it.data.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (None, "a", "{}"),
                (Some("7"), "", ""),
                (Some("8"), "b", "1\n2")
            ]
        );
        for at in 0..=text.len() {
            let (first, second) = text.split_at(at);
            assert_eq!(all(&[first, second]), whole, "cut at {at}");
        }
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(all(&letters), whole);
    }
}
