//! How far stopping has gone.

use rustix::process::Signal;
use tokio::sync::watch;

/// What replicas are asked for; it only ever goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing.
    Run,
    /// To leave the rotation, wait, and end with this signal.
    Leave(Signal),
    /// The same without waiting.
    Hurry(Signal),
    /// To end at once.
    Kill,
}

impl Stop {
    /// Returns what one more signal means.
    pub(crate) fn after(self, signal: Signal) -> Self {
        match self {
            Self::Run => Self::Leave(signal),
            Self::Leave(signal) => Self::Hurry(signal),
            Self::Hurry(_) | Self::Kill => Self::Kill,
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Run => 0,
            Self::Leave(_) => 1,
            Self::Hurry(_) => 2,
            Self::Kill => 3,
        }
    }
}

/// Completes with what is asked for once it is `least` or more. Never when whoever asks is gone.
pub(crate) async fn at_least(stop: &mut watch::Receiver<Stop>, least: Stop) -> Stop {
    let wanted = stop
        .wait_for(|stop| stop.rank() >= least.rank())
        .await
        .map(|stop| *stop);
    match wanted {
        Ok(stop) => stop,
        Err(_) => std::future::pending().await,
    }
}
