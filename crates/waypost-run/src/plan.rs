//! What is to be run, whether the command line or a file says so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use waypost_client::{Check, CheckKind, CheckTls, Registration};

/// How long a command may take to pass its check for the first time.
pub(crate) const STARTUP: Duration = Duration::from_secs(60);
/// How long a command may take to end once it was asked to.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// Seconds after the last heartbeat at which an instance leaves.
pub(crate) const LEASE_SECONDS: u64 = 30;
/// Most replicas of one service.
pub(crate) const REPLICAS_MAX: u32 = 256;

/// Whether a command that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Restart {
    /// It is not.
    #[default]
    No,
    /// When it ended with another code than 0, or by a signal.
    OnFailure,
    /// However it ended.
    Always,
}

/// How the registry finds out whether a command works.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CheckChoice {
    /// By asking it.
    Check(Box<Check>),
    /// By its heartbeats alone.
    None,
}

/// Which port a command gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortChoice {
    /// One that is free.
    Auto,
    /// This one.
    Fixed(u16),
}

/// Where a command can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AddressChoice {
    /// The address that this machine speaks to the registry with.
    Auto,
    /// These, one for each replica in turn.
    Listed(Vec<String>),
}

/// One service that is to be run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) replicas: u32,
    pub(crate) id: Option<String>,
    pub(crate) port: PortChoice,
    pub(crate) addresses: AddressChoice,
    pub(crate) check: CheckChoice,
    pub(crate) tags: Vec<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) weight: Option<u32>,
    pub(crate) lease_seconds: u64,
    /// How long to wait between leaving the rotation and stopping; without it as long as resolvers may remember.
    pub(crate) drain: Option<Duration>,
    pub(crate) grace: Duration,
    /// Zero waits for ever.
    pub(crate) startup: Duration,
    pub(crate) restart: Restart,
    /// Whether it is registered at all.
    pub(crate) registers: bool,
    pub(crate) depends_on: Vec<String>,
}

impl Plan {
    /// Says what its replica at `address` and `port` registers.
    pub(crate) fn registration(&self, address: &str, port: u16) -> Registration {
        Registration {
            attributes: self.attributes.clone(),
            tags: self.tags.clone(),
            weight: self.weight,
            checks: match &self.check {
                CheckChoice::Check(check) => vec![Check::clone(check)],
                CheckChoice::None => Vec::new(),
            },
            lease_seconds: Some(self.lease_seconds),
            ..Registration::at(address, port)
        }
    }

    /// Checks the rules between fields; the error names the field and the rule.
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.command.is_empty() {
            return Err("command: must name a program".to_owned());
        }
        if !(1..=REPLICAS_MAX).contains(&self.replicas) {
            return Err(format!(
                "replicas: {} must be 1 to {REPLICAS_MAX}",
                self.replicas
            ));
        }
        if self.id.is_some() && self.replicas > 1 {
            return Err("id: several replicas need an id each; leave it out".to_owned());
        }
        let listed = match &self.addresses {
            AddressChoice::Auto => 1,
            AddressChoice::Listed(list) => u32::try_from(list.len()).unwrap_or(u32::MAX),
        };
        if let PortChoice::Fixed(port) = self.port
            && self.replicas > listed
        {
            return Err(format!(
                "replicas: {} processes cannot share port {port} on {listed} addresses; list an address for each, or \
                 let a port be chosen (auto)",
                self.replicas
            ));
        }
        Ok(())
    }
}

/// Reads the short form of a check, or `none`.
pub(crate) fn read_check(text: &str) -> Result<CheckChoice, String> {
    if text == "none" {
        return Ok(CheckChoice::None);
    }
    match text.parse() {
        Ok(check) => Ok(CheckChoice::Check(Box::new(check))),
        Err(forms) => Err(format!("must be {forms} or none")),
    }
}

/// Sets what was said of the check's TLS.
pub(crate) fn with_tls(check: CheckChoice, settings: &[String]) -> Result<CheckChoice, String> {
    if settings.is_empty() {
        return Ok(check);
    }
    match check {
        CheckChoice::Check(check) if check.kind == CheckKind::Https || check.tls.is_some() => {
            let tls = CheckTls::of(settings)?;
            Ok(CheckChoice::Check(Box::new(check.with_tls(tls))))
        }
        _ => Err("is for checks of https:/PATH or grpcs:SERVICE".to_owned()),
    }
}

/// Sets how often the check is made.
pub(crate) fn with_interval(check: CheckChoice, interval: Option<Duration>) -> CheckChoice {
    match (check, interval) {
        (CheckChoice::Check(mut check), Some(interval)) => {
            let seconds = interval.as_secs_f64().round().max(1.0);
            check.interval_seconds = Some(seconds);
            check.unhealthy_interval_seconds = Some(seconds.min(5.0));
            CheckChoice::Check(check)
        }
        (check, _) => check,
    }
}

/// Reads `auto` or a port.
pub(crate) fn read_port(text: &str) -> Result<PortChoice, String> {
    if text == "auto" {
        return Ok(PortChoice::Auto);
    }
    match text.parse() {
        Ok(port) if port > 0 => Ok(PortChoice::Fixed(port)),
        _ => Err("must be auto or a port from 1 to 65535".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_and_ports_are_read() {
        let CheckChoice::Check(check) = read_check("http:/health/ready").unwrap() else {
            panic!("no check");
        };
        assert_eq!(check.path.as_deref(), Some("/health/ready"));
        assert_eq!(read_check("none").unwrap(), CheckChoice::None);
        let settings = ["insecure".to_owned()];
        let CheckChoice::Check(check) =
            with_tls(read_check("https:/x").unwrap(), &settings).unwrap()
        else {
            panic!("no check");
        };
        assert!(check.tls.unwrap().insecure);
        for without in ["http:/x", "grpc:a", "tcp", "none"] {
            assert!(
                with_tls(read_check(without).unwrap(), &settings).is_err(),
                "{without}"
            );
        }
        for bad in ["", "https:x", "http:x", "tcp:1", "grpc:", "udp"] {
            assert!(read_check(bad).is_err(), "{bad}");
        }
        assert_eq!(read_port("auto").unwrap(), PortChoice::Auto);
        assert_eq!(read_port("80").unwrap(), PortChoice::Fixed(80));
        assert!(read_port("0").is_err() && read_port("65536").is_err());
    }
}
