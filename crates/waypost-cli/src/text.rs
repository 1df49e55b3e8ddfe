//! Text from elsewhere, made safe to print.

/// Longest text shown in one place of a table or report; JSON output has all of it.
const LONGEST_SHOWN: usize = 300;

/// Makes `text` printable on one line of a terminal.
///
/// What a server reports contains what services answered to checks. An escape sequence in it must not reach
/// the terminal, and a line break must not break a table.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (count, character) in text.trim().chars().enumerate() {
        if count >= LONGEST_SHOWN {
            shown.push_str("...");
            break;
        }
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            character if character.is_control() || is_direction(character) => {
                shown.extend(character.escape_unicode());
            }
            character => shown.push(character),
        }
    }
    shown
}

/// Characters that change the order in which a terminal shows the others.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Joins words with commas; `-` when there are none.
pub(crate) fn list(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let words: Vec<String> = words
        .into_iter()
        .map(|word| visible(word.as_ref()))
        .collect();
    if words.is_empty() {
        "-".to_owned()
    } else {
        words.join(", ")
    }
}

/// Shows an optional text; `-` when there is none.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    match text.map(visible) {
        Some(text) if !text.is_empty() => text,
        _ => "-".to_owned(),
    }
}
