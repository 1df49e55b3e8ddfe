use super::figure::{Figure, median, parse, table, value_of};
use super::registry::collected;
use super::server::{parse_answer, ports_in};

#[test]
fn figures_are_read_from_lines_with_tabs_and_nothing_else() {
    let figures = parse("starting\nrate\t1234.5\t1/s\tquiet disk\nshort\t2\nbad\tx\ty\tz\n");
    assert_eq!(
        figures,
        [
            Figure::new("rate", 1234.5, "1/s", "quiet disk"),
            Figure::new("short", 2.0, "", "")
        ]
    );
    assert_eq!(value_of(&figures, "short"), Some(2.0));
    assert_eq!(value_of(&figures, "bad"), None);
}

#[test]
fn a_table_shows_four_digits() {
    let figures = [
        Figure::new("a", 12_345.6, "1/s", ""),
        Figure::new("b", 1.23456, "x", "goal: at most 1.35"),
    ];
    let text = table(&figures);
    assert!(text.contains("| a | 12346 | 1/s |  |\n"), "{text}");
    assert!(
        text.contains("| b | 1.235 | x | goal: at most 1.35 |\n"),
        "{text}"
    );
}

#[test]
fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
    let is = |values: &[f64], expected: f64| {
        let found = median(values.to_vec());
        assert!((found - expected).abs() < 1e-9, "{values:?}: {found}");
    };
    is(&[9.0, 1.0, 5.0], 5.0);
    is(&[4.0, 1.0, 2.0, 9.0], 3.0);
    is(&[7.0], 7.0);
    is(&[], 0.0);
}

#[test]
fn only_listening_sockets_of_the_process_give_ports() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
         0: 0100007F:0BBC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1\n\
         1: 0100007F:0BBD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1\n\
         2: 0100007F:0BBE 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 333 1\n";
    let ours = ["111".to_owned(), "333".to_owned()];
    assert_eq!(ports_in(table, &ours), [3004]);
}

#[test]
fn an_answer_is_complete_when_its_length_says_so() {
    let bytes = b"HTTP/1.1 200 OK\r\nx-a: b\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(parse_answer(&bytes[..bytes.len() - 1]), None);
    let answer = parse_answer(bytes).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers[0], "x-a: b");
    assert_eq!(answer.body, b"abc");
}

#[test]
fn instructions_are_read_from_what_callgrind_prints() {
    let log =
        "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n==7== I   refs:      123,456\n";
    assert_eq!(collected(log), Some(123_456.0));
    assert_eq!(collected("==7== nothing"), None);
}
