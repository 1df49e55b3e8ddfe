//! Request ids: taken from the client when sane, made cheaply otherwise.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most characters an id from a client may have.
const LENGTH_MAX: usize = 64;

/// Makes ids from a random prefix of the process and a counter: unique without asking the system
/// for random bytes per request.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: u64,
    made: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        // The hasher's keys come from the system's random source; it is the only one in std.
        let prefix = RandomState::new().build_hasher().finish();
        Self {
            prefix,
            made: AtomicU64::new(0),
        }
    }

    /// The client's `X-Request-Id` when it is at most 64 visible ASCII characters, else a new id.
    pub(crate) fn for_request(&self, headers: &HeaderMap) -> HeaderValue {
        match headers.get(X_REQUEST_ID) {
            Some(given) if is_sane(given.as_bytes()) => given.clone(),
            _ => self.make(),
        }
    }

    fn make(&self) -> HeaderValue {
        let mut text = [b'-'; 25];
        let (prefix, counter) = text.split_at_mut(12);
        write_hex(prefix, self.prefix);
        if let Some(digits) = counter.get_mut(1..) {
            write_hex(digits, self.made.fetch_add(1, Relaxed));
        }
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("unknown"))
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=LENGTH_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

/// Writes the low digits of `value`, as many as `digits` holds.
fn write_hex(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = match (value & 0xf) as u8 {
            nibble @ 0..=9 => b'0' + nibble,
            nibble => b'a' + nibble - 10,
        };
        value >>= 4;
    }
}
