//! Files that were good once, and variables.

use waypost_testkit::slow_mutations;

use super::*;

const WORDS: [&str; 18] = [
    "[http]",
    "[[access.tokens]]",
    "[access]",
    "=",
    "\"",
    "'''",
    "\"\"\"",
    "#",
    "\n",
    ".",
    "listen",
    "secret",
    "shared_secret",
    "{",
    "}",
    "1979-05-27T07:32:00Z",
    "0x",
    "inf",
];

#[test]
fn a_file_is_read_or_every_error_is_told_and_no_secret_is_shown() {
    let file = File::of("");
    let corpus: [&[u8]; 3] = [
        b"[http]\nlisten = \"127.0.0.1:1\"\nratio = 0.25\ntrusted = [\"10.0.0.1\"]\nlabels = { a = \"b\" }\n",
        b"[access]\nshared_secret = \"hush-hush-hush\"\n[[access.tokens]]\nname = \"a\"\nsecret = \"hush-hush-too\"\n",
        b"http.compress = true\nhttp.store = \"memory\"\n[tls]\ncertificate = \"/c\"\nkey = \"/k\"\n",
    ];
    slow_mutations(&corpus, &WORDS, |input| {
        std::fs::write(file.path(), input).unwrap();
        match file.loader().load::<Config>() {
            Ok(loaded) => {
                let shown = loaded.show(Format::Json);
                let secrets = loaded.value.access.tokens.iter().map(|token| &token.secret);
                for secret in secrets.chain(&loaded.value.access.shared_secret) {
                    // A short one may be a part of anything.
                    let is_telling = secret.expose().len() > 8;
                    assert!(!is_telling || !shown.contains(secret.expose()), "{shown}");
                }
                assert!(shown.len() <= 16 * input.len() + 16_384);
                true
            }
            Err(errors) => {
                let told = errors.to_string().len();
                assert!(
                    (1..=64 * (input.len() + 1_024)).contains(&told),
                    "{told} bytes"
                );
                false
            }
        }
    });
}

#[test]
fn a_variable_is_read_or_refused_by_name() {
    let corpus: [&[u8]; 4] = [b"127.0.0.1:80", b"10.0.0.1,10.0.0.2", b"0.5", b"true"];
    let names = [
        "WAYPOST__HTTP__LISTEN",
        "WAYPOST__HTTP__TRUSTED",
        "WAYPOST__HTTP__RATIO",
        "WAYPOST__HTTP__COMPRESS",
    ];
    slow_mutations(&corpus, &WORDS, |input| {
        let Ok(value) = std::str::from_utf8(input) else {
            return false;
        };
        let mut is_read = false;
        for name in names {
            match from_environment(&[(name, value)]).load::<Config>() {
                Ok(_) => is_read = true,
                Err(errors) => assert!(errors.to_string().contains(name), "{errors}"),
            }
        }
        is_read
    });
}
