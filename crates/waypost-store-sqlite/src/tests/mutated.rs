//! Stored rows that were good once: what is still read is read the same after it was written again.

use waypost_core::{Encoded, FORMAT, Health, Mode, Object, decode, encode};
use waypost_testkit::{document, mode, mutations, namespace, registration, service, verdict};

const WORDS: [&str; 14] = [
    r#""id":"#,
    r#""name":"#,
    r#""of":"#,
    r#""is":"#,
    r#""extra":"#,
    r#""since":"#,
    r#""checks":"#,
    r#""Healthy""#,
    "svc.internal",
    "/",
    ",",
    ":",
    r#"{"a":1}"#,
    "\n",
];

fn samples() -> [Object; 6] {
    [
        namespace("svc.internal"),
        service("web"),
        registration("web", "a", 7),
        verdict("web", "a", Health::Unhealthy),
        mode("web", "a", Mode::Draining),
        document("key", b"some bytes\nin lines", None),
    ]
}

#[test]
fn a_row_is_refused_or_read_as_what_is_written_again() {
    let rows = samples().map(|object| {
        let Encoded { format, bytes } = encode(&object).unwrap();
        assert_eq!(format, FORMAT);
        (object.key().kind(), bytes)
    });
    let corpus: Vec<&[u8]> = rows.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    // A row is tried as every kind, of this version and of a newer one whose members are kept.
    mutations(&corpus, &WORDS, |input| {
        let mut is_read = false;
        for (kind, _) in &rows {
            for format in [FORMAT, FORMAT + 1] {
                is_read |= is_read_again(kind, format, input);
            }
        }
        is_read
    });
}

fn is_read_again(kind: &str, format: u32, input: &[u8]) -> bool {
    let Ok(object) = decode(kind, format, input) else {
        return false;
    };
    let written = encode(&object).unwrap();
    assert!(written.bytes.len() <= 8 * input.len() + 4_096);
    let again = decode(kind, written.format, &written.bytes).unwrap();
    assert_eq!(again, object);
    assert_eq!(encode(&again).unwrap(), written);
    assert_eq!(again.key().kind(), kind);
    true
}
