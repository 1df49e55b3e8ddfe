//! Where a server's DNS is asked.

use std::net::{IpAddr, SocketAddr};

use waypost_client::{Client, DnsServer};

use crate::Exit;
use crate::failure::Failure;

const DNS_PORT: u16 = 53;

/// Reads `ADDRESS` or `ADDRESS:PORT`.
pub(crate) fn dns_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<IpAddr>()
        .map(|ip| SocketAddr::new(ip, DNS_PORT))
        .map_err(|_| "expected an IP address with or without a port, such as 127.0.0.1:5300".into())
}

/// Chooses the address that is asked: a server on all addresses is asked at the one where its HTTP was reached.
pub(crate) async fn place_of(client: &Client, dns: &DnsServer) -> Result<SocketAddr, Failure> {
    let listed: Vec<SocketAddr> = dns
        .listen
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect();
    let first = listed.first().ok_or_else(|| {
        Failure::new(
            Exit::Failure,
            "this server answers no DNS (dns.listen is \"off\")",
        )
    })?;
    let wildcard = listed.iter().find(|address| address.ip().is_unspecified());
    let Some(wildcard) = wildcard else {
        return Ok(*first);
    };
    let url = client.url();
    let host = host_of(&url);
    let unknown = |why: String| {
        Failure::new(
            Exit::Failure,
            format!("the server answers DNS on all its addresses, and {host} is none: {why}"),
        )
        .with_hint("--dns ADDRESS:PORT names one")
    };
    let port = wildcard.port();
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| unknown(error.to_string()))?;
    let mut fitting = found.filter(|address| address.is_ipv4() || wildcard.is_ipv6());
    fitting
        .next()
        .ok_or_else(|| unknown("it has no address of that family".to_owned()))
}

/// Returns the host of `http://host:port/prefix`, without the brackets of an IPv6 address.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    if let Some(inner) = authority.strip_prefix('[') {
        return inner.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_the_port_out() {
        let at = |text: &str| dns_address(text).map(|address| address.to_string());
        assert_eq!(at("127.0.0.1:5300").unwrap(), "127.0.0.1:5300");
        assert_eq!(at("127.0.0.1").unwrap(), "127.0.0.1:53");
        assert_eq!(at("::1").unwrap(), "[::1]:53");
        assert_eq!(at("[::1]").unwrap(), "[::1]:53");
        assert_eq!(at("[::1]:5300").unwrap(), "[::1]:5300");
        assert!(at("localhost").is_err());
    }

    #[test]
    fn the_host_of_a_url_is_found_without_port_prefix_and_brackets() {
        assert_eq!(host_of("http://127.0.0.1:3004"), "127.0.0.1");
        assert_eq!(host_of("http://[::1]:3004/prefix"), "::1");
        assert_eq!(host_of("http://registry/prefix"), "registry");
    }
}
