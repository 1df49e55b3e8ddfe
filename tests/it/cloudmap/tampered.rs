//! What can be changed of a signed request, and what each change must get.

use super::attacker::Request;
use crate::connection::Answer;

const TARGET_PREFIX: &str = "Route53AutoNaming_v20170314.";
const INVALID: Expected = Expected::Code("InvalidSignatureException");
const INCOMPLETE: Expected = Expected::Code("IncompleteSignatureException");
const MISSING: Expected = Expected::Code("MissingAuthenticationTokenException");
const UNRECOGNIZED: Expected = Expected::Code("UnrecognizedClientException");
const UNKNOWN_OPERATION: Expected = Expected::Code("UnknownOperationException");

/// How a change must be refused.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// By AWS's code, in header and body.
    Code(&'static str),
    /// By HTTP itself, before anybody looks at signatures.
    Status(u16),
}

impl Expected {
    pub(super) fn is_met(self, answer: &Answer) -> bool {
        match self {
            Self::Status(status) => answer.status == status,
            // The code stands in clear in both encodings.
            Self::Code(code) => {
                answer.status == 400
                    && answer.header("x-amzn-errortype") == Some(code)
                    && answer.text().contains(code)
            }
        }
    }
}

/// A request of which one part is changed.
#[derive(Debug)]
pub(super) struct Tampered {
    pub(super) part: String,
    pub(super) request: Request,
    pub(super) expected: Expected,
}

/// Gives the name of the operation.
pub(super) fn operation_of(request: &Request) -> &str {
    let target = request.header("x-amz-target");
    let path = std::str::from_utf8(&request.target).unwrap_or_default();
    match target {
        Some(target) => target.strip_prefix(TARGET_PREFIX).unwrap_or(target),
        None => path.rsplit('/').next().unwrap_or(path),
    }
}

fn flip(bytes: &mut [u8], at: usize) {
    bytes[at] ^= 1;
}

fn flip_last(bytes: &mut [u8]) {
    flip(bytes, bytes.len() - 1);
}

/// Gives the names that the signature covers.
fn signed_headers(request: &Request) -> Vec<String> {
    let authorization = request.header("authorization").unwrap_or_default();
    let list = authorization.split("SignedHeaders=").nth(1);
    let list = list.and_then(|rest| rest.split(',').next());
    let names = list.unwrap_or_default().split(';');
    names.map(str::to_owned).collect()
}

/// Gathers changed copies of a request.
struct Copies<'a> {
    of: &'a Request,
    copies: Vec<Tampered>,
}

impl Copies<'_> {
    fn add(&mut self, part: &str, expected: Expected, change: impl FnOnce(&mut Request)) {
        let mut request = self.of.clone();
        change(&mut request);
        self.copies.push(Tampered {
            part: part.to_owned(),
            request,
            expected,
        });
    }

    fn add_header(
        &mut self,
        (part, name): (&str, &str),
        expected: Expected,
        change: impl FnOnce(&mut Vec<u8>),
    ) {
        self.add(part, expected, |request| {
            let mut headers = request.headers.iter_mut();
            let (_, value) = headers.find(|(known, _)| known == name).unwrap();
            change(value);
        });
    }

    /// Changes a text in the Authorization header.
    fn add_authorization(&mut self, part: &str, expected: Expected, from: &str, to: &str) {
        self.add_header((part, "authorization"), expected, |value| {
            let text = String::from_utf8(value.clone()).unwrap();
            assert!(text.contains(from), "no {from} in {text}");
            *value = text.replacen(from, to, 1).into_bytes();
        });
    }

    /// Changes one bit of a text in the Authorization header: the last one of it.
    fn add_bit_of_authorization(&mut self, part: &str, expected: Expected, text: &str) {
        let mut other = text.as_bytes().to_vec();
        flip_last(&mut other);
        let other = String::from_utf8(other).unwrap();
        self.add_authorization(part, expected, text, &other);
    }
}

/// Changes each part once: mostly by one bit, and where a bit leads nowhere, to what leads somewhere else.
pub(super) fn tampered(request: &Request) -> Vec<Tampered> {
    let mut copies = Copies {
        of: request,
        copies: Vec::new(),
    };
    let is_json = request.header("x-amz-target").is_some();
    // No other method and no other path than the API's own have a route.
    copies.add("method", Expected::Status(405), |request| {
        flip(&mut request.method, 0);
    });
    let other_path = if is_json {
        Expected::Status(404)
    } else {
        UNKNOWN_OPERATION
    };
    copies.add("path", other_path, |request| match is_json {
        // Any bit of `/` makes what is no path.
        true => request.target.push(b'a'),
        false => flip_last(&mut request.target),
    });
    copies.add("query", INVALID, |request| request.target.extend(b"?a=b"));
    add_other_operation(&mut copies);
    copies.add("body", INVALID, |request| {
        let middle = request.body.len() / 2;
        flip(&mut request.body, middle);
    });
    copies.add("header that is not signed", INVALID, |request| {
        request
            .headers
            .push(("x-amz-meta".to_owned(), b"1".to_vec()));
    });
    for name in signed_headers(request) {
        add_signed_header(&mut copies, &name);
    }
    add_authorization_parts(&mut copies);
    copies.copies
}

