//! What every handler works with, and the way in for every request.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, LazyLock, OnceLock};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, ORIGIN};
use http::{HeaderValue, StatusCode};
use tokio::sync::watch;
use waypost_access::{Authenticator, Caller, PUBLIC_READER};
use waypost_core::{
    Access, Dialect, NamespaceKind, NamespaceName, Registry, RegistryError, ServiceKey,
    ServiceState, Snapshots, View,
};
use waypost_http::{Body, RequestHead, Response, empty};

use crate::cache::{Kind, RenderCache, Rendered};
use crate::config::RestConfig;
use crate::error::Refusal;
use crate::live::Live;
use crate::metrics::RestMetrics;
use crate::turns::Turns;
use crate::{docs, openapi};

/// What the API is made of.
#[derive(Debug, Clone)]
pub struct RestContext {
    /// The registry.
    pub registry: Registry,
    /// Who may do what.
    pub authenticator: Arc<Authenticator>,
    /// The section of the configuration.
    pub config: RestConfig,
    /// The version that the OpenAPI document shows.
    pub version: String,
    /// Where look-ups are counted.
    pub metrics: RestMetrics,
    /// Where DNS is answered.
    pub dns: DnsFacts,
    /// What the registry publishes: issued credentials are read out of it.
    pub snapshots: Snapshots,
    /// Turns true when the server stops: then streams end, and long polls are answered.
    pub stopping: watch::Receiver<bool>,
}

/// What the API tells about the DNS server.
#[derive(Debug, Clone, Default)]
pub struct DnsFacts {
    /// Where it listens; nowhere when DNS is off.
    pub listen: Vec<SocketAddr>,
    /// Times to live of its answers.
    pub ttls: DnsTtls,
    /// Names of its zones of addresses.
    pub reverse_zones: Vec<String>,
}

/// Times to live of DNS answers.
#[derive(Debug, Clone, Copy)]
pub struct DnsTtls {
    /// Seconds, unless a service says otherwise.
    pub seconds: u32,
    /// Most seconds, whatever a service says.
    pub seconds_max: u32,
}

impl Default for DnsTtls {
    fn default() -> Self {
        Self {
            seconds: waypost_core::DNS_TTL_SECONDS,
            seconds_max: 86_400,
        }
    }
}

impl DnsTtls {
    /// Returns how long answers about a service may be kept.
    pub(crate) fn of(self, service: &waypost_core::Service) -> u32 {
        let own = service.dns.as_ref().map(|dns| dns.ttl_seconds());
        own.unwrap_or(self.seconds).min(self.seconds_max)
    }
}

/// What a request shows of whoever sent it.
pub(crate) fn caller(head: &RequestHead) -> Caller<'_> {
    Caller {
        bearer: head.bearer(),
        certificate: head.certificate().names(),
        last: head.kept(),
        peer: head.peer().ip(),
    }
}

/// The state behind the handlers.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) registry: Registry,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) config: RestConfig,
    pub(crate) metrics: RestMetrics,
    pub(crate) cache: RenderCache,
    pub(crate) turns: Turns,
    documents: OnceLock<Documents>,
    pub(crate) version: String,
    pub(crate) dns: DnsFacts,
    pub(crate) snapshots: Snapshots,
    pub(crate) live: Live,
    /// Held while credentials are counted and changed, so that two operators cannot each remove the other's.
    pub(crate) credentials: tokio::sync::Mutex<()>,
}

/// What the server says about its interface, rendered once.
#[derive(Debug)]
pub(crate) struct Documents {
    pub(crate) openapi: Bytes,
    pub(crate) docs: Bytes,
    pub(crate) policy: HeaderValue,
}

impl Documents {
    fn new(version: &str) -> Self {
        let document = openapi::document(version);
        let page = docs::page(&document);
        Self {
            openapi: document.to_string().into(),
            docs: page.html.into(),
            policy: HeaderValue::from_str(&page.policy)
                .unwrap_or(HeaderValue::from_static("default-src 'none'")),
        }
    }
}

impl Rest {
    pub(crate) fn new(context: RestContext) -> Self {
        let RestContext {
            registry,
            authenticator,
            config,
            version,
            metrics,
            dns,
            snapshots,
            stopping,
        } = context;
        Self {
            credentials: tokio::sync::Mutex::new(()),
            live: Live::new(stopping, config.watchers_max, &metrics),
            cache: RenderCache::new(config.cache_entries_max, config.cache_bytes_max),
            turns: Turns::new(),
            documents: OnceLock::new(),
            version,
            registry,
            authenticator,
            config,
            metrics,
            dns,
            snapshots,
        }
    }

    /// Says what the sender of a read may see.
    pub(crate) fn reader(&self, head: &RequestHead, dialect: Dialect) -> Result<Access, Refusal> {
        let access = self
            .authenticator
            .authenticate(&caller(head), dialect, true)?;
        self.refuse_rebound_names(head, "read")?;
        Ok(access)
    }

    /// The same for a request that is being answered, which is not counted again.
    pub(crate) fn reader_again(
        &self,
        head: &RequestHead,
        dialect: Dialect,
    ) -> Result<Access, Refusal> {
        let access = self
            .authenticator
            .authenticate_again(&caller(head), dialect, true)?;
        self.refuse_rebound_names(head, "read")?;
        Ok(access)
    }

    /// Says what the sender of a change may do.
    pub(crate) fn writer(&self, head: &RequestHead, dialect: Dialect) -> Result<Access, Refusal> {
        let access = self
            .authenticator
            .authenticate(&caller(head), dialect, false)?;
        self.refuse_rebound_names(head, "change")?;
        refuse_other_sites(head)?;
        Ok(access)
    }

