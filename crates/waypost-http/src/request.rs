//! A request with its body, as asynchronous handlers receive it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Incoming};

use crate::head::RequestHead;
use crate::progress::Progress;
use crate::rejection::Rejection;

/// A request with its body.
#[derive(Debug)]
pub struct Request {
    /// Everything but the body.
    pub head: RequestHead,
    pub(crate) body: RequestBody,
}

/// The body of a request: from a socket, or given by the caller in the same process.
#[derive(Debug)]
pub(crate) struct RequestBody {
    source: Source,
    progress: Option<Arc<Progress>>,
}

#[derive(Debug)]
enum Source {
    Incoming(Incoming),
    Given(Bytes),
}

impl RequestBody {
    pub(crate) fn incoming(body: Incoming, progress: Arc<Progress>) -> Self {
        Self {
            source: Source::Incoming(body),
            progress: Some(progress),
        }
    }

    /// True when the length is not declared but told by chunks.
    pub(crate) fn is_chunked(&self) -> bool {
        match &self.source {
            Source::Incoming(body) => body.size_hint().exact().is_none(),
            Source::Given(_) => false,
        }
    }

    pub(crate) fn given(body: Bytes) -> Self {
        Self {
            source: Source::Given(body),
            progress: None,
        }
    }
}

impl Drop for RequestBody {
    /// Tells the connection that the client may still be sending, so that it does not reset the
    /// socket before the client has read the response.
    fn drop(&mut self) {
        if let (Source::Incoming(body), Some(progress)) = (&self.source, &self.progress)
            && !body.is_end_stream()
        {
            progress.body_left_unread();
        }
    }
}

impl Request {
    /// Reads the whole body, once; a second call returns no bytes.
    ///
    /// # Errors
    /// [`Rejection::TooLarge`] when the body passes the bound of the listener (nothing is read when
    /// `Content-Length` already says so), [`Rejection::BodyTimeout`] when it does not arrive in
    /// time, [`Rejection::BadRequest`] when it ends early or its chunks are malformed.
    pub async fn read_body(&mut self) -> Result<Bytes, Rejection> {
        let limits = &self.head.service.limits;
        let limit_bytes = limits.body_bytes_max;
        let body = match &mut self.body.source {
            Source::Given(bytes) if bytes.len() > limit_bytes => {
                return Err(Rejection::TooLarge { limit_bytes });
            }
            Source::Given(bytes) => return Ok(std::mem::take(bytes)),
            Source::Incoming(body) => body,
        };
        if body.size_hint().lower() > u64::try_from(limit_bytes).unwrap_or(u64::MAX) {
            return Err(Rejection::TooLarge { limit_bytes });
        }
        let limit_seconds = limits.body_timeout_seconds;
        tokio::time::timeout(
            Duration::from_secs(limit_seconds),
            collect(body, limit_bytes),
        )
        .await
        .unwrap_or(Err(Rejection::BodyTimeout { limit_seconds }))
    }
}

/// Gathers the frames of `body`; one that comes in a single frame is not copied.
async fn collect(body: &mut Incoming, limit_bytes: usize) -> Result<Bytes, Rejection> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Rejection::BadRequest {
            reason: format!("its body cannot be read ({error})"),
        })?;
        // Trailers carry nothing this server understands.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.len() + all.len() + data.len() > limit_bytes {
            return Err(Rejection::TooLarge { limit_bytes });
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
