//! Lays JSON text out anew without reading it into values, so that it stays the server's own: the order of
//! its fields, the form of its numbers, and fields that this version does not know.

#[cfg(test)]
mod tests;

/// Writes each member on a line of its own.
pub(crate) fn pretty(json: &str) -> String {
    let mut layout = Layout {
        text: String::with_capacity(json.len() * 2),
        depth: Some(0),
    };
    layout.write(json);
    layout.text
}

/// Writes everything on one line.
pub(crate) fn compact(json: &str) -> String {
    let mut layout = Layout {
        text: String::with_capacity(json.len()),
        depth: None,
    };
    layout.write(json);
    layout.text
}

struct Layout {
    text: String,
    /// How deep the line is indented; `None`: everything is on one line.
    depth: Option<usize>,
}

impl Layout {
    fn write(&mut self, json: &str) {
        let mut in_string = false;
        let mut escaped = false;
        let mut characters = json.chars().peekable();
        while let Some(character) = characters.next() {
            if in_string {
                self.text.push(character);
                in_string = escaped || character != '"';
                escaped = character == '\\' && !escaped;
                continue;
            }
            match character {
                ' ' | '\n' | '\r' | '\t' => {}
                '{' | '[' => {
                    self.text.push(character);
                    while characters
                        .next_if(|next| next.is_ascii_whitespace())
                        .is_some()
                    {}
                    // An empty object or list stays together.
                    match characters.next_if(|next| matches!(next, '}' | ']')) {
                        Some(end) => self.text.push(end),
                        None => self.line(1),
                    }
                }
                '}' | ']' => {
                    self.line(-1);
                    self.text.push(character);
                }
                ',' => {
                    self.text.push(',');
                    self.line(0);
                }
                ':' => self
                    .text
                    .push_str(if self.depth.is_some() { ": " } else { ":" }),
                character => {
                    in_string = character == '"';
                    self.text.push(character);
                }
            }
        }
    }

    fn line(&mut self, deeper: isize) {
        if let Some(depth) = self.depth {
            let depth = depth.saturating_add_signed(deeper);
            self.depth = Some(depth);
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n("  ", depth));
        }
    }
}
