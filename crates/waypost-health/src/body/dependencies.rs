//! What a body says of what the instance itself depends on. It is shown and decides nothing.

use serde_json::{Map, Value};
use waypost_core::{CheckState, Dependency, text};

use super::{FAILING_WORDS, WARNING_WORDS};

#[cfg(test)]
mod tests;

/// Most dependencies that are kept.
const DEPENDENCIES_MAX: usize = 32;
/// Most characters of a name.
const NAME_CHARACTERS_MAX: usize = 64;
/// Most characters of what else is said.
const DETAIL_CHARACTERS_MAX: usize = 200;
/// Words of `status` that say that all is well.
const PASSING_WORDS: [&str; 8] = [
    "healthy", "ok", "pass", "passing", "up", "ready", "success", "serving",
];
/// Further words that say that it is not.
const FURTHER_FAILING_WORDS: [&str; 5] =
    ["failing", "failed", "error", "critical", "out_of_service"];
const FURTHER_WARNING_WORDS: [&str; 1] = ["warning"];
/// Members of a dependency that say more, the first that is there.
const DETAILS: [&str; 6] = ["error", "message", "output", "detail", "reason", "note"];

/// Reads the dependencies out of the members that name them: source 003's `custom_checks`, source 000's `checks` (and
/// draft-inadarei-api-health-check's, with lists), Spring's `components`, `dependencies`. The first of a name counts.
pub(super) fn read(members: [&Value; 4]) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    let named = members.into_iter().filter_map(Value::as_object).flatten();
    for (name, value) in named {
        let name = cut(name, NAME_CHARACTERS_MAX);
        if found.len() < DEPENDENCIES_MAX && !found.iter().any(|known| *known.name == *name) {
            let (state, detail) = judged(value);
            found.push(Dependency {
                name: text(&name),
                state,
                detail: detail.map(|detail| text(&cut(&detail, DETAIL_CHARACTERS_MAX))),
            });
        }
    }
    found
}

fn judged(value: &Value) -> (CheckState, Option<String>) {
    match value {
        Value::Bool(true) => (CheckState::Passing, None),
        Value::Bool(false) => (CheckState::Failing, None),
        Value::String(word) => of_word(word),
        Value::Object(fields) => of_object(fields),
        // The worst of several measurements of one thing.
        Value::Array(items) => items
            .iter()
            .map(judged)
            .max_by_key(|(state, _)| *state)
            .unwrap_or((CheckState::Unknown, None)),
        Value::Null => (CheckState::Unknown, None),
        Value::Number(number) => (CheckState::Unknown, Some(number.to_string())),
    }
}

fn of_object(fields: &Map<String, Value>) -> (CheckState, Option<String>) {
    let status = ["status", "state", "healthy"]
        .iter()
        .find_map(|name| fields.get(*name));
    let (state, word) = match status {
        Some(said @ (Value::Bool(_) | Value::String(_))) => judged(said),
        _ => (CheckState::Unknown, None),
    };
    let more = DETAILS.iter().find_map(|name| fields.get(*name)?.as_str());
    let more = more.filter(|more| !more.is_empty());
    (state, more.map(str::to_owned).or(word))
}

fn of_word(word: &str) -> (CheckState, Option<String>) {
    let among = |words: &[&str]| {
        let trimmed = word.trim();
        words
            .iter()
            .any(|known| trimmed.eq_ignore_ascii_case(known))
    };
    if among(&FAILING_WORDS) || among(&FURTHER_FAILING_WORDS) {
        (CheckState::Failing, None)
    } else if among(&WARNING_WORDS) || among(&FURTHER_WARNING_WORDS) {
        (CheckState::Warning, None)
    } else if among(&PASSING_WORDS) {
        (CheckState::Passing, None)
    } else {
        (CheckState::Unknown, Some(word.to_owned()))
    }
}

/// Cuts a text and makes it one line.
fn cut(value: &str, characters: usize) -> String {
    let shown = |character: char| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    };
    value.chars().take(characters).map(shown).collect()
}
