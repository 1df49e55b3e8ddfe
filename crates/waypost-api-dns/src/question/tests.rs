use super::*;

fn question(tail: &[u8], counts: [u8; 8]) -> Option<Question> {
    let mut message = b"\x12\x34\x01\x00".to_vec();
    message.extend(counts);
    message.extend(tail);
    match read(&message) {
        Message::Question(question) => Some(question),
        Message::Refused(code) => {
            assert_eq!(code, rcode::FORMAT_ERROR);
            None
        }
        Message::Silence => panic!("silence"),
    }
}

const ONE: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];
const WITH_OPT: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 1];

#[test]
fn a_question_without_edns_has_none() {
    let read = question(b"\x01A\x00\x00\x1c\x00\x01", ONE).unwrap();
    assert_eq!(read.name.wire(), b"\x01a\x00");
    assert_eq!((read.qtype, read.qclass, read.edns), (28, 1, None));
}

#[test]
fn edns_is_read_from_the_one_opt_of_the_root() {
    let opt = b"\x00\x00\x29\x04\xd0\x00\x01\x80\x00\x00\x04\x00\x0b\x00\x00";
    let tail = [&b"\x01a\x00\x00\x01\x00\x01"[..], opt].concat();
    let edns = question(&tail, WITH_OPT).unwrap().edns.unwrap();
    let expected = Edns {
        payload: 1_232,
        version: 1,
        dnssec_ok: true,
        keepalive: true,
    };
    assert_eq!(edns, expected);
    let twice = [&tail[..], opt].concat();
    assert!(question(&twice, [0, 1, 0, 0, 0, 0, 0, 2]).is_none());
    assert!(
        question(&tail, [0, 1, 0, 1, 0, 0, 0, 0]).is_none(),
        "in the answer section"
    );
    let owned = b"\x01a\x00\x00\x01\x00\x01\x01b\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    assert!(question(owned, WITH_OPT).is_none(), "not of the root");
}

#[test]
fn records_of_other_types_are_stepped_over() {
    // An SOA with a compressed owner, as IXFR has it in the authority section.
    let tail = b"\x01a\x00\x00\xfb\x00\x01\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x02\xab\xcd";
    assert_eq!(
        question(tail, [0, 1, 0, 0, 0, 1, 0, 0]).unwrap().qtype,
        rtype::IXFR
    );
}

#[test]
fn what_is_cut_short_is_a_format_error() {
    let whole =
        b"\x01a\x00\x00\x01\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x04\x00\x0b\x00\x00";
    assert!(question(whole, WITH_OPT).is_some());
    for len in 0..whole.len() {
        assert!(question(&whole[..len], WITH_OPT).is_none(), "{len} bytes");
    }
    assert!(question(b"\x01a\x00\x00\x01\x00\x01", [0, 2, 0, 0, 0, 0, 0, 0]).is_none());
    assert!(question(b"\xc0\x0c\x00\x01\x00\x01", ONE).is_none());
}

#[test]
fn answers_and_fragments_are_met_with_silence() {
    assert!(matches!(read(&[0; 11]), Message::Silence));
    assert!(matches!(
        read(&[0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        Message::Silence
    ));
}
