//! Short immutable strings and lists that repeat: names, attributes, tags, ports, checks, reasons.
//!
//! A fleet repeats itself (every instance of a service says `environment=production` and has the same ports), so equal
//! values share one allocation. A text is one pointer: an instance holds dozens of them.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use foldhash::fast::RandomState;

/// A shared, immutable string.
pub type Text = arcstr::ArcStr;

/// Longer texts are rarely repeated and would only fill the table.
const SHARED_BYTES_MAX: usize = 64;
const SWEEP_AT_FIRST: usize = 4_096;
/// Beyond this many different values a table costs more than it saves.
const SHARED_MAX: usize = 262_144;

/// Values that are alive somewhere, each once.
struct Table<T> {
    values: HashSet<T, RandomState>,
    sweep_at: usize,
}

impl<T: Hash + Eq + Clone> Table<T> {
    fn new() -> Self {
        Self {
            values: HashSet::default(),
            sweep_at: SWEEP_AT_FIRST,
        }
    }

    fn add(&mut self, value: &T, is_held: impl Fn(&T) -> bool) {
        if self.values.len() >= self.sweep_at {
            // Unique values (request ids) must not stay for ever: only those that somebody else holds do.
            self.values.retain(|value| is_held(value));
            self.sweep_at = (self.values.len() * 2).max(SWEEP_AT_FIRST);
        }
        if self.values.len() < SHARED_MAX {
            self.values.insert(value.clone());
        }
    }
}

static TEXTS: LazyLock<Mutex<Table<Text>>> = LazyLock::new(|| Mutex::new(Table::new()));

/// Returns the shared text equal to `value`, making it on first use; texts over 64 bytes are not shared.
pub fn text(value: &str) -> Text {
    if value.is_empty() || value.len() > SHARED_BYTES_MAX {
        return Text::from(value);
    }
    let mut table = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = table.values.get(value) {
        return found.clone();
    }
    let shared = Text::from(value);
    table.add(&shared, |text| {
        Text::strong_count(text).is_none_or(|count| count > 1)
    });
    shared
}

/// A table of lists that repeat.
pub(crate) struct Lists<T>(LazyLock<Mutex<Table<Arc<[T]>>>>);

impl<T: Hash + Eq> Lists<T> {
    pub(crate) const fn new() -> Self {
        Self(LazyLock::new(|| Mutex::new(Table::new())))
    }

    /// Returns the shared list equal to `list`.
    pub(crate) fn share(&self, list: Arc<[T]>) -> Arc<[T]> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = table.values.get(&list) {
            return Arc::clone(found);
        }
        table.add(&list, |list| Arc::strong_count(list) > 1);
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_one_allocation() {
        assert!(Text::ptr_eq(
            &text("environment-shared"),
            &text("environment-shared")
        ));
    }

    #[test]
    fn equal_lists_share_one_allocation() {
        static LISTS: Lists<u8> = Lists::new();
        let one = LISTS.share(Arc::from([1, 2]));
        assert!(Arc::ptr_eq(&one, &LISTS.share(Arc::from([1, 2]))));
    }

    #[test]
    fn texts_that_nobody_holds_leave_the_table() {
        for n in 0..SWEEP_AT_FIRST * 3 {
            drop(text(&format!("unique-{n}")));
        }
        let held = TEXTS.lock().unwrap().values.len();
        assert!(
            held <= SWEEP_AT_FIRST + 512,
            "{held} texts are still in the table"
        );
    }
}
