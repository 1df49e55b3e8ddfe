use waypost_core::Epoch;

use super::*;

fn position(epoch: u64, revision: u64) -> Position {
    Position {
        epoch: Epoch(epoch),
        revision: Revision(revision),
    }
}

#[test]
fn a_token_reads_as_it_is_written() {
    for digest in [None, Some(0), Some(u64::MAX)] {
        let token = Token {
            position: position(0xa1, 42),
            digest,
        };
        assert_eq!(Token::read(&token.to_string()).unwrap(), token);
    }
    for bad in [
        "",
        "1",
        "a1.2",
        "00000000000000a1.x",
        "00000000000000a1.2.3",
        "00000000000000a1.2.",
    ] {
        assert!(Token::read(bad).is_err(), "{bad}");
    }
}

#[test]
fn another_history_and_the_future_are_news_and_an_equal_answer_is_none() {
    let latest = position(1, 10);
    let at = |epoch, revision, digest| Token {
        position: position(epoch, revision),
        digest,
    };
    assert!(at(2, 10, Some(7)).is_news(latest, Revision(3), 7));
    assert!(at(1, 11, Some(7)).is_news(latest, Revision(3), 7));
    assert!(!at(1, 5, Some(7)).is_news(latest, Revision(8), 7));
    assert!(at(1, 5, Some(7)).is_news(latest, Revision(8), 8));
    assert!(at(1, 5, None).is_news(latest, Revision(8), 7));
    assert!(!at(1, 8, None).is_news(latest, Revision(8), 7));
}
