//! Failures on demand, for tests: every call to the system in this crate asks here first.

use std::cell::Cell;
use std::io::{Error, ErrorKind};

thread_local! {
    /// Calls that still succeed, and whether all after them fail.
    static PLAN: Cell<Option<(usize, bool)>> = const { Cell::new(None) };
}

/// Lets `calls` calls of this thread succeed and the next one fail, as on a disk that is full for a
/// moment.
pub fn fail_once_after(calls: usize) {
    PLAN.set(Some((calls, false)));
}

/// Lets `calls` calls of this thread succeed and none after them, as if the process had been
/// killed there.
pub fn fail_all_after(calls: usize) {
    PLAN.set(Some((calls, true)));
}

/// Ends the failures; returns whether one has happened, or would have at the next call.
pub fn stop() -> bool {
    matches!(PLAN.take(), None | Some((0, true)))
}

pub(crate) fn check() -> Result<(), Error> {
    match PLAN.get() {
        None => Ok(()),
        Some((0, all)) => {
            PLAN.set(all.then_some((0, true)));
            Err(Error::new(ErrorKind::StorageFull, "no space left (a test asked for this)"))
        }
        Some((calls, all)) => {
            PLAN.set(Some((calls - 1, all)));
            Ok(())
        }
    }
}
