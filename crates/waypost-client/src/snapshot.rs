//! A snapshot of everything, read while it comes: `GET /v1/snapshot`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::transport::{Call, Transport};
use crate::{Client, ClientError, ErrorKind};

/// A server that sends nothing for so long is not going to.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// The bytes of a snapshot; see [`Client::snapshot`].
#[derive(Debug)]
pub struct SnapshotStream {
    transport: Arc<Transport>,
    body: Incoming,
}

impl Client {
    /// Asks for a snapshot of everything that the server holds.
    ///
    /// A server that stops, or a credential that ends, cuts it short: whoever keeps the bytes has to verify them.
    ///
    /// # Errors
    /// `Denied` without the verb `admin` everywhere; `Failed` when too many are read at once; else see [`ErrorKind`].
    pub async fn snapshot(&self) -> Result<SnapshotStream, ClientError> {
        let call = Call::new(Method::GET, "/v1/snapshot".into());
        let transport = Arc::clone(self.transport());
        let body = transport.open(&call).await?;
        Ok(SnapshotStream { transport, body })
    }
}

impl SnapshotStream {
    /// Waits for the next bytes; nothing comes after the last ones.
    ///
    /// # Errors
    /// `Unreachable` when the connection breaks, `Timeout` when nothing comes for a minute.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = tokio::time::timeout(LONGEST_SILENCE, self.body.frame()).await;
            let frame = frame.map_err(|_| {
                let seconds = LONGEST_SILENCE.as_secs();
                ClientError::new(
                    ErrorKind::Timeout,
                    format!("nothing came from the server for {seconds} s"),
                )
            })?;
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(error)) => return Err(self.transport.cut_off(&error)),
                None => return Ok(None),
            }
        }
    }
}
