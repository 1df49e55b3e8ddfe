//! The index from names to rows. It lives in memory only: one more tree on disk would double every write.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

use waypost_core::{ObjectKey, Prefix};

/// Largest row number and revision that fit a place.
pub(crate) const NUMBER_MAX: u64 = (1 << 48) - 1;

/// 128 bits of a keyed hash stand for a name: at ten million names, two of them meet once in 10^24 starts. The keys
/// are drawn anew by each process, so nobody can prepare names that meet.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Name([u32; 4]);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [high, low, ..] = self.0;
        state.write_u64((u64::from(high) << 32) | u64::from(low));
    }
}

/// The name is a hash already.
#[derive(Clone, Default)]
struct Straight(u64);

impl Hasher for Straight {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

type Table<V> = HashMap<Name, V, BuildHasherDefault<Straight>>;

/// Where an object is and when it was written: two numbers of 48 bits. With its name 28 bytes per object, a million
/// of them (2^21 places) in 58 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place([u32; 3]);

impl Place {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "both are below 2^48, which is checked where they are made"
    )]
    pub(crate) fn new(row: u64, revision: u64) -> Self {
        debug_assert!(row <= NUMBER_MAX && revision <= NUMBER_MAX, "over 48 bits");
        let tops = (((row >> 32) as u32) << 16) | ((revision >> 32) as u32 & 0xffff);
        Self([row as u32, revision as u32, tops])
    }

    pub(crate) fn row(self) -> u64 {
        let [row, _, tops] = self.0;
        (u64::from(tops >> 16) << 32) | u64::from(row)
    }

    pub(crate) fn revision(self) -> u64 {
        let [_, revision, tops] = self.0;
        (u64::from(tops & 0xffff) << 32) | u64::from(revision)
    }
}

/// Where every object is, and how many lie under each prefix.
pub(crate) struct Index {
    places: Table<Place>,
    under: Table<u64>,
    keys: (RandomState, RandomState),
}

impl Index {
    pub(crate) fn new() -> Self {
        Self::with_room(0)
    }

    pub(crate) fn with_room(names: usize) -> Self {
        Self {
            places: Table::with_capacity_and_hasher(names, BuildHasherDefault::default()),
            under: Table::default(),
            keys: (RandomState::new(), RandomState::new()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn get(&self, kind: &str, path: &str) -> Option<Place> {
        self.places.get(&self.name(kind, path)).copied()
    }

    pub(crate) fn is_empty_under(&self, prefix: &Prefix) -> bool {
        let (kind, path) = match prefix {
            Prefix::Instances(service) => {
                ("registration", ObjectKey::Service(service.clone()).path())
            }
            Prefix::Services(namespace) => ("service", namespace.folded()),
        };
        !self.under.contains_key(&self.prefix(kind, &path))
    }

    /// Puts the object at a place, or nowhere, and returns where it was.
    pub(crate) fn set(&mut self, kind: &str, path: &str, place: Option<Place>) -> Option<Place> {
        let name = self.name(kind, path);
        let before = match place {
            Some(place) => self.places.insert(name, place),
            None => self.places.remove(&name),
        };
        match (before, place) {
            (None, Some(_)) => self.count(kind, path, true),
            (Some(_), None) => self.count(kind, path, false),
            _ => {}
        }
        before
    }

    fn count(&mut self, kind: &str, path: &str, more: bool) {
        let Some(parent) = parent(kind, path) else {
            return;
        };
        let name = self.prefix(kind, parent);
        let count = self.under.entry(name).or_default();
        *count = if more {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
        if *count == 0 {
            self.under.remove(&name);
        }
    }

    fn name(&self, kind: &str, path: &str) -> Name {
        self.hash((kind, path))
    }

    fn prefix(&self, kind: &str, parent: &str) -> Name {
        // The extra word keeps prefixes apart from names, which are pairs.
        self.hash(("under", kind, parent))
    }

    #[expect(clippy::cast_possible_truncation, reason = "a hash is cut in halves")]
    fn hash(&self, value: impl Hash) -> Name {
        let (one, two) = (self.keys.0.hash_one(&value), self.keys.1.hash_one(&value));
        Name([
            (one >> 32) as u32,
            one as u32,
            (two >> 32) as u32,
            two as u32,
        ])
    }
}

/// Returns the prefix under which an object is counted: names in a path are parted by spaces, the widest first.
fn parent<'a>(kind: &str, path: &'a str) -> Option<&'a str> {
    let names = match kind {
        "registration" => 2,
        "service" => 1,
        _ => return None,
    };
    let end = path.match_indices(' ').nth(names - 1).map(|(at, _)| at);
    end.and_then(|end| path.get(..end))
}
