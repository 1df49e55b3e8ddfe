//! Whether the writer's thread still turns: it answers between two commits.

use tokio::sync::{mpsc, oneshot};

/// Asks the writer's thread for a sign of life.
#[derive(Clone, Debug)]
pub(crate) struct Pulse(mpsc::Sender<oneshot::Sender<()>>);

/// Answers, on the writer's thread.
#[derive(Debug)]
pub(crate) struct Answering(mpsc::Receiver<oneshot::Sender<()>>);

/// Makes both ends.
pub(crate) fn pulse() -> (Pulse, Answering) {
    let (ask, asked) = mpsc::channel(1);
    (Pulse(ask), Answering(asked))
}

impl Pulse {
    /// Completes when the thread has answered; never, if it hangs or has ended.
    pub(crate) async fn felt(&self) {
        let (answer, answered) = oneshot::channel();
        let asked = self.0.send(answer).await;
        if asked.is_err() || answered.await.is_err() {
            std::future::pending().await
        }
    }
}

impl Answering {
    /// Answers whoever asks; never ends.
    pub(crate) async fn run(mut self) {
        while let Some(answer) = self.0.recv().await {
            // Whoever asked may have gone.
            let _ = answer.send(());
        }
        std::future::pending().await
    }
}
