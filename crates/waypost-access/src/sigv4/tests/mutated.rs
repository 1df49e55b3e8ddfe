//! Signed requests that were good once: whatever is changed in them, they are refused, unless it is not signed or means
//! the same.

use waypost_testkit::mutations;

use super::super::canonical::{canonical_path, canonical_query};
use super::*;

const WORDS: [&str; 16] = [
    "AWS4-HMAC-SHA256 ",
    "Credential=",
    "SignedHeaders=",
    "Signature=",
    ", ",
    "/",
    ";",
    "host",
    "aws4_request",
    "servicediscovery",
    "20150830",
    "%2F",
    "%2e%2e",
    "..",
    "&",
    "=",
];

#[test]
fn an_authorization_header_is_read_or_refused_and_no_other_one_holds() {
    let good = signed();
    let claim = Claim::read(&good.headers).unwrap();
    let key = secret();
    let mut held = 0;
    mutations(&[good.authorization().as_bytes()], &WORDS, |input| {
        let Ok(value) = HeaderValue::from_bytes(input) else {
            return false;
        };
        let mut sent = good.clone();
        sent.headers.insert("authorization", value);
        let Ok(read) = Claim::read(&sent.headers) else {
            return false;
        };
        // As the caller does: another key has another secret.
        let known = Some(&key).filter(|_| read.key_id == claim.key_id);
        if sent.check(SERVICE, known, THEN).is_ok() {
            held += 1;
            // Spaces between the parts and parts that nobody knows are not signed.
            assert_eq!(read, claim);
        }
        true
    });
    assert!(held > 100, "the good one is among them: {held}");
}

#[test]
fn the_canonical_form_of_a_path_leads_nowhere_else() {
    let corpus: [&[u8]; 4] = [b"/some/path", b"/a/../b//c/./", b"/%2e%2e/a%20b", b"/"];
    mutations(&corpus, &WORDS, |input| {
        let Ok(path) = std::str::from_utf8(input) else {
            return false;
        };
        let written = canonical_path(path);
        assert!(written.starts_with('/') && written.is_ascii());
        assert!(!written.contains("//") && !written.split('/').any(|part| part == ".."));
        assert!(written.len() <= 3 * path.len() + 2);
        true
    });
}

#[test]
fn the_canonical_form_of_a_query_is_the_same_when_it_is_written_again() {
    let corpus: [&[u8]; 3] = [b"b=2&a=1%2F", b"a=%20&a=+&=x", b""];
    mutations(&corpus, &WORDS, |input| {
        let Ok(query) = std::str::from_utf8(input) else {
            return false;
        };
        let written = canonical_query(query);
        let pairs = query.split('&').count();
        assert!(written.is_ascii() && written.len() <= 3 * query.len() + pairs);
        assert_eq!(canonical_query(&written), written);
        true
    });
}

/// Changes path, query and body, and not what was signed.
#[test]
fn no_changed_request_holds() {
    let good = signed();
    let key = secret();
    let meant = |sent: &Sent| {
        let path = canonical_path(&sent.path);
        (path, canonical_query(&sent.query), sent.body.clone())
    };
    let body = String::from_utf8(good.body.clone()).unwrap();
    let parts = format!("{}\n{}\n{body}", good.path, good.query);
    mutations(&[parts.as_bytes()], &WORDS, |input| {
        let mut lines = input.splitn(3, |byte| *byte == b'\n');
        let mut next = || lines.next().map(<[u8]>::to_vec);
        let (Some(path), Some(query), Some(body)) = (next(), next(), next()) else {
            return false;
        };
        let (Ok(path), Ok(query)) = (String::from_utf8(path), String::from_utf8(query)) else {
            return false;
        };
        let mut sent = good.clone();
        (sent.path, sent.query, sent.body) = (path, query, body);
        let holds = sent.check(SERVICE, Some(&key), THEN).is_ok();
        assert_eq!(holds, meant(&sent) == meant(&good));
        holds
    });
}
