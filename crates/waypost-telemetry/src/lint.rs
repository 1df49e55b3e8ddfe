//! A check of metric names, for a test over everything the process exposes.

use std::collections::{BTreeMap, BTreeSet};

use crate::metrics::METRICS_PREFIX;

/// Base units a histogram or summary may end in (Prometheus, "Metric and label naming").
const UNITS: [&str; 6] = [
    "_seconds",
    "_bytes",
    "_ratio",
    "_ratios",
    "_instances",
    "_batches",
];
/// Units that are not base units, so that no name may end in them.
const WRONG_UNITS: [&str; 16] = [
    "_milliseconds",
    "_millis",
    "_ms",
    "_microseconds",
    "_micros",
    "_us",
    "_nanoseconds",
    "_nanos",
    "_minutes",
    "_hours",
    "_days",
    "_kilobytes",
    "_megabytes",
    "_kb",
    "_mb",
    "_percent",
];
/// What a sample may add to the name of its family.
const SAMPLE_SUFFIXES: [&str; 6] = ["_total", "_bucket", "_count", "_sum", "_info", "_created"];

/// One family as its lines describe it.
#[derive(Debug, Default)]
struct Family {
    help: Option<String>,
    kind: Option<String>,
}

/// Checks the OpenMetrics `text` and returns one sentence per fault.
///
/// The rules: every name is in snake case and starts with `waypost_`; every family has a help
/// text and a type; histograms end in a base unit; nothing ends in another unit; `_total` is only
/// on counters; no family is described twice; label names are in snake case.
#[must_use]
pub fn lint_metric_names(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut families: BTreeMap<&str, Family> = BTreeMap::new();
    let mut samples: BTreeSet<&str> = BTreeSet::new();
    let mut labels: BTreeSet<(&str, &str)> = BTreeSet::new();
    for line in text.lines() {
        if let Some((name, help)) = described(line, "# HELP ") {
            let known = families
                .entry(name)
                .or_default()
                .help
                .replace(help.to_owned());
            if known.is_some() {
                faults.push(format!("{name} is described twice"));
            }
        } else if let Some((name, kind)) = described(line, "# TYPE ") {
            families.entry(name).or_default().kind = Some(kind.to_owned());
        } else if !line.starts_with('#') && !line.is_empty() {
            let (name, names) = sample(line);
            samples.insert(name);
            labels.extend(names.into_iter().map(|label| (name, label)));
        }
    }
    for (name, family) in &families {
        lint_family(name, family, &mut faults);
    }
    for name in samples {
        let base = SAMPLE_SUFFIXES
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        if !families.contains_key(name) && !base.is_some_and(|base| families.contains_key(base)) {
            faults.push(format!("{name} has neither help nor type"));
        }
    }
    for (name, label) in labels {
        if !is_snake_case(label) {
            faults.push(format!(
                "{name} has the label {label}, which is not in snake case"
            ));
        }
    }
    faults
}

fn described<'a>(line: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let rest = line.strip_prefix(mark)?;
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

fn lint_family(name: &str, family: &Family, faults: &mut Vec<String>) {
    let starts = name
        .strip_prefix(METRICS_PREFIX)
        .is_some_and(|rest| rest.starts_with('_'));
    if !starts {
        faults.push(format!("{name} does not start with {METRICS_PREFIX}_"));
    }
    if !is_snake_case(name) {
        faults.push(format!("{name} is not in snake case"));
    }
    // The library ends every help text with a full stop, so one alone means that there is none.
    if family
        .help
        .as_deref()
        .is_none_or(|help| help.trim().trim_matches('.').is_empty())
    {
        faults.push(format!("{name} has no help text"));
    }
    if let Some(unit) = WRONG_UNITS.iter().find(|unit| name.ends_with(**unit)) {
        faults.push(format!("{name} ends in {unit}, which is not a base unit"));
    }
    match family.kind.as_deref() {
        None => faults.push(format!("{name} has no type")),
        Some("histogram" | "summary") if !UNITS.iter().any(|unit| name.ends_with(unit)) => {
            faults.push(format!("{name} is a histogram and does not end in a unit"));
        }
        Some("counter") if name.ends_with("_total") => {
            faults.push(format!("{name} would be shown as {name}_total"));
        }
        Some(kind) if kind != "counter" && name.ends_with("_total") => {
            faults.push(format!("{name} ends in _total but is a {kind}"));
        }
        Some(_) => {}
    }
}

/// The name of a sample line and the names of its labels.
fn sample(line: &str) -> (&str, Vec<&str>) {
    let end = line.find(['{', ' ']).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let mut names = Vec::new();
    let mut rest = rest.strip_prefix('{').unwrap_or_default();
    while let Some((label, after)) = rest.split_once("=\"") {
        names.push(label);
        rest = after_value(after).trim_start_matches(',');
        if rest.starts_with('}') {
            break;
        }
    }
    (name, names)
}

/// What follows the closing quote of a label value; an escaped quote does not close it.
fn after_value(text: &str) -> &str {
    let mut is_escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            '"' if !is_escaped => return text.get(at + 1..).unwrap_or_default(),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    ""
}

fn is_snake_case(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.bytes().all(is_plain)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
}

#[cfg(test)]
mod tests;
