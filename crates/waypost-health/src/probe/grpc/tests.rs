use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn answer(status: Option<u32>, message: Option<&[u8]>) -> UnaryAnswer {
    UnaryAnswer {
        http_status: http::StatusCode::OK,
        content_type: Some("application/grpc".to_owned()),
        status,
        detail: String::new(),
        message: message.map(Bytes::copy_from_slice),
    }
}

#[test]
fn requests_are_what_protobuf_makes_of_them() {
    assert_eq!(request(""), b"");
    assert_eq!(request("a.B"), b"\x0a\x03a.B");
    let long = "x".repeat(256);
    assert_eq!(request(&long), [b"\x0a\x80\x02", long.as_bytes()].concat());
}

#[test]
fn statuses_are_found_among_fields_that_are_not_known() {
    assert_eq!(status(b""), Some(0));
    assert_eq!(status(b"\x08\x01"), Some(1));
    // A text, fixed 64 and 32 bits, and a number that is another field.
    let other = b"\x12\x02ab\x19\0\0\0\0\0\0\0\0\x25\0\0\0\0\x28\x07\x08\x02";
    assert_eq!(status(other), Some(2));
    for broken in [
        &b"\x08"[..],
        b"\x12\x09ab",
        b"\x0b",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ] {
        assert_eq!(status(broken), None, "{broken:?}");
    }
}

#[test]
fn only_serving_passes() {
    let serving = answer(Some(0), Some(b"\x08\x01"));
    assert_eq!(judge(None, &serving), Ok("gRPC health SERVING".to_owned()));
    for (answer, reason) in [
        (
            answer(Some(0), Some(b"\x08\x02")),
            "gRPC health NOT_SERVING",
        ),
        (
            answer(Some(0), Some(b"\x08\x03")),
            "gRPC health SERVICE_UNKNOWN",
        ),
        (answer(Some(0), Some(b"")), "gRPC health UNKNOWN"),
        (
            answer(Some(0), Some(b"\x08\x09")),
            "gRPC health 9, which is no status",
        ),
        (
            answer(Some(0), Some(b"\xff")),
            "the answer is no HealthCheckResponse",
        ),
        (
            answer(Some(0), None),
            "the answer has no message, although its gRPC status is OK",
        ),
        (
            answer(None, Some(b"\x08\x01")),
            "the answer ended without a gRPC status",
        ),
        (
            answer(Some(12), None),
            "the server has no grpc.health.v1.Health (gRPC UNIMPLEMENTED)",
        ),
        (
            answer(Some(5), None),
            "the server knows no health of a.B (gRPC NOT_FOUND)",
        ),
        (answer(Some(16), None), "gRPC status 16 (UNAUTHENTICATED)"),
        (
            answer(Some(99), None),
            "gRPC status 99 (no code that is known)",
        ),
    ] {
        assert_eq!(judge(Some("a.B"), &answer), Err(reason.to_owned()));
    }
}

proptest! {
    #[test]
    fn no_bytes_are_more_than_a_status_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = status(&bytes);
    }
}
