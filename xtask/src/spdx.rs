//! Licence expressions (SPDX 2.3, annex D): `OR`, `AND`, `WITH`, parentheses, and the old slash for `OR`.

/// Tells whether the expression can be met with licences that `allowed` accepts.
///
/// `allowed` is asked with one licence at a time, exception included: `Apache-2.0 WITH LLVM-exception`.
/// A `+` ("or any later version") is dropped first, since the version that is named may be chosen.
///
/// # Errors
/// When the expression does not parse; the text says where.
pub fn is_met(expression: &str, allowed: impl Fn(&str) -> bool) -> Result<bool, String> {
    let mut parser = Parser {
        words: words_of(expression),
        position: 0,
        allowed: &allowed,
    };
    let met = parser.alternatives()?;
    match parser.peek() {
        None => Ok(met),
        Some(word) => Err(format!(
            "`{word}` is not expected in licence `{expression}`"
        )),
    }
}

fn words_of(expression: &str) -> Vec<String> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Parser<'a> {
    words: Vec<String>,
    position: usize,
    allowed: &'a dyn Fn(&str) -> bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.position).map(String::as_str)
    }

    fn take(&mut self, expected: &str) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.position += 1;
        }
        found
    }

    // Both sides are always parsed, so `|` and `&` instead of their short-circuiting forms.
    fn alternatives(&mut self) -> Result<bool, String> {
        let mut met = self.all_of()?;
        while self.take("OR") {
            met |= self.all_of()?;
        }
        Ok(met)
    }

    fn all_of(&mut self) -> Result<bool, String> {
        let mut met = self.licence()?;
        while self.take("AND") {
            met &= self.licence()?;
        }
        Ok(met)
    }

    fn licence(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let met = self.alternatives()?;
            return if self.take(")") {
                Ok(met)
            } else {
                Err("a parenthesis of a licence is not closed".to_owned())
            };
        }
        let name = self.name()?;
        if self.take("WITH") {
            let exception = self.name()?;
            return Ok((self.allowed)(&format!("{name} WITH {exception}")));
        }
        Ok((self.allowed)(&name))
    }

    fn name(&mut self) -> Result<String, String> {
        let word = self.peek().ok_or("a licence ends too early")?;
        if matches!(word, "OR" | "AND" | "WITH" | "(" | ")") {
            return Err(format!("`{word}` stands where a licence is expected"));
        }
        let name = word.trim_end_matches('+').to_owned();
        self.position += 1;
        Ok(name)
    }
}

#[cfg(test)]
mod tests;
