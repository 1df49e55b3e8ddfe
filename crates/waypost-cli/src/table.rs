//! Plain columns without borders, as `kubectl` prints them.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use waypost_client::wire::CheckState;
use waypost_client::{Health, Mode};

const GAP: u16 = 3;
const RESET: &str = "\x1b[0m";

/// A colour that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Bold,
    Faint,
    Good,
    Doubtful,
    Bad,
}

impl Paint {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("\x1b[1m"),
            Self::Faint => Some("\x1b[2m"),
            Self::Good => Some("\x1b[32m"),
            Self::Doubtful => Some("\x1b[33m"),
            Self::Bad => Some("\x1b[31m"),
        }
    }

    /// Wraps `text` in the colour when colours are used.
    pub(crate) fn apply(self, text: &str, colors: bool) -> String {
        match self.code() {
            Some(code) if colors && !text.is_empty() => format!("{code}{text}{RESET}"),
            _ => text.to_owned(),
        }
    }
}

/// One cell: text that is already made [visible](crate::text::visible), and its colour.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    pub(crate) fn painted(text: impl Into<String>, paint: Paint) -> Self {
        Self {
            text: text.into(),
            paint,
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::painted(text, Paint::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::painted(text, Paint::Plain)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::painted(number.to_string(), Paint::Plain)
    }
}

impl From<&Health> for Cell {
    fn from(health: &Health) -> Self {
        let paint = match health {
            Health::Healthy => Paint::Good,
            Health::Warning => Paint::Doubtful,
            Health::Unhealthy => Paint::Bad,
            _ => Paint::Faint,
        };
        Self::painted(crate::text::visible(health.as_str()), paint)
    }
}

impl From<&Mode> for Cell {
    fn from(mode: &Mode) -> Self {
        let paint = if *mode == Mode::Active {
            Paint::Plain
        } else {
            Paint::Doubtful
        };
        Self::painted(crate::text::visible(mode.as_str()), paint)
    }
}

impl From<&CheckState> for Cell {
    fn from(state: &CheckState) -> Self {
        let paint = match state {
            CheckState::Passing => Paint::Good,
            CheckState::Warning => Paint::Doubtful,
            CheckState::Failing => Paint::Bad,
            _ => Paint::Faint,
        };
        Self::painted(crate::text::visible(state.as_str()), paint)
    }
}

/// Rows under a header, or pairs without one.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

impl Grid {
    /// A grid with a header of capital words.
    pub(crate) fn with_header(names: &[&str]) -> Self {
        let header = names
            .iter()
            .map(|name| Cell::painted(*name, Paint::Bold))
            .collect();
        Self {
            rows: vec![header],
            indent: 0,
        }
    }

    /// A grid without a header.
    pub(crate) fn plain() -> Self {
        Self::default()
    }

    /// Moves every line to the right.
    pub(crate) fn indented(mut self, columns: usize) -> Self {
        self.indent = columns;
        self
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Adds a name and its value.
    pub(crate) fn pair(&mut self, name: &str, value: impl Into<Cell>) {
        self.row([Cell::painted(name, Paint::Faint), value.into()]);
    }

    /// Renders all rows, each with a line break.
    pub(crate) fn render(&self, colors: bool) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING);
        for row in &self.rows {
            table.add_row(
                row.iter()
                    .map(|cell| cell.text.as_str())
                    .collect::<Vec<_>>(),
            );
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        let indent = " ".repeat(self.indent);
        let mut text = String::new();
        for (line, row) in table.lines().zip(&self.rows) {
            text.push_str(&indent);
            text.push_str(&paint_line(line.trim_end(), row, colors));
            text.push('\n');
        }
        text
    }
}

/// Colours the cells of a line that is already laid out, so that colours cannot disturb the widths.
fn paint_line(line: &str, row: &[Cell], colors: bool) -> String {
    let mut painted = String::with_capacity(line.len());
    let mut rest = line;
    for cell in row {
        // Between two cells there is only space, so the first match is the cell.
        let Some((gap, after)) = rest.split_once(cell.text.as_str()) else {
            break;
        };
        painted.push_str(gap);
        painted.push_str(&cell.paint.apply(&cell.text, colors));
        rest = after;
    }
    painted.push_str(rest);
    painted
}