    /// A web page can point its own host name at this server (DNS rebinding): to the browser the two are one site then,
    /// and only the `Host` tells. Where credentials are asked for, it has none.
    fn refuse_rebound_names(
        &self,
        head: &RequestHead,
        verb: &'static str,
    ) -> Result<(), RegistryError> {
        if self.authenticator.needs_credentials() || !is_from_browser(head) || is_local_name(head) {
            return Ok(());
        }
        Err(RegistryError::Denied {
            subject: "a web page under a host name that may be anybody's".to_owned(),
            verb,
            what: "this registry without a credential: use an IP address or localhost".to_owned(),
        })
    }

    /// Returns how DNS answers for a namespace, if it is looked up by DNS.
    pub(crate) fn zone(&self, view: &View, name: &NamespaceName) -> Option<DnsTtls> {
        let state = view.namespace(name).ok()?;
        (state.namespace().kind != NamespaceKind::Http).then_some(self.dns.ttls)
    }

    /// Returns what describes the interface: made for the first who asks, since making it takes some 10 MiB for a moment.
    pub(crate) fn documents(&self) -> &Documents {
        self.documents.get_or_init(|| Documents::new(&self.version))
    }

    pub(crate) fn namespace(&self) -> &NamespaceName {
        &self.config.default_namespace
    }

    /// Names a service of the default namespace.
    pub(crate) fn service_key(&self, name: &str) -> Result<ServiceKey, RegistryError> {
        ServiceKey::new(self.namespace().as_str(), name)
    }

    /// Finds a service of the default namespace; `None` when it is unknown and its name is legal.
    pub(crate) fn find<'a>(
        &self,
        view: &'a View,
        name: &str,
    ) -> Result<Option<&'a Arc<ServiceState>>, RegistryError> {
        let found = view.service_named(self.namespace().as_str(), name);
        if found.is_none() {
            self.service_key(name)?;
        }
        Ok(found)
    }

    /// Returns the cached or new answer about one service.
    pub(crate) fn rendered(
        &self,
        kind: Kind,
        view: &View,
        state: &ServiceState,
        render: impl FnOnce() -> Vec<u8>,
    ) -> Rendered {
        let position = view.position_at(state.modified());
        let now = self.registry.clock().monotonic();
        let name = state.service().key.name.as_str();
        self.cache.fetch(kind, name, position, now, render)
    }
}

/// Says whether two such readers see the same of everything, so that they may share a rendered list.
pub(crate) fn reads_everything(access: &Access) -> bool {
    access.is_everything() || &**access.subject() == PUBLIC_READER
}

/// Says whether the request carries a header that browsers add and programs do not.
fn is_from_browser(head: &RequestHead) -> bool {
    let mut names = head.headers().keys();
    names.any(|name| *name == ORIGIN || name.as_str().starts_with("sec-fetch-"))
}

/// Says whether every `Host` that is sent is an address, `localhost` or a name below it: nobody can point those
/// elsewhere.
fn is_local_name(head: &RequestHead) -> bool {
    let mut hosts = head.headers().get_all(HOST).iter();
    let is_local = |host: &HeaderValue| host.to_str().is_ok_and(is_local_host);
    let of_uri = head.uri().authority();
    let sent = of_uri.is_some() || head.headers().contains_key(HOST);
    sent && hosts.all(is_local) && of_uri.is_none_or(|host| is_local_host(host.as_str()))
}

fn is_local_host(host: &str) -> bool {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if let Some(bracketed) = without_port.strip_prefix('[') {
        let address = bracketed.strip_suffix(']');
        return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let name = without_port.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<Ipv4Addr>().is_ok()
}

/// A web page of another site must not use the browser's place inside the network: it can send simple requests
/// anywhere, and on loopback the server asks for no credential. Programs send neither header.
fn refuse_other_sites(head: &RequestHead) -> Result<(), RegistryError> {
    let denied = || RegistryError::Denied {
        subject: "a web page of another site".to_owned(),
        verb: "change",
        what: "this registry".to_owned(),
    };
    match head.header("sec-fetch-site") {
        Some("same-origin" | "none") => return Ok(()),
        Some(_) => return Err(denied()),
        None => {}
    }
    let Some(origin) = head.headers().get(ORIGIN) else {
        return Ok(());
    };
    let host = head.header(HOST.as_str());
    let same = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    match (same, host) {
        (Some((_, origin)), Some(host)) if origin == host => Ok(()),
        _ => Err(denied()),
    }
}

/// Made once: making a header value checks every byte of it.
static JSON: LazyLock<HeaderValue> = LazyLock::new(|| HeaderValue::from_static("application/json"));

/// Answers with a rendered body, or `304` when the client has what differs in vitals at most.
///
/// There is no `Cache-Control`: without an expiry or a date to guess one from, caches ask again (RFC 9111 section
/// 4.2.2), and this is the hottest answer there is.
pub(crate) fn conditional(head: &RequestHead, rendered: Rendered) -> Response {
    let Rendered { body, etag, .. } = rendered;
    let mut response = if is_known(head, &etag) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert(CONTENT_TYPE, JSON.clone());
        response
    };
    response.headers_mut().insert(ETAG, etag);
    response
}

/// Compares weakly (RFC 9110 section 13.1.2).
fn is_known(head: &RequestHead, etag: &HeaderValue) -> bool {
    if !head.headers().contains_key(IF_NONE_MATCH) {
        return false;
    }
    let Ok(etag) = etag.to_str() else {
        return false;
    };
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let sent = head.headers().get_all(IF_NONE_MATCH);
    sent.iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
}
