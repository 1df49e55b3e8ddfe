//! Bytes that are almost HTTP, over real sockets: the server answers with a refusal or closes, and lives.

use waypost_testkit::Mutator;

use super::{Fort, TREASURE, exchange_and_end, status};
use crate::server::Setup;
use crate::skips::long_forms;

const INPUTS: usize = 1_500;
const INPUTS_LONG: usize = 100_000;

#[test]
fn mutated_requests_are_answered_or_refused_and_never_let_in() {
    let fort = Fort::build(Setup::new());
    let corpus: [&[u8]; 5] = [
        b"GET /v1/discover/web?wait=0s HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
        b"POST /v1/discovery/register HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        b"PUT /v1/namespaces/a/services/b/instances/c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://localhost/livez HTTP/1.0\r\nConnection: keep-alive\r\nAuthorization: Bearer x\r\n\r\n",
    ];
    let words = [
        "HTTP/1.1",
        "HTTP/2.0",
        "HTTP/0.9",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        " ",
        "\t",
        "Host: ",
        "Content-Length: ",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "Upgrade: h2c",
        "Connection: close",
        "/",
        "?",
        "#",
        "\x16\x03\x01\x02\x00\x01\x00",
        "CONNECT ",
        "TRACE ",
    ];
    let mut mutator = Mutator::new(11, &corpus, &words);
    let inputs = if long_forms() { INPUTS_LONG } else { INPUTS };
    let (mut answered, mut refused) = (0, 0);
    for number in 0..inputs {
        let input = mutator.input();
        let answer = exchange_and_end(fort.server.address(), &input);
        assert!(!answer.contains(TREASURE), "{number}: {input:?}");
        assert!(
            answer.len() < 256 * 1_024,
            "{number}: {} bytes",
            answer.len()
        );
        let status = status(&answer);
        assert!(
            status == 0 || (100..500).contains(&status) || status == 501 || status == 505,
            "{number}: {input:?}: {answer}"
        );
        answered += usize::from(status != 0);
        refused += usize::from(status == 400);
        if number % 500 == 0 {
            fort.serves_friends("among mutated requests");
        }
    }
    assert!(
        answered > inputs / 4 && refused > inputs / 20,
        "{answered} answers, {refused} refusals"
    );
    assert!(
        !fort.server.log().contains("panic"),
        "{}",
        fort.server.log()
    );
    fort.grew_at_most(32 * 1_024, "mutated requests");
}
