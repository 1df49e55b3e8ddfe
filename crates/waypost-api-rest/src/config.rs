//! The `[rest]` section.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use waypost_core::{
    Check, CheckId, CheckKind, HttpProbe, NamespaceName, ProbeProtocol, ProbeSpec, RegistryError,
    text,
};

/// The id of the check that the sources' registrations get.
const SOURCE_CHECK: &str = "http";

/// How the HTTP API behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestConfig {
    /// The namespace of the sources' paths, which name none.
    pub default_namespace: NamespaceName,
    /// Seconds between checks of instances registered over the sources' paths.
    pub check_interval_seconds: u32,
    /// Seconds between such checks from the first failure on.
    pub check_unhealthy_interval_seconds: u32,
    /// Seconds one such check may take, at most 60.
    pub check_timeout_seconds: u32,
    /// Failures in a row that make such an instance unhealthy.
    pub check_unhealthy_after: u16,
    /// Passes in a row that make it healthy again; the very first pass counts at once.
    pub check_healthy_after: u16,
    /// Seconds of silence after which an instance of `/v1/discovery` is out, from its first heartbeat on.
    pub discovery_lease_seconds: u32,
    /// Seconds without heartbeat and without passing check after which an instance of `/service-discovery` is out.
    pub service_discovery_lease_seconds: u32,
    /// Most entries of one page of a list.
    pub page_size_max: usize,
    /// Most rendered answers kept for each kind of read; each is kept for at most a second.
    pub cache_entries_max: usize,
    /// Most bytes of rendered answers kept for each kind of read.
    pub cache_bytes_max: usize,
    /// Longest wait of a long poll; less than `http.request_timeout_seconds`.
    pub wait_seconds_max: u32,
    /// Most streams and long polls that are held at once.
    pub watchers_max: usize,
}

impl Default for RestConfig {
    fn default() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the literal is a legal name; a test makes the default"
        )]
        let default_namespace = NamespaceName::new("svc.internal").expect("a legal name");
        Self {
            default_namespace,
            check_interval_seconds: 30,
            check_unhealthy_interval_seconds: 5,
            check_timeout_seconds: 5,
            check_unhealthy_after: 3,
            check_healthy_after: 2,
            discovery_lease_seconds: 300,
            service_discovery_lease_seconds: 300,
            page_size_max: 1_000,
            cache_entries_max: 4_096,
            cache_bytes_max: 16 << 20,
            wait_seconds_max: 50,
            watchers_max: 20_000,
        }
    }
}

impl RestConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// `Invalid` with the field, the value and the rule.
    pub fn validate(&self) -> Result<(), RegistryError> {
        in_range(
            "check_interval_seconds",
            self.check_interval_seconds,
            1,
            86_400,
        )?;
        in_range(
            "check_unhealthy_interval_seconds",
            self.check_unhealthy_interval_seconds,
            1,
            86_400,
        )?;
        in_range("check_timeout_seconds", self.check_timeout_seconds, 1, 60)?;
        in_range(
            "check_unhealthy_after",
            self.check_unhealthy_after.into(),
            1,
            1_000,
        )?;
        in_range(
            "check_healthy_after",
            self.check_healthy_after.into(),
            1,
            1_000,
        )?;
        in_range(
            "discovery_lease_seconds",
            self.discovery_lease_seconds,
            1,
            86_400,
        )?;
        in_range(
            "service_discovery_lease_seconds",
            self.service_discovery_lease_seconds,
            1,
            86_400,
        )?;
        let size = u32::try_from(self.page_size_max).unwrap_or(u32::MAX);
        in_range("page_size_max", size, 1, 10_000)?;
        in_range("wait_seconds_max", self.wait_seconds_max, 1, 3_599)?;
        let watchers = u32::try_from(self.watchers_max).unwrap_or(u32::MAX);
        in_range("watchers_max", watchers, 0, 1_000_000)
    }

    /// Returns the check that a registration over the sources' paths gets.
    pub(crate) fn source_check(&self, path: &str) -> Result<Arc<[Check]>, RegistryError> {
        let probe = HttpProbe {
            path: text(path),
            ..HttpProbe::default()
        };
        let spec = ProbeSpec {
            interval_seconds: self.check_interval_seconds,
            unhealthy_interval_seconds: self.check_unhealthy_interval_seconds,
            timeout_milliseconds: self.check_timeout_seconds.saturating_mul(1_000),
            ..ProbeSpec::new(ProbeProtocol::Http(probe))
        };
        let check = Check {
            unhealthy_after: self.check_unhealthy_after,
            healthy_after: self.check_healthy_after,
            ..Check::new(CheckId::new(SOURCE_CHECK)?, CheckKind::Probe(spec))
        };
        Ok(Arc::from([check]))
    }
}

fn in_range(field: &'static str, value: u32, least: u32, most: u32) -> Result<(), RegistryError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(RegistryError::invalid(
        field,
        value,
        format!("must be {least} to {most}"),
    ))
}
