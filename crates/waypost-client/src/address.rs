//! The address of a server, checked once when the client is built.

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use crate::ClientError;

#[cfg(test)]
mod tests;

/// An `http` or `https` origin with an optional path in front of every call, for servers behind a proxy.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
}

impl Address {
    /// Reads `http://host[:port][/prefix]` or the same with `https`; `host:port` alone is read as `http`.
    pub(crate) fn parse(given: &str) -> Result<Self, ClientError> {
        let given = given.trim();
        let full = if given.contains("://") {
            given.to_owned()
        } else {
            format!("http://{given}")
        };
        // A password must not be repeated in an error, so this comes before any message quotes the text.
        if authority_of(&full).contains('@') {
            return Err(ClientError::usage(
                "the server's address must not contain a user or password; give a token instead",
            ));
        }
        let refuse = |rule: &str| {
            ClientError::usage(format!(
                "the server's address {given:?} is not usable: {rule}"
            ))
        };
        let uri: Uri = full
            .parse()
            .map_err(|_| refuse("expected http://host:port"))?;
        let parts = uri.into_parts();
        let scheme = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => scheme,
            _ => return Err(refuse("the scheme must be http or https")),
        };
        let authority = parts.authority.ok_or_else(|| refuse("it has no host"))?;
        if authority.host().is_empty() {
            return Err(refuse("it has no host"));
        }
        let names_port = authority.as_str() != authority.host();
        if names_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(refuse("the port must be 1 to 65535"));
        }
        let path = parts
            .path_and_query
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err(refuse("it must not contain a query"));
        }
        let prefix = path.path().trim_end_matches('/').to_owned();
        Ok(Self {
            scheme,
            authority,
            prefix,
        })
    }

    /// Says whether TLS is spoken.
    pub(crate) fn is_secured(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Joins the address with a path that starts with `/` and is already percent-encoded.
    pub(crate) fn join(&self, path_and_query: &str) -> Result<Uri, ClientError> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path_and_query}", self.prefix))
            .build()
            .map_err(|error| ClientError::usage(format!("the call has no valid URL: {error}")))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{}://{}{}",
            self.scheme, self.authority, self.prefix
        )
    }
}

fn authority_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}
