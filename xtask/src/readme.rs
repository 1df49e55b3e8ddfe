//! The shell blocks of a Markdown text, so that tests can run what a newcomer would.
//!
//! The file names nothing of the workspace: the integration tests of the binary include it by path.

/// One fenced block whose language is `sh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellBlock {
    /// The line of the opening fence, from 1.
    pub line: usize,
    /// What stands after `sh` on the fence, for example `,no_run`.
    pub marks: String,
    /// The lines between the fences.
    pub text: String,
}

impl ShellBlock {
    /// Gives the commands: lines that are neither empty nor comments, continued lines joined.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        let mut pending = String::new();
        for line in self.text.lines().map(str::trim) {
            if pending.is_empty() && (line.is_empty() || line.starts_with('#')) {
                continue;
            }
            if let Some(start) = line.strip_suffix('\\') {
                pending.push_str(start);
                continue;
            }
            pending.push_str(line);
            commands.push(std::mem::take(&mut pending));
        }
        if !pending.is_empty() {
            commands.push(pending);
        }
        commands
    }
}

/// Finds every shell block of a Markdown text, in order.
#[must_use]
pub fn shell_blocks(markdown: &str) -> Vec<ShellBlock> {
    let mut blocks = Vec::new();
    let mut open: Option<ShellBlock> = None;
    let mut inside_another = false;
    for (index, line) in markdown.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(_)) if inside_another => inside_another = false,
            (None, Some(language)) => match language.strip_prefix("sh") {
                Some(marks) if !marks.starts_with(char::is_alphanumeric) => {
                    open = Some(ShellBlock {
                        line: index + 1,
                        marks: marks.trim().to_owned(),
                        text: String::new(),
                    });
                }
                _ => inside_another = true,
            },
            (None, None) => {}
        }
    }
    blocks
}

// The path is written out because the integration tests of the binary include this file from elsewhere.
#[cfg(test)]
#[path = "readme/tests.rs"]
mod tests;
