//! Outbound connections: every connection that Waypost opens on behalf of somebody else goes through here.
//!
//! The order is always the same: [`Resolver`] turns a host into addresses, [`AddressPolicy`] judges
//! each of them, the survivors are pinned ([`Pinned`]), and [`Dialer`] connects to a pinned address
//! and to nothing else. A name is never looked up a second time, so an answer that changes between
//! the judgement and the connection (DNS rebinding) has no effect. Redirects are answers, not
//! instructions. [`Limits`] says how many calls may be under way.
//!
//! A call is one HTTP/1.1 request ([`HttpCall`]) or one unary call of gRPC ([`UnaryCall`]), either
//! of them plain or inside of TLS ([`TlsClient`]).
//!
//! Not here: connection reuse, and what an answer means for somebody's health.

mod call;
mod config;
mod connect;
mod error;
mod limits;
mod policy;
mod progress;
mod resolve;
mod tls;
mod unary;

pub use call::{Answer, HttpCall, MAX_BODY_BYTES, MAX_HEAD_BYTES};
pub use config::DialConfig;
pub use connect::Dialer;
pub use error::{DialError, DialErrorKind, Stage};
pub use limits::{Full, Limits, Permit};
pub use policy::{AddressPolicy, Refused, Rule};
pub use resolve::{Pinned, Resolver};
pub use tls::{Alpn, Authorities, Identity, MaterialError, TlsClient, Trust};
pub use unary::{MAX_MESSAGE_BYTES, UnaryAnswer, UnaryCall};

#[cfg(test)]
mod testing;
