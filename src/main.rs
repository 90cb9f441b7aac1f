//! The `finecap` command.
fn main() {}
