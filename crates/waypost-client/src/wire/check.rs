//! A check, as a registration or a service has it.

use std::collections::BTreeMap;
use std::io::Read;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::CheckKind;

/// As many as the server takes.
const CA_FILE_BYTES_MAX: u64 = 64 * 1_024;

/// How an instance is checked. What is `None` is the server's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Name of the check, unique in its instance.
    pub id: String,
    /// How it finds out.
    pub kind: CheckKind,
    /// Path and query asked by an `http` or `https` check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Method used by an `http` or `https` check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers sent by an `http` or `https` check.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Statuses that pass, such as `200-299`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_status: Option<String>,
    /// Whom an `https` check takes for the instance; with a `grpc` check also that TLS is spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<CheckTls>,
    /// Service that a `grpc` check asks about; the server as a whole without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Name of the port that is asked; the default one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Seconds within which a `heartbeat` check has to hear of the instance.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "seconds"
    )]
    pub within_seconds: Option<f64>,
    /// Seconds between two probes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "seconds"
    )]
    pub interval_seconds: Option<f64>,
    /// Seconds between two probes from the first failed one on.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "seconds"
    )]
    pub unhealthy_interval_seconds: Option<f64>,
    /// Seconds after which a probe without an answer has failed.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "seconds"
    )]
    pub timeout_seconds: Option<f64>,
    /// Failed probes in a row that make the check fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy_after: Option<u32>,
    /// Passed probes in a row that make the check pass again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_after: Option<u32>,
}

/// Whom a check takes for the instance. What is `None` is the server's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckTls {
    /// Host name or address that the certificate must be for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Certificates, in PEM, of the only authorities that may have issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// Name of a profile in the server's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Whether any certificate will do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

impl Check {
    /// An `http` check of `path` on the default port.
    pub fn http(path: impl Into<String>) -> Self {
        Self {
            path: Some(path.into()),
            ..Self::of("http", CheckKind::Http)
        }
    }

    /// An `https` check of `path` on the default port, by the authorities that the server trusts.
    pub fn https(path: impl Into<String>) -> Self {
        Self {
            path: Some(path.into()),
            ..Self::of("https", CheckKind::Https)
        }
    }

    /// A `grpc` check of the default port without TLS: of a service, or of the server as a whole.
    pub fn grpc(service: Option<String>) -> Self {
        Self {
            service,
            ..Self::of("grpc", CheckKind::Grpc)
        }
    }

    /// Sets the TLS of an `https` or `grpc` check.
    #[must_use]
    pub fn with_tls(mut self, tls: CheckTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// A `tcp` check of the default port.
    pub fn tcp() -> Self {
        Self::of("tcp", CheckKind::Tcp)
    }

    fn of(id: &str, kind: CheckKind) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            ..Self::default()
        }
    }
}

impl FromStr for Check {
    type Err = String;

    /// Reads the short form: `http`, `http:/PATH`, `https`, `https:/PATH`, `grpc`, `grpc:SERVICE`, `grpcs`,
    /// `grpcs:SERVICE` (with TLS) or `tcp`. The path is `/health` where none is said.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        let is_path = rest.is_none_or(|path| path.starts_with('/'));
        let is_name = rest.is_none_or(|name| !name.is_empty());
        let path = rest.unwrap_or("/health");
        match kind {
            "http" if is_path => Ok(Self::http(path)),
            "https" if is_path => Ok(Self::https(path)),
            "grpc" if is_name => Ok(Self::grpc(rest.map(str::to_owned))),
            "grpcs" if is_name => {
                Ok(Self::grpc(rest.map(str::to_owned)).with_tls(CheckTls::default()))
            }
            "tcp" if rest.is_none() => Ok(Self::tcp()),
            _ => Err("http:/PATH, https:/PATH, grpc:SERVICE, grpcs:SERVICE, tcp".to_owned()),
        }
    }
}

impl CheckTls {
    /// Sets one of its fields: `insecure`, `server-name=NAME`, `profile=NAME`, or `ca=FILE`, which is read here and now.
    ///
    /// # Errors
    /// What was expected, or why the file cannot be read.
    pub fn set(&mut self, setting: &str) -> Result<(), String> {
        match setting.split_once('=') {
            None if setting == "insecure" => self.insecure = true,
            Some(("server-name", name)) => self.server_name = Some(name.to_owned()),
            Some(("profile", name)) => self.profile = Some(name.to_owned()),
            Some(("ca", file)) => {
                let unreadable = |error: std::io::Error| format!("cannot read {file}: {error}");
                let opened = std::fs::File::open(file).map_err(unreadable)?;
                let mut pem = String::new();
                let mut bounded = opened.take(CA_FILE_BYTES_MAX + 1);
                bounded.read_to_string(&mut pem).map_err(unreadable)?;
                if pem.len() as u64 > CA_FILE_BYTES_MAX {
                    return Err(format!("{file} is longer than {CA_FILE_BYTES_MAX} bytes"));
                }
                self.ca_pem = Some(pem);
            }
            _ => {
                return Err(
                    "expected insecure, server-name=NAME, ca=FILE or profile=NAME".to_owned(),
                );
            }
        }
        Ok(())
    }

    /// Sets them one after the other.
    ///
    /// # Errors
    /// As [`CheckTls::set`].
    pub fn of<S: AsRef<str>>(settings: &[S]) -> Result<Self, String> {
        let mut tls = Self::default();
        settings
            .iter()
            .try_for_each(|setting| tls.set(setting.as_ref()))?;
        Ok(tls)
    }
}

/// Writes whole seconds as an integer: `5`, not `5.0`, which a reader of integers would refuse.
fn seconds<S: Serializer>(seconds: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match *seconds {
        Some(seconds)
            if seconds.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&seconds) =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole and in range"
            )]
            let whole = seconds as u32;
            serializer.serialize_u32(whole)
        }
        seconds => seconds.serialize(serializer),
    }
}
