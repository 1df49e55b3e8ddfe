//! `waypost run`: a command that is registered for as long as it runs.
