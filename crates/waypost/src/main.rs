//! The waypost binary.
fn main() {}
