//! `GET /v1/watch`: a stream of server-sent events, each with the full state of a service.
//!
//! Level-triggered: a service that changes ten times while nobody reads is sent once. The id of an event is a position of the
//! history such that everything up to it has been sent, so that a reader who comes back with it misses nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, StatusCode};
use waypost_core::{
    Access, Changed, Dialect, NamespaceName, Position, RegistryError, Revision, Scope, ServiceKey,
    ServiceState, Touched, View,
};
use waypost_http::{Request, RequestHead, Response, Router};

use super::poll::resumed;
use super::{render, waiting};
use crate::cache::Kind;
use crate::convert::own as convert;
use crate::error::{Answer, Refusal};
use crate::live::{Caller, Frames, Place, generated, stopped};
use crate::metrics::Staying;
use crate::state::Rest;
use crate::wire::own::{ServiceGone, ServiceUpdate, StreamReset, Tier};

const DIALECT: Dialect = Dialect::Rest;
/// Most scopes of one stream.
const SCOPES_MAX: usize = 60;
/// How often something is sent when nothing happens, so that dead connections are found by either side.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What browsers wait before they come back.
const PREFIX: &str = "retry: 1000\n\n";

pub(crate) fn routes(router: Router, rest: &Arc<Rest>) -> Router {
    router.get("/v1/watch", waiting!(rest, watch))
}

async fn watch(rest: &Arc<Rest>, request: &mut Request) -> Answer {
    let head = &request.head;
    let access = rest.reader(head, DIALECT)?;
    let scopes = scopes(rest, head)?;
    let latest = rest.registry.view(&access).position();
    let cursor = cursor(head, latest)?;
    let follower = Follower {
        rest: Arc::clone(rest),
        caller: Caller::of(head),
        access,
        scopes,
        _place: rest.live.place(Staying::Stream)?,
    };
    let body = generated(move |frames| follower.run(cursor, frames));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    let fixed = |value| HeaderValue::from_static(value);
    headers.insert(CONTENT_TYPE, fixed("text/event-stream"));
    headers.insert(CACHE_CONTROL, fixed("no-store"));
    // nginx would gather events until a buffer is full.
    headers.insert(HeaderName::from_static("x-accel-buffering"), fixed("no"));
    Ok(response)
}

/// Reads `?service=web`, `?service=NAMESPACE/web` and `?namespace=NAMESPACE`; nothing is everything.
fn scopes(rest: &Rest, head: &RequestHead) -> Result<Box<[Scope]>, Refusal> {
    let query = head.query()?;
    let mut scopes = BTreeSet::new();
    for (name, value) in query.iter() {
        match name {
            "service" => {
                let key = match value.split_once('/') {
                    Some((namespace, service)) => ServiceKey::new(namespace, service)?,
                    None => rest.service_key(value)?,
                };
                scopes.insert(Scope::Service(key));
            }
            "namespace" => {
                scopes.insert(Scope::Namespace(NamespaceName::new(value)?));
            }
            "revision" => {}
            other => {
                let rule = "must be service, namespace or revision";
                return Err(RegistryError::invalid("parameter", other, rule).into());
            }
        }
    }
    if scopes.len() > SCOPES_MAX {
        return Err(RegistryError::TooLarge {
            field: "service".into(),
            rule: format!("at most {SCOPES_MAX} services and namespaces in one stream"),
        }
        .into());
    }
    if scopes.is_empty() {
        return Ok([Scope::All].into());
    }
    // A service of a namespace that is watched whole comes with it.
    let of_namespace = |scope: &Scope| match scope {
        Scope::Service(key) => !scopes.contains(&Scope::Namespace(key.namespace.clone())),
        _ => true,
    };
    Ok(scopes
        .iter()
        .filter(|scope| of_namespace(scope))
        .cloned()
        .collect())
}

/// Where the reader stands: a position to go on from, or why everything is sent anew.
type Cursor = Result<Revision, &'static str>;

