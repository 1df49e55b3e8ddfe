//! What an input may look like, and the check of a value against it.

use std::fmt::Write as _;

use crate::pattern::Pattern;
use crate::value::Value;

/// Most violations that are told of one input.
const VIOLATIONS_MAX: usize = 10;
/// Most bytes of a value that are repeated in a message.
const REPEATED_MAX: usize = 200;

/// An operation and its input.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) input: &'static Shape,
}

/// The form of a value, as AWS's service models describe it.
#[derive(Debug)]
pub(crate) enum Shape {
    Text {
        min: usize,
        max: usize,
        pattern: Option<&'static Pattern>,
        values: &'static [&'static str],
    },
    Number {
        min: i64,
        max: i64,
    },
    List {
        of: &'static Self,
        min: usize,
        max: usize,
    },
    Map {
        key: &'static Self,
        value: &'static Self,
        min: usize,
        max: usize,
    },
    Structure(&'static [Member]),
}

/// A member of a structure.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) shape: &'static Shape,
    pub(crate) is_required: bool,
}

pub(crate) const fn member(name: &'static str, shape: &'static Shape, is_required: bool) -> Member {
    Member {
        name,
        shape,
        is_required,
    }
}

/// One broken constraint, in the words of AWS's services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Where, as in `dnsConfig.dnsRecords.1.member.tTL`.
    pub(crate) path: String,
    /// Which kind of rule.
    pub(crate) rule: Rule,
    text: String,
}

/// The kinds of rules, of which `lenient` lets some pass at some places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Required,
    Type,
    Length,
    Pattern,
    Values,
    Range,
}

/// Returns everything that is wrong with a value.
pub(crate) fn violations(shape: &Shape, value: &Value) -> Vec<Violation> {
    let mut found = Found {
        path: String::new(),
        list: Vec::new(),
    };
    found.look(shape, value);
    found.list
}

/// Says in one sentence what is wrong, as AWS's services do.
pub(crate) fn sentence(violations: &[Violation]) -> String {
    let count = violations.len();
    let plural = if count == 1 { "error" } else { "errors" };
    let told: Vec<&str> = violations
        .iter()
        .map(|violation| &*violation.text)
        .take(VIOLATIONS_MAX)
        .collect();
    format!("{count} validation {plural} detected: {}", told.join("; "))
}

struct Found {
    path: String,
    list: Vec<Violation>,
}

impl Found {
    fn look(&mut self, shape: &Shape, value: &Value) {
        match (shape, value) {
            (Shape::Text { .. }, Value::Text(text)) => self.look_at_text(shape, text),
            (Shape::Number { min, max }, value) => self.look_at_number((*min, *max), value),
            (Shape::List { of, min, max }, Value::List(list)) => {
                self.length(
                    &format!("of {} members", list.len()),
                    list.len(),
                    *min,
                    *max,
                );
                for (at, one) in list.iter().enumerate() {
                    self.within(&format!("{}.member", at + 1), |found| found.look(of, one));
                }
            }
            (
                Shape::Map {
                    key,
                    value: of,
                    min,
                    max,
                },
                Value::Map(map),
            ) => {
                self.length(&format!("of {} entries", map.len()), map.len(), *min, *max);
                for (name, one) in map {
                    self.within("key", |found| {
                        found.look(key, &Value::Text(name.clone()));
                    });
                    self.within(&format!("{}.member", shortened(name)), |found| {
                        found.look(of, one);
                    });
                }
            }
            (Shape::Structure(members), Value::Map(_)) => {
                for member in *members {
                    self.look_at_member(member, value.get(member.name));
                }
            }
            (Shape::Text { .. }, other) => self.wrong_type(other, "a string"),
            (Shape::List { .. }, other) => self.wrong_type(other, "a list"),
            (Shape::Map { .. } | Shape::Structure(_), other) => self.wrong_type(other, "a map"),
        }
    }

    fn look_at_text(&mut self, shape: &Shape, text: &str) {
        let Shape::Text {
            min,
            max,
            pattern,
            values,
        } = shape
        else {
            return;
        };
        self.length(&quoted(text), text.chars().count(), *min, *max);
        if let Some(pattern) = pattern
            && !(pattern.holds)(text)
        {
            let pattern = pattern.text;
            let rule = format!("Member must satisfy regular expression pattern: {pattern}");
            self.add(Rule::Pattern, &quoted(text), &rule);
        }
        if !values.is_empty() && !values.contains(&text) {
            let rule = format!(
                "Member must satisfy enum value set: [{}]",
                values.join(", ")
            );
            self.add(Rule::Values, &quoted(text), &rule);
        }
    }

    fn look_at_number(&mut self, (min, max): (i64, i64), value: &Value) {
        let Some(number) = value.as_integer() else {
            return self.wrong_type(value, "a whole number");
        };
        let shown = quoted(&number.to_string());
        if number < min {
            let rule = format!("Member must have value greater than or equal to {min}");
            self.add(Rule::Range, &shown, &rule);
        }
        if number > max {
            let rule = format!("Member must have value less than or equal to {max}");
            self.add(Rule::Range, &shown, &rule);
        }
    }

    fn look_at_member(&mut self, member: &Member, given: Option<&Value>) {
        self.within(&camel(member.name), |found| match given {
            Some(value) => found.look(member.shape, value),
            None if member.is_required => {
                found.add(Rule::Required, "null", "Member must not be null");
            }
            None => {}
        });
    }

    fn length(&mut self, shown: &str, len: usize, min: usize, max: usize) {
        if len < min {
            let rule = format!("Member must have length greater than or equal to {min}");
            self.add(Rule::Length, shown, &rule);
        }
        if len > max {
            let rule = format!("Member must have length less than or equal to {max}");
            self.add(Rule::Length, shown, &rule);
        }
    }

    fn wrong_type(&mut self, value: &Value, wanted: &str) {
        let rule = format!("Member must be {wanted}");
        self.add(Rule::Type, value.kind(), &rule);
    }

    fn within(&mut self, step: &str, look: impl FnOnce(&mut Self)) {
        let len = self.path.len();
        if len > 0 {
            self.path.push('.');
        }
        self.path.push_str(step);
        look(self);
        self.path.truncate(len);
    }

    fn add(&mut self, rule: Rule, shown: &str, words: &str) {
        let path = self.path.clone();
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _written = write!(
            text,
            "Value {shown} at '{path}' failed to satisfy constraint: {words}"
        );
        self.list.push(Violation { path, rule, text });
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", shortened(text))
}

fn shortened(text: &str) -> String {
    if text.len() <= REPEATED_MAX {
        return text.to_owned();
    }
    let start: String = text.chars().take(REPEATED_MAX).collect();
    format!("{start}...")
}

/// Writes a member's name as AWS does in messages: with a small first letter.
fn camel(name: &str) -> String {
    let mut characters = name.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}
