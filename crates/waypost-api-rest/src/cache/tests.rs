use std::cell::Cell;

use waypost_core::{Epoch, Revision};

use super::*;

fn at(revision: u64) -> Position {
    Position {
        epoch: Epoch(1),
        revision: Revision(revision),
    }
}

struct Renders(Cell<usize>);

impl Renders {
    fn fetch(&self, cache: &RenderCache, name: &str, position: Position, now: u64) -> Rendered {
        cache.fetch(Kind::Healthy, name, position, Monotonic(now), || {
            self.0.set(self.0.get() + 1);
            vec![b'x'; 10]
        })
    }
}

#[test]
fn an_answer_is_rendered_once_for_a_position_and_a_second() {
    let (cache, renders) = (RenderCache::new(8, 1_000), Renders(Cell::new(0)));
    renders.fetch(&cache, "web", at(1), 5_000);
    renders.fetch(&cache, "web", at(1), 5_999);
    assert_eq!(renders.0.get(), 1);
    renders.fetch(&cache, "web", at(2), 5_999);
    assert_eq!(renders.0.get(), 2, "another position is another answer");
    renders.fetch(&cache, "web", at(2), 6_999);
    assert_eq!(renders.0.get(), 3, "vitals are at most a second old");
}

#[test]
fn a_full_cache_renders_without_keeping_and_frees_what_is_too_old() {
    let (cache, renders) = (RenderCache::new(2, 1_000), Renders(Cell::new(0)));
    for name in ["a", "b", "c", "c"] {
        renders.fetch(&cache, name, at(1), 5_000);
    }
    assert_eq!(renders.0.get(), 4);
    renders.fetch(&cache, "c", at(1), 6_500);
    renders.fetch(&cache, "c", at(1), 6_500);
    assert_eq!(renders.0.get(), 5);
    let kept = cache.maps[Kind::Healthy as usize].read().unwrap();
    assert_eq!((kept.entries.len(), kept.bytes), (1, 11));
}

#[test]
fn the_bound_on_bytes_holds() {
    let (cache, renders) = (RenderCache::new(100, 25), Renders(Cell::new(0)));
    for name in ["a", "b", "c"] {
        renders.fetch(&cache, name, at(1), 5_000);
    }
    let kept = cache.maps[Kind::Healthy as usize].read().unwrap();
    assert_eq!((kept.entries.len(), kept.bytes), (2, 22));
}

#[test]
fn an_etag_is_weak_and_names_the_position() {
    assert_eq!(etag(at(7)), "W/\"0000000000000001.7\"");
}
