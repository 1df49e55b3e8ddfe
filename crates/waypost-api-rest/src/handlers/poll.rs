//! Long polls: a read that waits until its answer differs from the one that the client has.

use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use waypost_core::{Dialect, ErrorKind, Position, RegistryError, Scope, View};
use waypost_http::{Request, RequestHead, Response};

use crate::error::{Answer, Problem, Refusal};
use crate::live::{Caller, Token, stopped};
use crate::metrics::Staying;
use crate::state::Rest;

/// The header with what `?revision=` takes.
pub(crate) const REVISION: &str = "waypost-revision";
/// The part of a wait by which it may be shorter, so that many that began together do not end together.
const JITTER_PART: u32 = 16;
/// How often an answer is made again because it changed while it was made.
const TRIES_MAX: usize = 4;

/// A read that may wait.
pub(crate) struct Polled {
    pub(crate) dialect: Dialect,
    /// Where a change may change the answer.
    pub(crate) scope: fn(&Rest, &RequestHead) -> Result<Scope, Refusal>,
    /// What the answer says, vitals aside, in one number.
    pub(crate) digest: fn(&Rest, &RequestHead, &View) -> Result<u64, Refusal>,
    /// The answer.
    pub(crate) answer: fn(&Rest, &RequestHead) -> Answer,
}

/// Says whether a request is for a long poll.
pub(crate) fn waits(head: &RequestHead) -> bool {
    let query = head.raw_query();
    !query.is_empty()
        && query
            .split('&')
            .any(|part| part.starts_with("wait") || part.starts_with("revision"))
}

/// Wraps a read for [`waypost_http::Router::get_either`].
macro_rules! polled {
    ($rest:expr, $polled:expr) => {{
        let rest = std::sync::Arc::clone($rest);
        move |mut request: waypost_http::Request| {
            let rest = std::sync::Arc::clone(&rest);
            async move {
                let answer = $crate::handlers::poll::poll(&rest, &mut request, &$polled).await;
                rest.settle(&request.head, answer)
            }
        }
    }};
}
pub(crate) use polled;

/// Answers at once when the client's revision is old or none is given, else when the answer changes or the wait is over.
pub(crate) async fn poll(rest: &Arc<Rest>, request: &mut Request, polled: &Polled) -> Answer {
    let head = &request.head;
    // Whoever does not wait is counted by the answer alone.
    rest.reader_again(head, polled.dialect)?;
    let asked = revision(head)
        .and_then(|token| Ok((token, wait(rest, head)?, (polled.scope)(rest, head)?)));
    let (token, wait, scope) = match asked {
        Ok(asked) => asked,
        Err(refusal) => {
            rest.reader(head, polled.dialect)?;
            return Err(refusal);
        }
    };
    if let (Some(token), Some(wait)) = (token, wait) {
        let mut access = rest.reader(head, polled.dialect)?;
        let _place = rest.live.place(Staying::Poll)?;
        let caller = Caller::of(head);
        let (mut stopping, mut credentials) = (rest.live.stopping(), rest.live.credentials());
        let over = rest.registry.clock().sleep(jittered(wait));
        tokio::pin!(over);
        let mut view = rest.registry.view(&access);
        loop {
            let digest = digest(rest, head, &view, polled)?;
            if token.is_news(view.position(), view.modified(&scope), digest) {
                break;
            }
            let since = view.position().revision;
            let mut watch = rest.registry.watch(&access, scope.clone(), since);
            tokio::select! {
                next = watch.next() => match next {
                    Some(next) => view = next,
                    None => break,
                },
                _ = credentials.changed() => {
                    access = caller.access(rest, polled.dialect)?;
                }
                () = stopped(&mut stopping) => break,
                () = &mut over => break,
            }
        }
    }
    answered(rest, head, polled)
}

/// Answers, with what the next poll is to send.
fn answered(rest: &Rest, head: &RequestHead, polled: &Polled) -> Answer {
    let mut tries = 1;
    loop {
        // What is told as known must not be newer than what is answered.
        let access = rest.reader_again(head, polled.dialect)?;
        let view = rest.registry.view(&access);
        let before = digest(rest, head, &view, polled)?;
        let answer = (polled.answer)(rest, head);
        let after = digest(rest, head, &rest.registry.view(&access), polled)?;
        if before != after && tries < TRIES_MAX {
            tries += 1;
            continue;
        }
        let token = Token {
            position: view.position(),
            digest: Some(before),
        };
        let mut response = match answer {
            Ok(response) => response,
            // What is not there yet can be waited for too.
            Err(Refusal::Problem(problem)) if problem.is_not_found() => Problem::response(&problem),
            Err(refusal) => return Err(refusal),
        };
        put_revision(&mut response, &token);
        return Ok(response);
    }
}

fn put_revision(response: &mut Response, token: &Token) {
    if let Ok(value) = HeaderValue::from_str(&token.to_string()) {
        response.headers_mut().insert(REVISION, value);
    }
}

/// Returns what the answer says; zero for what is not there.
fn digest(rest: &Rest, head: &RequestHead, view: &View, polled: &Polled) -> Result<u64, Refusal> {
    match (polled.digest)(rest, head, view) {
        Err(Refusal::Problem(problem)) if problem.is_not_found() => Ok(0),
        digest => digest,
    }
}

/// Draws a number from what an answer says.
pub(crate) fn digest_of(parts: impl Iterator<Item = impl std::hash::Hash>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut count = 0_u64;
    for part in parts {
        part.hash(&mut hasher);
        count += 1;
    }
    count.hash(&mut hasher);
    // Zero is what is not there.
    hasher.finish().max(1)
}

fn revision(head: &RequestHead) -> Result<Option<Token>, Refusal> {
    let sent = head.query_value("revision")?;
    Ok(sent.as_deref().map(Token::read).transpose()?)
}

/// Reads `?wait=30s` or `?wait=30`.
fn wait(rest: &Rest, head: &RequestHead) -> Result<Option<Duration>, Refusal> {
    let most = rest.config.wait_seconds_max;
    let Some(text) = head.query_value("wait")? else {
        return Ok(None);
    };
    let digits = text.strip_suffix('s').unwrap_or(&text);
    let seconds = digits.parse::<u32>().ok();
    let seconds = seconds.filter(|seconds| (1..=most).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        let rule = format!("must be whole seconds, 1 to {most}, such as 30s");
        RegistryError::invalid("wait", &text, rule)
    })?;
    Ok(Some(Duration::from_secs(seconds.into())))
}

fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let part = u32::try_from(random % 1_024).unwrap_or(0);
    wait - wait / JITTER_PART * part / 1_024
}

/// Returns the position of a change that a stream resumes from, or why that cannot be.
pub(crate) fn resumed(text: &str, latest: Position) -> Result<Position, &'static str> {
    let position = text.parse::<Position>();
    let position = position.map_err(|_| "the event id is none of this server's")?;
    if position.epoch != latest.epoch {
        return Err("the registry was restored or made anew since");
    }
    if position.revision > latest.revision {
        return Err("the event id is of a future that this registry does not have");
    }
    Ok(position)
}

impl Problem {
    fn is_not_found(&self) -> bool {
        self.is(ErrorKind::NotFound)
    }
}
