//! The patterns of AWS's service model, each with a function that says whether a text fits.

use std::fmt;

/// A pattern.
pub(crate) struct Pattern {
    /// As the model writes it, for messages.
    pub(crate) text: &'static str,
    pub(crate) holds: fn(&str) -> bool,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

pub(crate) static NAMESPACE_NAME: Pattern = Pattern {
    text: "^[!-~]{1,1024}$",
    holds: |text| is_visible(text, 1_024),
};

pub(crate) static NAMESPACE_NAME_HTTP: Pattern = Pattern {
    text: "^(?!arn:)[!-~]{1,1024}$",
    holds: |text| !text.starts_with("arn:") && is_visible(text, 1_024),
};

pub(crate) static NAMESPACE_NAME_PRIVATE: Pattern = Pattern {
    text: "^(?!arn:)[!-~]{1,253}$",
    holds: |text| !text.starts_with("arn:") && is_visible(text, 253),
};

pub(crate) static NAMESPACE_NAME_PUBLIC: Pattern = Pattern {
    text: r"^([a-zA-Z0-9]([a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])?$",
    holds: |text| {
        let label = |label: &str| {
            let bytes = label.as_bytes();
            (1..=63).contains(&bytes.len())
                && bytes
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
                && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
                && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        };
        text.contains('.') && text.split('.').all(label)
    },
};

pub(crate) static SERVICE_NAME: Pattern = Pattern {
    text: r"((?=^.{1,127}$)^([a-zA-Z0-9_][a-zA-Z0-9-_]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9])(\.([a-zA-Z0-9_][a-zA-Z0-9-_]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9]))*$)|(^\.$)",
    holds: |text| {
        let end = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let label = |label: &str| match label.as_bytes() {
            [] => false,
            [one] => one.is_ascii_alphanumeric(),
            [first, middle @ .., last] => {
                middle.len() <= 61
                    && end(first)
                    && end(last)
                    && middle.iter().all(|byte| end(byte) || *byte == b'-')
            }
        };
        text == "." || ((1..=127).contains(&text.len()) && text.split('.').all(label))
    },
};

pub(crate) static ATTR_KEY: Pattern = Pattern {
    text: "^[a-zA-Z0-9!-~]+$",
    holds: |text| is_visible(text, usize::MAX),
};

pub(crate) static ATTR_VALUE: Pattern = Pattern {
    text: r"^([a-zA-Z0-9!-~][ \ta-zA-Z0-9!-~]*){0,1}[a-zA-Z0-9!-~]{0,1}$",
    holds: |text| {
        let inner = |byte: u8| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t';
        text.bytes().all(inner)
            && text
                .bytes()
                .next()
                .is_none_or(|first| first.is_ascii_graphic())
    },
};

pub(crate) static INSTANCE_ID: Pattern = Pattern {
    text: "^[0-9a-zA-Z_/:.@-]+$",
    holds: |text| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_/:.@-".contains(&byte);
        !text.is_empty() && text.bytes().all(fits)
    },
};

fn is_visible(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
