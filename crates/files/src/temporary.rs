//! Names for what is not finished yet.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{FilesError, system};

/// The folder that a path lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A hidden name beside `target`: `.NAME.KIND`.
pub(crate) fn beside(target: &Path, kind: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    parent(target).join(format!(".{name}.{kind}"))
}

/// A hidden name beside `target` that no other process and no other thread uses.
pub(crate) fn unique(target: &Path) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    beside(target, &format!("part-{}-{number}", std::process::id()))
}

/// Removes what processes that no longer run have left of `target`.
pub(crate) fn remove_leftovers(target: &Path) -> Result<(), FilesError> {
    let start = beside(target, "part-");
    let start = start.file_name().unwrap_or_default().to_string_lossy();
    let Ok(entries) = std::fs::read_dir(parent(target)) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(&*start)?.split('-').next());
        if owner.and_then(|pid| pid.parse().ok()).is_some_and(is_over) {
            system::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether the process of this number is known to have ended.
#[cfg(unix)]
fn is_over(pid: u32) -> bool {
    use rustix::io::Errno;
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// Other systems don't say; the names stay unique.
#[cfg(not(unix))]
fn is_over(_: u32) -> bool {
    false
}
