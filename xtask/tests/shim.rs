//! What integration tests are made with, tested by itself: the files there carry their own tests.

#[path = "../../tests/shim/record.rs"]
mod record;
#[path = "../../tests/shim/skips.rs"]
mod skips;
