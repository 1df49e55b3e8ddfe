//! What the checks look at: asked for once, whichever check asks first.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;
use waypost_client::{
    Client, ClientError, ErrorKind, IssuedToken, Namespace, Resource, ServerHealth,
};

use super::DoctorArguments;
use super::exposition::Exposition;
use super::services::Listing;
use crate::command::dns_place::host_of;
use crate::command::resolve::exchange::started;
use crate::failure::{Failure, describe};
use crate::{Exit, GlobalOptions};

/// Most namespaces that are looked at.
pub(super) const NAMESPACES_MAX: usize = 100;

/// What the server said, and what it is asked by.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) arguments: DoctorArguments,
    /// How long one exchange may take.
    pub(super) limit: Duration,
    /// Files with secrets that the options name.
    pub(super) secret_files: Vec<PathBuf>,
    /// Whether a token or a certificate is shown to the server.
    pub(super) has_credential: bool,
    /// Whether the user named the namespace.
    pub(super) namespace_is_named: bool,
    /// Whether the server is asked over loopback.
    pub(super) on_loopback: bool,
    pub(super) health: Result<ServerHealth, ClientError>,
    /// The namespaces that the credential may see; the first question that needs one.
    pub(super) namespaces: Result<Vec<Namespace>, ClientError>,
    /// The conditions of readiness, and how long they took over a connection that was there.
    pub(super) ready: Result<(String, Duration), ClientError>,
    /// Whether the server lets strangers do everything.
    pub(super) is_open: bool,
    /// The credentials that were issued, where the credential may see them.
    pub(super) tokens: Result<Vec<IssuedToken>, ClientError>,
    metrics: OnceCell<Result<Exposition, String>>,
    listing: OnceCell<Result<Listing, String>>,
}

impl Context {
    /// Asks the server how it is, and whether it takes the credential. A server that does not answer is no error.
    pub(super) async fn open(
        arguments: DoctorArguments,
        options: &GlobalOptions,
    ) -> Result<Self, Failure> {
        let client = options.client()?;
        let identity = options.identity_files();
        let token_file = options.token_file.as_deref();
        let files = token_file.into_iter().chain(identity.map(|(_, key)| key));
        let has_token = options
            .credential
            .token(options.token_file.as_deref())?
            .is_some();
        let health = client.health().await;
        let (ready, namespaces, tokens, is_open) = match &health {
            // Nobody is asked again who does not answer: each question would wait as long.
            Err(error) => (
                Err(error.clone()),
                Err(error.clone()),
                Err(error.clone()),
                false,
            ),
            Ok(_) => {
                let since = started();
                let ready = client.ready().await.map(|text| (text, since.elapsed()));
                let most = NAMESPACES_MAX + 1;
                let namespaces = client.list_at_most(Resource::Namespaces, most).await;
                let tokens = client.tokens().await.map(|list| list.tokens);
                let is_open = options.stranger()?.build()?.tokens().await.is_ok();
                (ready, namespaces, tokens, is_open)
            }
        };
        Ok(Self {
            on_loopback: is_on_loopback(&client.url(), options.timeout).await,
            limit: options.timeout,
            secret_files: files.map(Into::into).collect(),
            has_credential: has_token || identity.is_some(),
            namespace_is_named: options.names_a_namespace(),
            client,
            arguments,
            health,
            namespaces,
            ready,
            is_open,
            tokens,
            metrics: OnceCell::new(),
            listing: OnceCell::new(),
        })
    }

    /// Says why nothing can be asked at all.
    pub(super) fn silence(&self) -> Option<&'static str> {
        match &self.health {
            Err(error) if is_away(error) => Some("the server does not answer"),
            Err(_) => Some("what answers there is no Waypost server"),
            Ok(_) => None,
        }
    }

    /// Says why nothing that needs a credential can be asked.
    pub(super) fn obstacle(&self) -> Option<String> {
        match (self.silence(), &self.namespaces) {
            (Some(why), _) => Some(why.to_owned()),
            (_, Err(error)) if error.kind() == ErrorKind::Denied => {
                Some("the server refuses the credential".to_owned())
            }
            (_, Err(error)) => Some(describe(error)),
            _ => None,
        }
    }

    /// Gives the exit code of a server that could not be looked at.
    pub(super) fn exit(&self) -> Option<Exit> {
        match (&self.health, &self.namespaces) {
            (Err(error), _) | (_, Err(error)) if is_away(error) => Some(Exit::Unreachable),
            (_, Err(error)) if error.kind() == ErrorKind::Denied => Some(Exit::Denied),
            _ => None,
        }
    }

    /// Gives what the server measures; the error says why it cannot be seen.
    pub(super) async fn metrics(&self) -> Result<&Exposition, String> {
        let asked = self.metrics.get_or_init(|| async {
            if let Some(why) = self.silence() {
                return Err(why.to_owned());
            }
            match self.client.metrics().await {
                Ok(text) => Ok(Exposition::new(text)),
                Err(error) if error.kind() == ErrorKind::Denied => Err(
                    "the server's figures need a credential that may read everything".to_owned(),
                ),
                Err(error) => Err(describe(&error)),
            }
        });
        asked.await.as_ref().map_err(Clone::clone)
    }

    /// Gives the services and instances that are looked at; the error says why they cannot be seen.
    pub(super) async fn listing(&self) -> Result<&Listing, String> {
        let asked = self.listing.get_or_init(|| Listing::of(self));
        asked.await.as_ref().map_err(Clone::clone)
    }
}

fn is_away(error: &ClientError) -> bool {
    matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout)
}

/// Says whether every address of the URL's host is of this machine's loopback.
async fn is_on_loopback(url: &str, limit: Duration) -> bool {
    let host = host_of(url);
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.is_loopback();
    }
    match timeout(limit, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(found)) => {
            let found: Vec<_> = found.collect();
            !found.is_empty() && found.iter().all(|address| address.ip().is_loopback())
        }
        _ => false,
    }
}
