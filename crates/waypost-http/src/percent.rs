//! Percent-decoding of path parameters and query strings (RFC 3986, section 2.1).

use std::borrow::Cow;

/// Decodes `%xx` escapes; borrows when there are none. The error is a sentence part.
pub(crate) fn decode_path(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if text.contains('%') {
        decode(text, false).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(text))
    }
}

/// Decodes `%xx` escapes and `+` for a space, as forms and most clients write query strings.
pub(crate) fn decode_query(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        decode(text, true).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(text))
    }
}

fn decode(text: &str, plus_is_space: bool) -> Result<String, &'static str> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (bytes.next().and_then(hex), bytes.next().and_then(hex));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err("a percent sign is not followed by two hexadecimal digits");
                };
                decoded.push(high << 4 | low);
            }
            b'+' if plus_is_space => decoded.push(b' '),
            other => decoded.push(other),
        }
    }
    String::from_utf8(decoded).map_err(|_| "the percent-decoded bytes are not UTF-8")
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
