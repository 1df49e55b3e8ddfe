//! Who is let in: what is asked at the start, and by what no adapter serves.

use std::net::IpAddr;
use std::sync::Arc;

use waypost_access::{Authenticator, Caller, ServerKey};
use waypost_core::{Author, Clock, Dialect, Registry, RegistryError, Snapshots, Verb, text};
use waypost_http::{Rejection, RequestHead};

use super::ServeError;
use crate::config::Config;

pub(super) fn authenticator(
    config: &Config,
    key: ServerKey,
    on_loopback: bool,
) -> Result<Arc<Authenticator>, ServeError> {
    let made = Authenticator::new(&config.access, key, on_loopback);
    made.map(Arc::new)
        .map_err(|error| ServeError::Usage(format!("access.{error}")))
}

/// Refuses to listen where everybody on the network could change everything.
pub(super) fn may_listen(config: &Config, address: IpAddr) -> Result<(), ServeError> {
    let may = config.access.startup_check(address);
    may.map_err(|error| ServeError::Usage(format!("http: {error}")))
}

/// Takes in what the registry has issued, and tells what is wrong with it.
pub(super) fn follow(
    authenticator: &Authenticator,
    (config, address): (&Config, IpAddr),
    (snapshots, clock): (&Snapshots, &Arc<dyn Clock>),
) -> Result<(), ServeError> {
    authenticator.follow(snapshots.clone());
    let snapshot = snapshots.latest();
    if !authenticator.has_issued() {
        may_listen(config, address)?;
    }
    if authenticator.is_of_another_key(&snapshot) {
        tracing::error!(
            "server.key is another one than the credentials were made with: no token and no AWS secret that was issued is valid; put the right file in its place, or start once with SERVICE_DISCOVERY_SECRET to issue new ones"
        );
    }
    if authenticator.is_locked(&snapshot, clock.wall()) {
        tracing::error!(
            "credentials are asked for and none is left, so that nobody gets in: start once with SERVICE_DISCOVERY_SECRET or SERVICE_DISCOVERY_SECRET_FILE to issue a new one; when it is revoked the server is open again, if it may be"
        );
    }
    Ok(())
}

/// Lets in who may read everything; a refusal is noted.
pub(super) fn may_read_metrics(
    registry: &Registry,
    authenticator: &Authenticator,
    head: &RequestHead,
) -> Result<(), Rejection> {
    let caller = Caller {
        bearer: head.bearer(),
        certificate: head.certificate().names(),
        last: head.kept(),
        peer: head.peer().ip(),
    };
    let rejection = match authenticator.authenticate(&caller, Dialect::Rest, true) {
        Ok(access) if access.allows_everywhere(Verb::Read) => return Ok(()),
        Ok(_) => Rejection::Denied {
            reason: "the metrics name every service, so it takes the verb read for all of them",
        },
        Err(RegistryError::Throttled { .. }) => Rejection::Throttled {
            retry_after_seconds: 1,
            setting: "access.rates",
        },
        Err(_) => Rejection::Unauthenticated {
            reason: "the metrics name services: send the header Authorization: Bearer <token> with a token that is valid",
        },
    };
    let author = Author {
        subject: text(&authenticator.subject_of(&caller)),
        address: Some(caller.peer),
        dialect: Dialect::Rest,
    };
    let request = format!("{} {}", head.method(), head.path());
    registry.note_refusal(&author, &request, rejection.code(), rejection.reason());
    Err(rejection)
}
