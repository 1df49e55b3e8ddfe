//! Figures: how the measuring programs print them, and how a table shows them.

use std::fmt::Write;

/// One measured number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: String,
    pub(super) note: String,
}

impl Figure {
    pub(super) fn new(name: impl Into<String>, value: f64, unit: &str, note: &str) -> Self {
        Self {
            name: name.into(),
            value,
            unit: unit.to_owned(),
            note: note.to_owned(),
        }
    }
}

/// Reads the lines `name<TAB>value<TAB>unit<TAB>note` of a program; other lines are its own business.
pub(super) fn parse(output: &str) -> Vec<Figure> {
    let figures = output.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        Some(Figure {
            name: fields.next()?.to_owned(),
            value: fields.next()?.trim().parse().ok()?,
            unit: fields.next().unwrap_or_default().to_owned(),
            note: fields.next().unwrap_or_default().to_owned(),
        })
    });
    figures.collect()
}

/// Finds the value of a figure by its name.
pub(super) fn value_of(figures: &[Figure], name: &str) -> Option<f64> {
    let found = figures.iter().find(|figure| figure.name == name);
    found.map(|figure| figure.value)
}

/// Gives the middle of several values, or zero of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied().unwrap_or_default();
    if values.len() % 2 == 1 || middle == 0 {
        return upper;
    }
    let lower = values.get(middle - 1).copied().unwrap_or_default();
    f64::midpoint(lower, upper)
}

/// Shows figures as a Markdown table.
pub(super) fn table(figures: &[Figure]) -> String {
    let mut text = String::from("| figure | value | unit | note |\n|---|---:|---|---|\n");
    for figure in figures {
        let value = rounded(figure.value);
        let (name, unit, note) = (&figure.name, &figure.unit, &figure.note);
        // Writing into a string cannot fail.
        let _written = writeln!(text, "| {name} | {value} | {unit} | {note} |");
    }
    text
}

// Four digits say all that a measurement on a shared machine can.
fn rounded(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}
