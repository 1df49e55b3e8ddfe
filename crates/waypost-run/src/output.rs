//! The output of several commands in one: each line with the name of who said it.

use std::sync::Arc;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::sync::Mutex;

/// Longest part of a line that is passed on as one.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Where lines go; shared, so that no two are mixed. Who waits for it does not read on: a flood is held back at its
/// source.
pub(crate) type Sink = Arc<Mutex<Box<dyn AsyncWrite + Send + Unpin>>>;

/// Makes a sink.
pub(crate) fn sink(to: impl AsyncWrite + Send + Unpin + 'static) -> Sink {
    Arc::new(Mutex::new(Box::new(to)))
}

/// Passes lines on until there are no more, or nobody takes them.
pub(crate) async fn pass_on(from: impl AsyncRead + Unpin, name: &str, to: Sink) {
    let mut reader = BufReader::with_capacity(LINE_BYTES_MAX, from);
    let mut line = Vec::with_capacity(256);
    loop {
        line.clear();
        line.extend_from_slice(name.as_bytes());
        line.extend_from_slice(b" | ");
        match read_line(&mut reader, &mut line).await {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
        let mut to = to.lock().await;
        if to.write_all(&line).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// Appends a line, or as much of it as a line may have, with an end. False: there are no more.
async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    let start = line.len();
    loop {
        let found = reader.fill_buf().await?;
        if found.is_empty() {
            if line.len() > start {
                line.push(b'\n');
                return Ok(true);
            }
            return Ok(false);
        }
        let room = LINE_BYTES_MAX - (line.len() - start);
        let end = found.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(found.len(), |end| end + 1).min(room);
        let is_whole = end.is_some_and(|end| end < room);
        line.extend_from_slice(found.get(..taken).unwrap_or_default());
        reader.consume(taken);
        if is_whole {
            return Ok(true);
        }
        if line.len() - start >= LINE_BYTES_MAX {
            line.push(b'\n');
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn passed(input: &[u8]) -> String {
        let (to, mut from) = tokio::io::duplex(1 << 20);
        pass_on(input, "web", sink(to)).await;
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut from, &mut text)
            .await
            .unwrap();
        text
    }

    #[tokio::test]
    async fn every_line_carries_the_name_of_who_said_it() {
        assert_eq!(passed(b"a\n\nb").await, "web | a\nweb | \nweb | b\n");
        assert_eq!(passed(b"").await, "");
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_passed_on_in_parts() {
        let text = passed(&vec![b'x'; LINE_BYTES_MAX * 2 + 1]).await;
        let lengths: Vec<usize> = text
            .lines()
            .map(|line| line.len() - "web | ".len())
            .collect();
        assert_eq!(lengths, [LINE_BYTES_MAX, LINE_BYTES_MAX, 1]);
    }
}
