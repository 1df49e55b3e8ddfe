//! What a request shows of whoever sent it.

use std::net::IpAddr;

/// What a request shows of its sender.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The token of `Authorization: Bearer`.
    pub bearer: Option<&'a str>,
    /// The names in the client certificate that its connection was made with, its fingerprint among them; none without.
    pub certificate: &'a [Box<str>],
    /// The address it came from.
    pub peer: IpAddr,
}

impl Caller<'_> {
    /// Makes a caller that shows nothing but its address.
    pub fn nobody(peer: IpAddr) -> Self {
        Self {
            bearer: None,
            certificate: &[],
            peer,
        }
    }
}
