//! `GET /v1/snapshot`: everything there is, as a file to restore from.
//!
//! It is made of one immutable snapshot while it is read, so that nobody waits for it and it holds one moment.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use waypost_core::{Dialect, Snapshot, SnapshotWriter};
use waypost_http::{Request, Response, Router};

use super::waiting;
use crate::error::Answer;
use crate::live::{Caller, Frames, Place, generated, stopped};
use crate::state::Rest;

const DIALECT: Dialect = Dialect::Rest;
/// Longest time that one reader may take: until it ends, all that is changed meanwhile is kept twice.
const READ_MAX: Duration = Duration::from_mins(15);

pub(crate) fn routes(router: Router, rest: &Arc<Rest>) -> Router {
    router.get("/v1/snapshot", waiting!(rest, save))
}

async fn save(rest: &Arc<Rest>, request: &mut Request) -> Answer {
    let head = &request.head;
    let access = rest.reader(head, DIALECT)?;
    let view = rest.registry.view(&access);
    let saving = Saving {
        snapshot: Arc::clone(view.whole()?),
        rest: Arc::clone(rest),
        caller: Caller::of(head),
        _place: rest.live.place_of_snapshot()?,
    };
    tracing::info!(by = %access.subject(), position = %view.position(), "a snapshot is taken");
    let mut response = Response::new(generated(move |frames| saving.run(frames)));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    let fixed = |value| HeaderValue::from_static(value);
    headers.insert(CONTENT_TYPE, fixed("application/octet-stream"));
    headers.insert(CACHE_CONTROL, fixed("no-store"));
    Ok(response)
}

/// One snapshot on its way to its reader.
struct Saving {
    snapshot: Arc<Snapshot>,
    rest: Arc<Rest>,
    caller: Caller,
    _place: Place,
}

impl Saving {
    /// Ends early when the server stops, the credential does, or the reader is too slow. The reader sees that by the file.
    async fn run(self, frames: Frames) {
        let clock = self.rest.registry.clock();
        let end = clock.monotonic().after(READ_MAX);
        let mut stopping = self.rest.live.stopping();
        let mut writer = SnapshotWriter::new(&self.snapshot, clock.wall(), &self.rest.version);
        loop {
            let piece = match writer.piece() {
                Ok(Some(piece)) => piece,
                Ok(None) => return,
                Err(error) => return tracing::error!(%error, "a snapshot cannot be made"),
            };
            let is_allowed = || self.caller.access(&self.rest, DIALECT).is_ok();
            if clock.monotonic() > end || !is_allowed() {
                return;
            }
            tokio::select! {
                () = frames.put(piece.into()) => {}
                () = stopped(&mut stopping) => return,
            }
        }
    }
}
