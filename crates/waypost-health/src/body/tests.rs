use super::{BODY_KEPT_BYTES, HealthBody, Said, kept};

fn read(body: &str) -> HealthBody {
    HealthBody::read(body.as_bytes())
}

#[test]
fn the_words_of_status_are_understood_in_any_case() {
    for word in ["unhealthy", "fail", "DOWN", "Not_Ready"] {
        let body = read(&format!(r#"{{"status": "{word}"}}"#));
        assert!(matches!(body.said, Said::Unhealthy(_)), "{word}: {body:?}");
    }
    for word in ["degraded", "WARN"] {
        let body = read(&format!(r#"{{"status": "{word}"}}"#));
        assert!(matches!(body.said, Said::Degraded(_)), "{word}: {body:?}");
    }
    for word in ["healthy", "ok", "pass", "up", "failover-ready"] {
        assert_eq!(
            read(&format!(r#"{{"status": "{word}"}}"#)).said,
            Said::Nothing,
            "{word}"
        );
    }
}

#[test]
fn only_a_ratio_is_taken_as_load() {
    for (json, load) in [
        ("0.3", Some(0.3)),
        ("0", Some(0.0)),
        ("1", Some(1.0)),
        ("1.01", None),
        ("30", None),
        ("-0.1", None),
        ("\"0.3\"", None),
        ("null", None),
    ] {
        let body = read(&format!(r#"{{"load_percentage": {json}}}"#));
        assert_eq!(body.load, load, "{json}");
    }
}

#[test]
fn failed_custom_checks_are_named_in_each_of_their_forms() {
    let body = read(
        r#"{"status": "unhealthy", "custom_checks": {"a": false, "b": true, "c": "down", "d": "fine",
            "e": {"status": "fail"}, "f": {"status": false}, "g": {"status": "healthy"}, "h": 3}}"#,
    );
    assert_eq!(
        body.sentence().unwrap(),
        "body says unhealthy: custom checks a, c, e and 1 more failed"
    );
    let one = read(r#"{"custom_checks": {"db": {"status": "unhealthy", "error": "gone"}}}"#);
    assert_eq!(
        (one.said, one.sentence().unwrap()),
        (Said::Nothing, "custom check db failed".to_owned())
    );
}

#[test]
fn the_name_of_a_custom_check_cannot_bend_the_reason() {
    let long = "x".repeat(5_000);
    let body = read(&format!(
        r#"{{"custom_checks": {{"a\u001b[31m\n": false, "{long}": false}}}}"#
    ));
    let sentence = body.sentence().unwrap();
    assert!(sentence.len() < 200, "{} bytes", sentence.len());
    assert!(!sentence.contains(['\n', '\u{1b}']), "{sentence:?}");
}

#[test]
fn what_is_no_health_body_says_nothing() {
    let deep = format!(r#"{{"status": {}"#, "[".repeat(20_000));
    for body in [
        "",
        "OK",
        "unhealthy",
        "\"unhealthy\"",
        "[\"unhealthy\"]",
        r#"{"status": "unhealthy""#,
        r#"{"status": {"status": "unhealthy"}}"#,
        "{\"status\": \"\u{fffd}",
        &deep,
    ] {
        let read = read(body);
        assert_eq!(
            (read.said, read.load, read.sentence()),
            (Said::Nothing, None, None)
        );
    }
}

#[test]
fn a_body_is_kept_to_4_kib_of_whole_characters() {
    assert_eq!(kept(b""), None);
    assert_eq!(kept(b"OK").as_deref(), Some("OK"));
    assert_eq!(kept(b"a\xffb").as_deref(), Some("a\u{fffd}b"));
    let exact = "x".repeat(BODY_KEPT_BYTES);
    assert_eq!(kept(exact.as_bytes()).as_deref(), Some(&*exact));
    // The last character begins one byte before the limit.
    let across = format!(
        "{}{}",
        "x".repeat(BODY_KEPT_BYTES - 1),
        "\u{20ac}".repeat(9)
    );
    assert_eq!(kept(across.as_bytes()).unwrap().len(), BODY_KEPT_BYTES - 1);
    let invalid = vec![0xff; 64 * 1_024];
    let kept = kept(&invalid).unwrap();
    assert!(kept.len() <= BODY_KEPT_BYTES && kept.chars().all(|c| c == '\u{fffd}'));
}
