use super::*;

fn read(bytes: &'static [u8]) -> Result<Option<Bytes>, String> {
    let progress = Progress::new("127.0.0.1:1".parse().unwrap());
    message(Bytes::from_static(bytes), &progress).map_err(|error| error.to_string())
}

#[test]
fn a_message_has_the_length_that_it_says_and_is_not_compressed() {
    assert_eq!(read(b""), Ok(None));
    assert_eq!(read(b"\0\0\0\0\0"), Ok(Some(Bytes::new())));
    assert_eq!(read(b"\0\0\0\0\x02ab"), Ok(Some(Bytes::from_static(b"ab"))));
    for (bytes, reason) in [
        (&b"\0\0\0"[..], "its message is cut"),
        (
            b"\x01\0\0\0\x02ab",
            "its message is compressed, which nobody asked for",
        ),
        (
            b"\0\0\0\0\x03ab",
            "its message has another length than it says",
        ),
        (
            b"\0\0\0\0\x01ab",
            "its message has another length than it says",
        ),
        (
            b"\0\xff\xff\xff\xffab",
            "its message has another length than it says",
        ),
    ] {
        let expected = format!("127.0.0.1:1 did not answer in HTTP: {reason}");
        assert_eq!(read(bytes), Err(expected), "{bytes:?}");
    }
}
