//! The end of a connection whose client may still be sending.
//!
//! Closing a socket with unread bytes makes the kernel send a reset, which can destroy a response
//! (413, 431, 503) before the client has read it. So the rest is read and thrown away, for a short
//! time and up to a bound.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Sends `last`, ends the sending side, then discards what still comes.
pub(crate) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin, last: &[u8]) {
    let discard = async {
        // An error means that the connection is gone, which is what we want.
        let _ = stream.write_all(last).await;
        let _ = stream.shutdown().await;
        let mut scratch = vec![0; 16 * 1024];
        let mut total = 0;
        while let Ok(count @ 1..) = stream.read(&mut scratch).await {
            total += count;
            if total > LINGER_BYTES_MAX {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, discard).await;
}
