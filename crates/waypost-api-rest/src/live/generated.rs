//! A body whose frames come from a future: it runs only while the reader takes what it makes, and holds one frame at most.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use waypost_http::{Body, BoxError};

/// Where the future puts its frames.
#[derive(Debug, Default)]
pub(crate) struct Frames(Arc<Slot>);

/// The frame that was not taken yet. The future and its reader are one task, and the lock is never waited for.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<Bytes>>);

impl Slot {
    fn take(&self) -> Option<Bytes> {
        let mut frame = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        frame.take()
    }

    /// Gives the frame back when there is one already.
    fn fill(&self, frame: Bytes) -> Option<Bytes> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_some() {
            return Some(frame);
        }
        *slot = Some(frame);
        None
    }
}

impl Frames {
    /// Gives a frame to the reader, once the one before was taken. When nobody reads any more the future is dropped.
    pub(crate) async fn put(&self, frame: Bytes) {
        let mut left = Some(frame);
        std::future::poll_fn(|_| {
            left = left.take().and_then(|frame| self.0.fill(frame));
            // Whoever takes the frame polls the future next, so that nobody needs to be woken.
            if left.is_none() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

struct Generated<F> {
    work: Option<Pin<Box<F>>>,
    slot: Arc<Slot>,
}

/// Makes a body of what `work` puts out; it ends when `work` does.
pub(crate) fn generated<F>(work: impl FnOnce(Frames) -> F) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    let slot = Arc::<Slot>::default();
    Body::lasting(Generated {
        work: Some(Box::pin(work(Frames(Arc::clone(&slot))))),
        slot,
    })
}

impl<F: Future<Output = ()>> http_body::Body for Generated<F> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(frame) = self.slot.take() {
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            let Some(work) = self.work.as_mut() else {
                return Poll::Ready(None);
            };
            if work.as_mut().poll(context).is_ready() {
                // What it put last is taken, and then the body ends.
                self.work = None;
            } else {
                let frame = self.slot.take();
                return frame.map_or(Poll::Pending, |frame| {
                    Poll::Ready(Some(Ok(Frame::data(frame))))
                });
            }
        }
    }
}