/// Asks for another operation with the same signature.
fn add_other_operation(copies: &mut Copies<'_>) {
    let operation = operation_of(copies.of).to_owned();
    let other = match operation.as_str() {
        "ListNamespaces" => "ListServices",
        _ => "ListNamespaces",
    };
    if copies.of.header("x-amz-target").is_some() {
        let target = format!("{TARGET_PREFIX}{other}");
        let of = ("operation", "x-amz-target");
        copies.add_header(of, INVALID, |value| *value = target.into_bytes());
    } else {
        copies.add("operation", INVALID, |request| {
            let kept = request.target.len() - operation.len();
            request.target.truncate(kept);
            request.target.extend(other.as_bytes());
        });
    }
}

fn add_signed_header(copies: &mut Copies<'_>, name: &str) {
    let part = format!("header {name}");
    let of = (part.as_str(), name);
    match name {
        "x-amz-date" => {
            // A second, and a thousand years: every day is one in those, too.
            copies.add_header(of, INVALID, |value| flip(value, 14));
            copies.add_header(("date", name), INVALID, |value| flip(value, 0));
        }
        "x-amz-target" => copies.add_header(of, UNKNOWN_OPERATION, |value| flip_last(value)),
        "x-amz-security-token" => copies.add_header(of, UNRECOGNIZED, |value| flip_last(value)),
        // The body gets the length that is said.
        "content-length" => copies.add(&part, INVALID, |request| {
            let mut headers = request.headers.iter_mut();
            let (_, value) = headers.find(|(known, _)| known == name).unwrap();
            flip_last(value);
            let length = std::str::from_utf8(value).unwrap().parse().unwrap();
            request.body.resize(length, b' ');
        }),
        _ => copies.add_header(of, INVALID, |value| flip_last(value)),
    }
}

/// Changes what the Authorization header says, and takes it away.
fn add_authorization_parts(copies: &mut Copies<'_>) {
    let authorization = copies.of.header("authorization").unwrap().to_owned();
    let part = |name: &str| -> String {
        let rest = authorization.split(&format!("{name}=")).nth(1).unwrap();
        format!("{name}={}", rest.split(',').next().unwrap())
    };
    let (credential, signed, signature) =
        (part("Credential"), part("SignedHeaders"), part("Signature"));
    let scope: Vec<&str> = credential.split('/').collect();
    let [key, day, region, service, terminator] = scope[..] else {
        panic!("{credential} has no scope");
    };
    copies.add_bit_of_authorization("key", UNRECOGNIZED, key);
    copies.add_bit_of_authorization("scope's date", INVALID, &format!("/{day}"));
    copies.add_bit_of_authorization("scope's region", INVALID, &format!("/{region}"));
    copies.add_bit_of_authorization("scope's service", INVALID, &format!("/{service}"));
    copies.add_bit_of_authorization("scope's terminator", INCOMPLETE, &format!("/{terminator}"));
    copies.add_bit_of_authorization("list of signed headers", INVALID, &signed);
    copies.add_bit_of_authorization("signature", INVALID, &signature);
    copies.add_bit_of_authorization("algorithm", MISSING, "AWS4-HMAC-SHA256");
    for (name, whole) in [
        ("no credential", &credential),
        ("no list of signed headers", &signed),
        ("no signature", &signature),
    ] {
        copies.add_authorization(name, INCOMPLETE, whole, "Other=1");
    }
    copies.add("no authorization", MISSING, |request| {
        request.headers.retain(|(name, _)| name != "authorization");
    });
}

/// Changes every bit of what is signed and of the signature, one at a time, and says which.
pub(super) fn every_bit(request: &Request) -> Vec<(String, Request)> {
    let mut copies = Vec::new();
    let mut add = |part: &str, bytes: fn(&mut Request, usize) -> &mut Vec<u8>, index: usize| {
        let length = bytes(&mut request.clone(), index).len();
        for at in 0..length {
            for bit in 0..8 {
                let mut copy = request.clone();
                bytes(&mut copy, index)[at] ^= 1 << bit;
                copies.push((format!("bit {bit} of byte {at} of {part}"), copy));
            }
        }
    };
    add("the method", |request, _| &mut request.method, 0);
    add("the body", |request, _| &mut request.body, 0);
    let signed = signed_headers(request);
    for (index, (name, _)) in request.headers.iter().enumerate() {
        if name == "authorization" || signed.contains(name) {
            add(name, |request, index| &mut request.headers[index].1, index);
        }
    }
    copies
}