/// Reads `Last-Event-ID`, which browsers send when they come back, or `?revision=`.
fn cursor(head: &RequestHead, latest: Position) -> Result<Cursor, Refusal> {
    if let Some(id) = head.header("last-event-id") {
        return Ok(resumed(id, latest).map(|position| position.revision));
    }
    let Some(text) = head.query_value("revision")? else {
        return Ok(Err("this is the beginning"));
    };
    text.parse::<Position>()?;
    Ok(resumed(&text, latest).map(|position| position.revision))
}

/// One stream.
struct Follower {
    rest: Arc<Rest>,
    caller: Caller,
    access: Access,
    scopes: Box<[Scope]>,
    _place: Place,
}

/// The reader has gone.
struct Gone;

impl Follower {
    async fn run(self, cursor: Cursor, frames: Frames) {
        // A reader that has gone is no error, and nobody is left to tell it to.
        let _ = self.follow(cursor, &frames).await;
    }

    async fn follow(&self, mut cursor: Cursor, frames: &Frames) -> Result<(), Gone> {
        let rest = &self.rest;
        let (mut stopping, mut credentials) = (rest.live.stopping(), rest.live.credentials());
        frames.put(Bytes::from_static(PREFIX.as_bytes())).await;
        let mut is_first = true;
        let mut view = rest.registry.view(&self.access);
        let since = view.position().revision;
        let mut watch = rest
            .registry
            .watch_any(&self.access, self.scopes.clone(), since);
        loop {
            let told = self.send(&view, cursor, frames).await?;
            if is_first && !told {
                // Whoever comes back hears that nothing happened.
                self.synced(view.position(), frames).await;
            }
            is_first = false;
            cursor = Ok(view.position().revision);
            loop {
                tokio::select! {
                    next = watch.next() => match next {
                        Some(next) => view = next,
                        None => return Ok(()),
                    },
                    () = rest.registry.clock().sleep(KEEP_ALIVE) => {
                        self.check()?;
                        view = rest.registry.view(&self.access);
                        self.send(&view, cursor, frames).await?;
                        // What happened elsewhere moves the id on, so that it does not grow too old to resume from.
                        let id = format!("id: {}\n: keep-alive\n\n", view.position());
                        frames.put(id.into()).await;
                        cursor = Ok(view.position().revision);
                        continue;
                    }
                    _ = credentials.changed() => {
                        self.check()?;
                        continue;
                    }
                    () = stopped(&mut stopping) => return Ok(()),
                }
                break;
            }
        }
    }

    /// Ends the stream when its credential does not hold any more: whoever comes back is told why.
    fn check(&self) -> Result<(), Gone> {
        let access = self.caller.access(&self.rest, DIALECT);
        access.map(drop).map_err(|_| Gone)
    }

    /// Sends what changed after the cursor, or everything; gives whether there was something.
    async fn send(&self, view: &View, cursor: Cursor, frames: &Frames) -> Result<bool, Gone> {
        let position = view.position();
        let changed = match cursor {
            Ok(since) => self.changed(view, since).ok_or("that was too long ago"),
            Err(why) => Err(why),
        };
        let (gone, services) = match changed {
            Ok(keys) if keys.is_empty() && cursor.is_ok_and(|since| since == position.revision) => {
                return Ok(false);
            }
            Ok(keys) => parted(view, keys),
            Err(reason) => {
                let reset = StreamReset { reason };
                frames.put(event("reset", None, &render(&reset))).await;
                self.rest.metrics.sent("reset");
                (Vec::new(), self.all(view))
            }
        };
        if gone.is_empty() && services.is_empty() && cursor.is_ok() {
            // Something that the reader may not see.
            return Ok(false);
        }
        for key in gone {
            let gone = ServiceGone {
                namespace: key.namespace.as_str().to_owned(),
                service: key.name.as_str().to_owned(),
            };
            // Without an id: whoever comes back before the end of this is told again.
            frames.put(event("gone", None, &render(&gone))).await;
            self.rest.metrics.sent("gone");
        }
        self.send_services(view, services, frames).await?;
        self.synced(position, frames).await;
        Ok(true)
    }

