//! How the findings are shown.

use serde::Serialize;

use super::finding::{Finding, Outcome};
use crate::Exit;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::table::Paint;
use crate::text::visible;

/// A finding with the check and the category that it is of.
#[derive(Clone, Debug)]
pub(super) struct Examined {
    pub(super) category: &'static str,
    pub(super) name: &'static str,
    pub(super) finding: Finding,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    categories: Vec<(&'static str, Vec<Examined>)>,
}

#[derive(Serialize)]
struct Whole<'a> {
    success: bool,
    failures: usize,
    warnings: usize,
    categories: Vec<ShownCategory<'a>>,
}

#[derive(Serialize)]
struct ShownCategory<'a> {
    name: &'a str,
    checks: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    result: &'a str,
    detail: &'a str,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    category: &'a str,
    #[serde(flatten)]
    check: Shown<'a>,
}

impl Examined {
    fn shown(&self) -> Shown<'_> {
        Shown {
            name: self.name,
            result: self.finding.outcome.word(),
            detail: &self.finding.detail,
            hint: self.finding.hint.as_deref(),
        }
    }
}

impl Report {
    pub(super) fn add(&mut self, category: &'static str, checks: Vec<Examined>) {
        self.categories.push((category, checks));
    }

    fn all(&self) -> impl Iterator<Item = &Examined> {
        self.categories.iter().flat_map(|(_, checks)| checks)
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.all()
            .filter(|one| one.finding.outcome == outcome)
            .count()
    }

    /// Gives the exit code of a server that could be looked at.
    pub(super) fn exit(&self, strict: bool) -> Exit {
        let warned = strict && self.count(Outcome::Warning) > 0;
        if warned || self.count(Outcome::Failure) > 0 {
            return Exit::Failure;
        }
        Exit::Ok
    }

    pub(super) fn show(&self, screen: &mut Screen<'_>) -> Result<(), Failure> {
        let failures = self.count(Outcome::Failure);
        let categories = self.categories.iter().map(|(name, checks)| ShownCategory {
            name,
            checks: checks.iter().map(Examined::shown).collect(),
        });
        let whole = Whole {
            success: failures == 0,
            failures,
            warnings: self.count(Outcome::Warning),
            categories: categories.collect(),
        };
        let lines: Vec<Line<'_>> = self
            .all()
            .map(|one| Line {
                category: one.category,
                check: one.shown(),
            })
            .collect();
        screen.objects(&whole, &lines, |colors| self.text(colors))
    }

    /// Writes it for people.
    pub(super) fn text(&self, colors: bool) -> String {
        let mut text = String::new();
        for (name, checks) in &self.categories {
            text.push_str(&Paint::Bold.apply(name, colors));
            text.push_str(&format!("\n{}\n", "-".repeat(name.chars().count())));
            for one in together(checks) {
                text.push_str(&line(&one, colors));
            }
            text.push('\n');
        }
        text.push_str(&self.status(colors));
        text
    }

    fn status(&self, colors: bool) -> String {
        let (failures, warnings) = (self.count(Outcome::Failure), self.count(Outcome::Warning));
        let (words, paint) = match (failures, warnings) {
            (0, 0) => ("ok".to_owned(), Paint::Good),
            (0, warnings) => (counted(warnings, "warning"), Paint::Doubtful),
            (failures, 0) => (counted(failures, "failure"), Paint::Bad),
            (failures, warnings) => {
                let failures = counted(failures, "failure");
                (
                    format!("{failures}, {}", counted(warnings, "warning")),
                    Paint::Bad,
                )
            }
        };
        format!("status: {}\n", paint.apply(&words, colors))
    }
}

/// Writes `1 warning`, `2 warnings`.
pub(super) fn counted(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}

/// Puts checks that follow each other and were skipped for one reason into one line.
fn together(checks: &[Examined]) -> Vec<Finding> {
    let mut lines: Vec<Finding> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let mut why: Option<&str> = None;
    for one in checks {
        let finding = &one.finding;
        if finding.outcome != Outcome::Skipped {
            (why, names) = (None, Vec::new());
            lines.push(finding.clone());
            continue;
        }
        if why == Some(&finding.detail) {
            lines.pop();
        } else {
            names.clear();
        }
        why = Some(&finding.detail);
        names.push(one.name);
        let names = names.join(", ");
        lines.push(Finding::skipped(format!("{names}: {}", finding.detail)));
    }
    lines
}

fn line(finding: &Finding, colors: bool) -> String {
    let (mark, paint) = match finding.outcome {
        Outcome::Ok => ("[ok]", Paint::Good),
        Outcome::Skipped => ("[--]", Paint::Faint),
        Outcome::Warning => ("[!!]", Paint::Doubtful),
        Outcome::Failure => ("[xx]", Paint::Bad),
    };
    let mut line = format!(
        "{} {}\n",
        paint.apply(mark, colors),
        visible(&finding.detail)
    );
    if let Some(hint) = &finding.hint {
        line.push_str(&format!("     hint: {}\n", visible(hint)));
    }
    line
}
