//! A body whose frames come from a future: it runs only while the reader takes what it makes, and holds one frame at most.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;
use waypost_http::{Body, BoxError};

/// Where the future puts its frames.
#[derive(Debug)]
pub(crate) struct Frames(mpsc::Sender<Bytes>);

impl Frames {
    /// Gives a frame to the reader, once the one before was taken; false when nobody reads any more.
    pub(crate) async fn put(&self, frame: Bytes) -> bool {
        self.0.send(frame).await.is_ok()
    }
}

struct Generated<F> {
    work: Option<Pin<Box<F>>>,
    frames: mpsc::Receiver<Bytes>,
}

/// Makes a body of what `work` puts out; it ends when `work` does.
pub(crate) fn generated<F>(work: impl FnOnce(Frames) -> F) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, frames) = mpsc::channel(1);
    Body::stream(Generated {
        work: Some(Box::pin(work(Frames(sender)))),
        frames,
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
            if let Poll::Ready(frame) = self.frames.poll_recv(context) {
                return Poll::Ready(frame.map(|frame| Ok(Frame::data(frame))));
            }
            let Some(work) = self.work.as_mut() else {
                return Poll::Pending;
            };
            if work.as_mut().poll(context).is_ready() {
                // Its sender goes with it: what it put last is taken, and then the channel is closed.
                self.work = None;
            } else {
                let frame = self.frames.poll_recv(context);
                return frame.map(|frame| frame.map(|frame| Ok(Frame::data(frame))));
            }
        }
    }
}