    async fn synced(&self, position: Position, frames: &Frames) {
        frames.put(event("synced", Some(position), b"{}")).await;
        self.rest.metrics.sent("synced");
    }

    /// Sends services in the order of their changes, so that an id says that all up to it was sent.
    async fn send_services(
        &self,
        view: &View,
        mut services: Vec<Arc<ServiceState>>,
        frames: &Frames,
    ) -> Result<(), Gone> {
        services.sort_by_key(|state| state.modified());
        let mut services = services.into_iter().peekable();
        while let Some(state) = services.next() {
            self.check()?;
            let modified = state.modified();
            let is_last_of_it = services
                .peek()
                .is_none_or(|next| next.modified() > modified);
            if is_last_of_it {
                let id = format!("id: {}\n", view.position_at(modified));
                frames.put(id.into()).await;
            }
            frames.put(self.update(view, &state)).await;
            self.rest.metrics.sent("service");
        }
        Ok(())
    }

    /// Returns the services in which something changed; `None` when that is no longer known.
    fn changed(&self, view: &View, since: Revision) -> Option<BTreeSet<ServiceKey>> {
        let mut keys = BTreeSet::new();
        for scope in &self.scopes {
            let Changed::Since {
                services,
                instances,
                removed,
            } = view.changed_since(scope, since)
            else {
                return None;
            };
            keys.extend(services);
            keys.extend(instances.into_iter().map(|key| key.service));
            keys.extend(removed.into_iter().filter_map(|thing| match thing {
                Touched::Namespace(_) => None,
                Touched::Service(key) => Some(key),
                Touched::Instance(key) => Some(key.service),
            }));
        }
        Some(keys)
    }

    fn all(&self, view: &View) -> Vec<Arc<ServiceState>> {
        let mut all = Vec::new();
        for scope in &self.scopes {
            match scope {
                Scope::All => all.extend(view.services().cloned()),
                Scope::Namespace(name) => {
                    let services = view.services_in(name, None);
                    all.extend(services.into_iter().flatten().cloned());
                }
                Scope::Service(key) => all.extend(view.service(key).ok().cloned()),
            }
        }
        all
    }

    /// Renders a service once for everybody who follows it.
    fn update(&self, view: &View, state: &ServiceState) -> Bytes {
        let rest = &self.rest;
        let key = &state.service().key;
        let position = view.position_at(state.modified());
        let now = rest.registry.clock().monotonic();
        let name = key.to_string();
        let rendered = rest.cache.fetch(Kind::Watch, &name, position, now, || {
            let epoch = position.epoch;
            let instances = state.instances().iter();
            let update = ServiceUpdate {
                service: convert::service_to_wire(epoch, state, rest.zone(view, &key.namespace)),
                tier: state.rotation().tier().map(Tier),
                instances: instances
                    .map(|it| convert::instance_to_wire(epoch, state, it))
                    .collect(),
            };
            event("service", None, &render(&update)).into()
        });
        rendered.body
    }
}

/// Tells what is gone from what is there.
fn parted(view: &View, keys: BTreeSet<ServiceKey>) -> (Vec<ServiceKey>, Vec<Arc<ServiceState>>) {
    let (mut gone, mut there) = (Vec::new(), Vec::new());
    for key in keys {
        match view.service(&key) {
            Ok(state) => there.push(Arc::clone(state)),
            Err(_) => gone.push(key),
        }
    }
    (gone, there)
}

fn event(name: &str, id: Option<Position>, data: &[u8]) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    let head = format!("{id}event: {name}\ndata: ");
    [head.as_bytes(), data, b"\n\n"].concat().into()
}
