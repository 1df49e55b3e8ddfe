//! Rules between the settings of several crates, and the files that settings name.

use std::sync::Arc;

use waypost_config::Loaded;
use waypost_core::NamespaceName;
use waypost_health::Tls;
use waypost_http::ListenerTls;

use super::ServeError;
use crate::config::{Config, StoreKind};

/// What the files hold that the configuration names.
pub(crate) struct Secrets {
    /// TLS of checks.
    pub(super) checks: Tls,
    /// TLS of the listener.
    pub(super) listener: Option<Arc<ListenerTls>>,
}

/// Says whether credentials may have been issued: only the registry itself knows.
pub(super) fn may_have_issued(config: &Config) -> bool {
    matches!(config.core.store, StoreKind::Sqlite)
        && waypost_store_sqlite::has_registry(&config.store_sqlite.data_dir)
}

/// Rules between settings and what they name, all reported at once, with what is read of their files.
pub(crate) fn check(loaded: &Loaded<Config>) -> Result<Secrets, ServeError> {
    let config = &loaded.value;
    let mut errors = Vec::new();
    for (field, rule) in config.core.out_of_range() {
        errors.push(loaded.error(&format!("core.{field}"), rule));
    }
    if let Err(error) = config.http.validate() {
        errors.push(loaded.error(&format!("http.{}", error.field), error.rule));
    }
    if let Err(error) = config.access.validate() {
        errors.push(loaded.error(&format!("access.{}", error.field()), error.to_string()));
    }
    if !may_have_issued(config)
        && let Err(error) = config.access.startup_check(config.http.listen.ip())
    {
        errors.push(loaded.error("http.listen", error.to_string()));
    }
    if let Some(name) = &config.cloudmap.api_name
        && !NamespaceName::new(name).is_ok_and(|name| name.is_dns_name())
    {
        errors.push(loaded.error("cloudmap.api_name", "must be a DNS name"));
    }
    if let Err(error) = config.cloudmap.validate() {
        errors.push(loaded.error(&format!("cloudmap.{}", error.field), error.rule));
    }
    if let Err(error) = config.store_sqlite.validate() {
        errors.push(loaded.error(&format!("store_sqlite.{}", error.field), error.rule));
    }
    if let Err(error) = config.dns.validate() {
        errors.push(loaded.error(&format!("dns.{}", error.field), error.rule));
    }
    let request_seconds = config.http.request_timeout_seconds;
    if u64::from(config.rest.wait_seconds_max) >= request_seconds {
        let rule =
            format!("must be less than http.request_timeout_seconds, which is {request_seconds}");
        errors.push(loaded.error("rest.wait_seconds_max", rule));
    }
    if let Err(error) = config.rest.validate() {
        errors.push(loaded.error(&format!("rest.{}", error.subject()), error.to_string()));
    }
    let tls = Tls::load(&config.health).map_err(|unusable| {
        let unusable = unusable.into_iter();
        errors.extend(unusable.map(|it| loaded.error(&format!("health.{}", it.field), it.rule)));
    });
    let listener = config.http.tls.as_ref().map(ListenerTls::load).transpose();
    let listener = listener.map_err(|fault| {
        errors.push(loaded.error(&format!("http.tls.{}", fault.field), fault.rule));
    });
    let asks = config.http.tls.as_ref();
    let asks = asks.is_some_and(|tls| tls.client_authorities.is_some());
    if !config.access.certificates.is_empty() && !asks {
        let rule = "needs http.tls.client_authorities, or nobody is asked for a certificate";
        errors.push(loaded.error("access.certificates", rule));
    }
    match (waypost_config::ConfigErrors::of(errors), tls, listener) {
        (None, Ok(checks), Ok(listener)) => Ok(Secrets {
            checks,
            listener: listener.map(Arc::new),
        }),
        (errors, ..) => Err(ServeError::Usage(
            errors.map_or_else(String::new, |errors| errors.to_string()),
        )),
    }
}
