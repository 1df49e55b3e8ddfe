//! What a command finds in its environment.

use std::collections::BTreeMap;

use waypost_client::Client;

use crate::Launch;
use crate::place::Place;

/// How long the registry is asked for the services it knows.
const ASK: std::time::Duration = std::time::Duration::from_secs(2);

/// The variables that every command gets, whatever its place.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    variables: BTreeMap<String, String>,
}

impl Shared {
    /// Collects them: the namespace, the registry, the token, and a host for every service that is known or planned.
    pub(crate) async fn collect(client: &Client, launch: &Launch, planned: &[String]) -> Self {
        let namespace = client.namespace();
        let mut variables = BTreeMap::new();
        let listing = tokio::time::timeout(ASK, client.services()).await;
        let known = match listing {
            Ok(Ok(services)) => services.into_iter().map(|service| service.name).collect(),
            // A registry that is away, or does not know the namespace yet, knows of no service.
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        for name in known.iter().chain(planned) {
            variables.insert(host_variable(name), format!("{name}.{namespace}"));
        }
        variables.insert("SERVICE_NAMESPACE".to_owned(), namespace.to_owned());
        variables.insert("SERVICE_DISCOVERY_URL".to_owned(), client.url());
        if let Some(token) = &launch.token {
            for name in ["WAYPOST_TOKEN", "SERVICE_DISCOVERY_SECRET"] {
                variables.insert(name.to_owned(), token.reveal().to_owned());
            }
        }
        // What the user has set is meant; children inherit it.
        variables.retain(|name, _| !launch.variables.contains(name));
        Self { variables }
    }

    /// Returns the variables of one command: a file's own win, but for the port, which is where it is registered.
    pub(crate) fn of(
        &self,
        own: &BTreeMap<String, String>,
        place: &Place,
    ) -> BTreeMap<String, String> {
        let mut variables = self.variables.clone();
        let filled = own
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        variables.extend(filled);
        variables.insert("PORT".to_owned(), place.port.to_string());
        variables
    }
}

/// Names the variable with a service's host: `user-api` is `USER_API_SERVICE_HOST`.
fn host_variable(service: &str) -> String {
    let letters = service.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    });
    let mut name: String = letters.collect();
    name.push_str("_SERVICE_HOST");
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_services_host_is_named_as_source_000_does() {
        assert_eq!(host_variable("worker"), "WORKER_SERVICE_HOST");
        assert_eq!(host_variable("user-api.v2"), "USER_API_V2_SERVICE_HOST");
    }
}
