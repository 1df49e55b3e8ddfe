//! The one configuration: every crate's section side by side, and the variables of the sources that mean them.

use serde::{Deserialize, Serialize};
use waypost_config::{Alias, Loaded, Loader, process_environment};

/// Every section; its name is the crate's without `waypost-` and `api-`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The registry itself.
    pub(crate) core: CoreConfig,
    /// Where and how the registry is kept on disk.
    pub(crate) store_sqlite: waypost_store_sqlite::SqliteConfig,
    /// The HTTP listener.
    pub(crate) http: waypost_http::ListenerConfig,
    /// The DNS server.
    pub(crate) dns: waypost_api_dns::DnsConfig,
    /// The AWS Cloud Map API.
    pub(crate) cloudmap: waypost_api_cloudmap::CloudMapConfig,
    /// Who may use the server.
    pub(crate) access: waypost_access::AccessConfig,
    /// The HTTP API.
    pub(crate) rest: waypost_api_rest::RestConfig,
    /// Health checks.
    pub(crate) health: waypost_health::HealthConfig,
    /// Outbound connections.
    pub(crate) dial: waypost_dial::DialConfig,
    /// Logs.
    pub(crate) telemetry: waypost_telemetry::TelemetryConfig,
}

/// Settings of the registry itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CoreConfig {
    /// Where the registry is kept: `sqlite` (durable) or `memory` (gone when the process ends).
    pub(crate) store: StoreKind,
    /// Whether registering makes the namespace and the service that it names.
    pub(crate) implied: bool,
    /// Most instances of one service.
    pub(crate) instances_per_service_max: usize,
    /// Most changes that wait for the store; a caller beyond them waits up to 5 s for a place and is then refused.
    pub(crate) queued_changes_max: usize,
}

impl Default for CoreConfig {
    fn default() -> Self {
        let policy = waypost_core::Policy::default();
        Self {
            store: StoreKind::Sqlite,
            implied: policy.implied,
            instances_per_service_max: policy.instances_per_service_max,
            queued_changes_max: policy.queued_changes_max,
        }
    }
}

impl CoreConfig {
    /// Returns the fields that are out of their range, with the rule.
    pub(crate) fn out_of_range(&self) -> impl Iterator<Item = (&'static str, String)> {
        const MOST: usize = 10_000_000;
        let fields = [
            ("instances_per_service_max", self.instances_per_service_max),
            ("queued_changes_max", self.queued_changes_max),
        ];
        let wrong = fields
            .into_iter()
            .filter(|(_, value)| !(1..=MOST).contains(value));
        wrong.map(|(field, _)| (field, format!("must be from 1 to {MOST}")))
    }
}

/// The storage engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    /// SQLite in the data directory.
    Sqlite,
    /// Nothing beyond the process.
    Memory,
}

/// The sources' variables. Those that only a later feature uses are accepted, and said so in the log.
fn aliases() -> Vec<Alias> {
    let mut aliases = vec![
        Alias::of("SERVICE_DISCOVERY_SECRET", "access.shared_secret"),
        Alias::of("SERVICE_NAMESPACE", "rest.default_namespace"),
        Alias::of(
            "SERVICE_DISCOVERY_HEALTH_CHECK_INTERVAL",
            "rest.check_interval_seconds",
        ),
        Alias::of(
            "SERVICE_DISCOVERY_HEALTH_CHECK_TIMEOUT",
            "rest.check_timeout_seconds",
        ),
        Alias::of(
            "SERVICE_DISCOVERY_SERVICE_TTL",
            "rest.service_discovery_lease_seconds",
        ),
        Alias::converted("SERVICE_DISCOVERY_MODE", "core.store", |mode| match mode {
            "memory_only" => Ok("memory".to_owned()),
            "hybrid" => Ok("sqlite".to_owned()),
            "redis_backed" => Err(
                "redis_backed is not there yet: use hybrid (durable, embedded) or memory_only"
                    .to_owned(),
            ),
            _ => Err("must be hybrid or memory_only".to_owned()),
        }),
    ];
    let later = [
        "SERVICE_DISCOVERY_CIRCUIT_BREAKER_FAILURE_THRESHOLD",
        "SERVICE_DISCOVERY_CIRCUIT_BREAKER_RECOVERY_TIMEOUT",
        "SERVICE_DISCOVERY_RETRY_MAX_ATTEMPTS",
        "SERVICE_DISCOVERY_RETRY_BASE_DELAY",
        "SERVICE_DISCOVERY_RETRY_MAX_DELAY",
        "SERVICE_DISCOVERY_DEFAULT_LOAD_BALANCING",
        "SERVICE_HEARTBEAT_INTERVAL",
    ];
    aliases.extend(later.map(Alias::accepted));
    aliases
}

/// The settings that have a flag of their own.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct SettingArguments {
    /// Configuration file (TOML)
    #[arg(
        long,
        value_name = "FILE",
        env = "WAYPOST_CONFIG",
        hide_env_values = true
    )]
    config: Option<std::path::PathBuf>,

    /// Address of the HTTP listener [default: 127.0.0.1:3004]
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<String>,

    /// Address of the DNS server, or off [default: 127.0.0.1:5300]
    #[arg(long, value_name = "ADDRESS:PORT")]
    dns: Option<String>,

    /// Directory of the registry's files [default: waypost-data]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<String>,
}

impl SettingArguments {
    /// Reads every layer: defaults, file, environment, flags.
    pub(crate) fn load(&self) -> Result<Loaded<Config>, waypost_config::ConfigErrors> {
        Loader::new()
            .file(self.config.clone())
            .environment(process_environment())
            .aliases(&aliases())
            .flag("--http", "http.listen", self.http.clone())
            .flag("--dns", "dns.listen", self.dns.clone())
            .flag("--data-dir", "store_sqlite.data_dir", self.data_dir.clone())
            .load()
    }
}
