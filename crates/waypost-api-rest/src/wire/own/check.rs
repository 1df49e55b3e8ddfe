use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::wire::{number, object};

/// A check. Which fields it may have depends on its kind; what is not said has the default in brackets.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    /// Name of the check, unique in its service or instance.
    #[schema(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z_/:.@-]+$")]
    pub(crate) id: String,
    /// How it finds out.
    pub(crate) kind: CheckKindWord,
    /// http, https: path and query that are asked [`/health`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2_048, pattern = "^/[!\"$-~]*$")]
    pub(crate) path: Option<String>,
    /// http, https: method in capitals [`GET`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 16, pattern = "^[A-Z]+$")]
    pub(crate) method: Option<String>,
    /// http, https: further headers, at most 16.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(schema_with = crate::wire::schema::headers)]
    pub(crate) headers: BTreeMap<String, String>,
    /// http, https: statuses that pass, one or a range [`200-299`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^([1-5][0-9][0-9](-599)?|100-[1-5][0-9][0-9]|200-[2-5]99)$")]
    pub(crate) expected_status: Option<String>,
    /// https: whom the check takes for the instance [the host, by an authority that the server trusts].
    /// grpc: the same, and that TLS is spoken at all [it is not].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "object::optional"
    )]
    pub(crate) tls: Option<CheckTls>,
    /// grpc: the service that is asked about [the server as a whole].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 256, pattern = "^[!-~]+$")]
    pub(crate) service: Option<String>,
    /// http, https, grpc, tcp: name of the port that is asked [the first].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$")]
    pub(crate) port: Option<String>,
    /// heartbeat: seconds within which one has to come.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional_u32::<_, 1, { u32::MAX }>"
    )]
    #[schema(minimum = 1, maximum = 4_294_967_295_u32)]
    pub(crate) within_seconds: Option<u32>,
    /// http, https, grpc, tcp: seconds between probes [30].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional_u32::<_, 1, { u32::MAX }>"
    )]
    #[schema(minimum = 1, maximum = 4_294_967_295_u32)]
    pub(crate) interval_seconds: Option<u32>,
    /// http, https, grpc, tcp: seconds between probes from the first failure on [5].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional_u32::<_, 1, { u32::MAX }>"
    )]
    #[schema(minimum = 1, maximum = 4_294_967_295_u32)]
    pub(crate) unhealthy_interval_seconds: Option<u32>,
    /// http, https, grpc, tcp: seconds a probe may take, more than 0 and at most 60 [5].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, minimum = 0.001, maximum = 60)]
    pub(crate) timeout_seconds: Option<Seconds>,
    /// Failures in a row that make it fail [3].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional_count"
    )]
    #[schema(minimum = 1, maximum = 65_535)]
    pub(crate) unhealthy_after: Option<u16>,
    /// Passes in a row that make it pass again; the very first counts at once [2].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional_count"
    )]
    #[schema(minimum = 1, maximum = 65_535)]
    pub(crate) healthy_after: Option<u16>,
}

/// Whom a check takes for the instance, and as whom it comes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CheckTls {
    /// The host name or address that the certificate must be for, and that is asked for [the instance's own].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 254, pattern = "^[0-9A-Za-z_.:-]+$")]
    pub(crate) server_name: Option<String>,
    /// Certificates, in PEM, of the only authorities that may have issued it [those of the profile, then those that the
    /// server's machine trusts].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65_536)]
    pub(crate) ca_pem: Option<String>,
    /// The name of a profile in the server's configuration (`[health.tls_profiles.NAME]`), which has authorities, a
    /// client certificate, or both.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z_-]+$")]
    pub(crate) profile: Option<String>,
    /// Whether any certificate will do [false].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) insecure: bool,
}

/// How a check finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckKindWord {
    /// A URL of the instance is asked.
    Http,
    /// The same inside of TLS.
    Https,
    /// gRPC's own health service (`grpc.health.v1.Health/Check`) is asked.
    Grpc,
    /// A connection to a port of the instance is opened.
    Tcp,
    /// The instance has to be heard of within a time.
    Heartbeat,
    /// Somebody reports the result.
    Reported,
    /// Traffic is watched; it makes a warning at most.
    Observed,
}

impl<'de> Deserialize<'de> for CheckKindWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Kinds that are shown and cannot be sent are read too: their refusal says more than that they are unknown.
        match &*String::deserialize(deserializer)? {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            "grpc" => Ok(Self::Grpc),
            "tcp" => Ok(Self::Tcp),
            "heartbeat" => Ok(Self::Heartbeat),
            "reported" => Ok(Self::Reported),
            "observed" => Ok(Self::Observed),
            _ => Err(D::Error::custom(
                "must be one of `http`, `https`, `grpc`, `tcp`, `heartbeat` or `reported`",
            )),
        }
    }
}

/// Seconds with at most milliseconds; whole ones are written without a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds {
    pub(crate) milliseconds: u32,
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.milliseconds.is_multiple_of(1_000) {
            serializer.serialize_u32(self.milliseconds / 1_000)
        } else {
            serializer.serialize_f64(f64::from(self.milliseconds) / 1_000.0)
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds")
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Seconds, E> {
        if !(0.001..=86_400.0).contains(&seconds) {
            return Err(E::custom(
                "must be a number of seconds, more than 0 and at most 60",
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 86,400,000 and positive"
        )]
        let milliseconds = (seconds * 1_000.0).round() as u32;
        Ok(Seconds { milliseconds })
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Seconds, E> {
        self.visit_f64(f64::from(u32::try_from(seconds).unwrap_or(u32::MAX)))
    }

    fn visit_i64<E: Error>(self, _seconds: i64) -> Result<Seconds, E> {
        self.visit_f64(-1.0)
    }
}
