//! A file of services: a whole stack.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::length::Length;
use crate::plan::{
    AddressChoice, CheckChoice, GRACE, LEASE_SECONDS, Plan, PortChoice, Restart, STARTUP,
    read_check, read_port, with_interval, with_tls,
};

#[cfg(test)]
mod tests;

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a file says.
#[derive(Debug, PartialEq)]
pub(crate) struct Stack {
    pub(crate) namespace: Option<String>,
    /// In an order in which they can be started.
    pub(crate) plans: Vec<Plan>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    namespace: Option<String>,
    #[serde(default)]
    services: BTreeMap<String, Service>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    command: Vec<String>,
    directory: Option<PathBuf>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default = "one")]
    replicas: u32,
    id: Option<String>,
    port: Option<Port>,
    #[serde(default)]
    addresses: Vec<String>,
    check: Option<String>,
    #[serde(default)]
    check_tls: Vec<String>,
    check_interval: Option<Length>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    weight: Option<u32>,
    lease: Option<u64>,
    drain: Option<Length>,
    grace: Option<Length>,
    startup: Option<Length>,
    #[serde(default)]
    restart: Restart,
    #[serde(default = "yes")]
    register: bool,
    #[serde(default)]
    depends_on: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Port {
    Number(i64),
    Word(String),
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// Reads a file; the error has every fault with where it stands.
pub(crate) fn read(path: &Path) -> Result<Stack, String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| format!("{shown}: cannot be read: {error}");
    if std::fs::metadata(path).map_err(cannot)?.len() > FILE_BYTES_MAX {
        return Err(format!("{shown}: must have at most {FILE_BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    // A bare file name lies in the folder that is worked in.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    parse(&text, folder).map_err(|faults| {
        let lines = faults.iter().map(|fault| format!("{shown}: {fault}"));
        lines.collect::<Vec<_>>().join("\n")
    })
}

fn parse(text: &str, folder: &Path) -> Result<Stack, Vec<String>> {
    let file: File = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
    let mut faults = Vec::new();
    if file.services.is_empty() {
        faults.push("services: must have at least one, such as [services.web]".to_owned());
    }
    let names: BTreeSet<String> = file.services.keys().cloned().collect();
    let mut plans = Vec::new();
    for (name, service) in file.services {
        let unknown = service
            .depends_on
            .iter()
            .filter(|other| !names.contains(*other));
        faults.extend(unknown.map(|other| {
            format!("services.{name}.depends_on: {other:?} must be a service of this file")
        }));
        match plan(&name, service, folder) {
            Ok(plan) => plans.push(plan),
            Err(fault) => faults.push(format!("services.{name}.{fault}")),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Stack {
        namespace: file.namespace,
        plans: in_order(plans)?,
    })
}

fn plan(name: &str, service: Service, folder: &Path) -> Result<Plan, String> {
    let port = match service.port {
        None => PortChoice::Auto,
        Some(Port::Number(number)) => {
            read_port(&number.to_string()).map_err(|rule| format!("port: {number} {rule}"))?
        }
        Some(Port::Word(word)) => {
            read_port(&word).map_err(|rule| format!("port: {word:?} {rule}"))?
        }
    };
    let check = match &service.check {
        None => read_check("tcp"),
        Some(check) => read_check(check).map_err(|rule| format!("check: {check:?} {rule}")),
    }?;
    let check = with_tls(check, &service.check_tls).map_err(|rule| format!("check_tls: {rule}"))?;
    let check = if service.register {
        check
    } else {
        CheckChoice::None
    };
    let lease_seconds = service.lease.unwrap_or(LEASE_SECONDS);
    if !(1..=86_400).contains(&lease_seconds) {
        return Err(format!("lease: {lease_seconds} must be 1 to 86400"));
    }
    let addresses = match service.addresses.as_slice() {
        [] => AddressChoice::Listed(vec!["127.0.0.1".to_owned()]),
        [only] if only == "auto" => AddressChoice::Auto,
        _ => AddressChoice::Listed(service.addresses),
    };
    let length = |given: Option<Length>, default| given.map_or(default, |length| length.0);
    let plan = Plan {
        name: name.to_owned(),
        command: service.command,
        directory: Some(folder.join(service.directory.unwrap_or_default())),
        environment: service.environment,
        replicas: service.replicas,
        id: service.id,
        port,
        addresses,
        check: with_interval(check, service.check_interval.map(|length| length.0)),
        tags: service.tags,
        attributes: service.attributes,
        weight: service.weight,
        lease_seconds,
        drain: service.drain.map(|length| length.0),
        grace: length(service.grace, GRACE),
        startup: length(service.startup, STARTUP),
        restart: service.restart,
        registers: service.register,
        depends_on: service.depends_on,
    };
    plan.validate()?;
    Ok(plan)
}

/// Puts what others depend on before them.
fn in_order(mut waiting: Vec<Plan>) -> Result<Vec<Plan>, Vec<String>> {
    let mut ordered: Vec<Plan> = Vec::new();
    while !waiting.is_empty() {
        let is_free = |plan: &Plan| {
            let mut needs = plan.depends_on.iter();
            needs.all(|name| ordered.iter().any(|done| done.name == *name))
        };
        let Some(next) = waiting.iter().position(is_free) else {
            let names: Vec<&str> = waiting.iter().map(|plan| plan.name.as_str()).collect();
            return Err(vec![format!(
                "depends_on: {} depend on each other in a circle",
                names.join(", ")
            )]);
        };
        ordered.push(waiting.remove(next));
    }
    Ok(ordered)
}
