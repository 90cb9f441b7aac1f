//! Whole folders.

use std::path::Path;

use crate::temporary::{beside, parent, remove_leftovers, unique};
use crate::{FilesError, system};

/// Writes a folder under a temporary name, flushes it to disk, and puts it in the place of
/// `target`, replacing what was there. A kill at any moment leaves the old folder or the new one.
///
/// Where the system can exchange two folders (Linux), `target` exists at every moment. Elsewhere
/// there is a moment between two renames, after which [`recover`] finds the folder again.
///
/// # Errors
/// Those of `write`, and [`FilesError::Io`]; the old folder is still there then.
pub fn write_folder<E: From<FilesError>>(
    target: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    system::create_folders(parent(target))?;
    recover(target)?;
    let part = unique(target);
    let written = system::create_folders(&part)
        .map_err(E::from)
        .and_then(|()| write(&part))
        .and_then(|()| Ok(system::flush_folder(&part)?))
        .and_then(|()| Ok(replace(&part, target)?));
    if written.is_err() {
        // The error is what the user should read; a later call removes what is left.
        let _ = system::remove(&part);
    }
    written
}

/// Puts a complete folder in the place of `target`.
fn replace(part: &Path, target: &Path) -> Result<(), FilesError> {
    let old = beside(target, "old");
    if !target.exists() {
        system::rename(part, target)?;
        return system::flush_entries(parent(target));
    }
    if system::exchange(part, target)? {
        system::flush_entries(parent(target))?;
        return system::remove(part);
    }
    let new = beside(target, "new");
    system::rename(part, &new)?;
    system::rename(target, &old)?;
    system::rename(&new, target)?;
    system::flush_entries(parent(target))?;
    system::remove(&old)
}

/// Brings a folder back that a killed [`write_folder`] had moved aside, and removes what it left.
///
/// Whoever reads a folder that may have been written by a killed process calls this first. A
/// folder `.NAME.new` is complete, so that it takes the target's place where there is none.
///
/// # Errors
/// [`FilesError::Io`].
pub fn recover(target: &Path) -> Result<(), FilesError> {
    let [new, old] = ["new", "old"].map(|kind| beside(target, kind));
    for candidate in [&new, &old] {
        if !target.exists() && candidate.is_dir() {
            system::rename(candidate, target)?;
        }
    }
    for leftover in [&new, &old] {
        system::remove(leftover)?;
    }
    remove_leftovers(target)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{fault, write_text};

    fn write(target: &Path, text: &str) -> Result<(), FilesError> {
        write_folder(target, |dir| {
            write_text(&dir.join("a.txt"), text)?;
            write_text(&dir.join("deep/b.txt"), text)
        })
    }

    /// The text of a folder, which must be whole.
    fn read(target: &Path) -> String {
        let [a, b] = ["a.txt", "deep/b.txt"].map(|name| fs::read_to_string(target.join(name)));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a, b);
        a
    }

    #[test]
    fn a_failure_at_any_call_leaves_the_old_folder_or_the_new_one() {
        for killed in [false, true] {
            for calls in 0.. {
                let dir = tempfile::tempdir().unwrap();
                let target = dir.path().join("model");
                write(&target, "old").unwrap();
                if killed {
                    fault::fail_all_after(calls)
                } else {
                    fault::fail_once_after(calls)
                }
                let result = write(&target, "new");
                let failed = fault::stop();
                let found = read(&target);
                match &result {
                    Ok(()) => assert_eq!(found, "new"),
                    Err(_) => assert!(found == "old" || found == "new", "{found}"),
                }
                write(&target, "newer").unwrap();
                assert_eq!(read(&target), "newer");
                if !failed {
                    assert!(result.is_ok() && calls > 10, "{calls} calls");
                    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
                    break;
                }
            }
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_folder_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("model");
        write(&target, "old").unwrap();
        let failed = write_folder(&target, |dir| {
            write_text(&dir.join("a.txt"), "half")?;
            Err(FilesError::Busy { path: dir.into(), pid: None })
        });
        assert!(failed.is_err());
        assert_eq!(read(&target), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn folders_that_were_moved_aside_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("model");
        // Killed between the two renames of a system that can't exchange folders.
        for (kinds, expected) in
            [(&["old", "new"][..], "new"), (&["old"][..], "old"), (&["new"][..], "new")]
        {
            for kind in kinds {
                write(&beside(&target, kind), kind).unwrap();
            }
            recover(&target).unwrap();
            assert_eq!(read(&target), expected);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
            fs::remove_dir_all(&target).unwrap();
        }
    }

    #[test]
    fn leftovers_of_dead_processes_go_and_those_of_living_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("model");
        let [dead, living] = [i32::MAX as u32, std::process::id()]
            .map(|pid| beside(&target, &format!("part-{pid}-999")));
        for folder in [&dead, &living] {
            fs::create_dir(folder).unwrap();
        }
        write(&target, "new").unwrap();
        assert!(!dead.exists() && living.exists());
    }
}
