//! The end of the process, asked for and not, and the start after it.

mod lifecycle;
mod rounds;
