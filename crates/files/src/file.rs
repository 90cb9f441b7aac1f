//! Single files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::temporary::{parent, remove_leftovers, unique};
use crate::{FilesError, fault, system};

/// A file that gets its name when it is finished.
///
/// It is written under a temporary name. [`finish`](Self::finish) flushes it to disk and puts it in
/// the target's place; dropped before, it leaves the target as it was. What is not a regular file,
/// such as `/dev/stdout` or a pipe, is written to directly.
#[derive(Debug)]
pub struct NewFile {
    file: BufWriter<File>,
    target: PathBuf,
    /// `None` where the target is written to directly.
    part: Option<PathBuf>,
}

impl NewFile {
    /// Begins a file that is to replace `target`, or what that links to. The folder must exist.
    ///
    /// # Errors
    /// [`FilesError::Io`] where it can't be created.
    pub fn create(target: &Path) -> Result<Self, FilesError> {
        let target = target.canonicalize().unwrap_or_else(|_| target.to_path_buf());
        if target.metadata().is_ok_and(|kind| !kind.is_file() && !kind.is_dir()) {
            let file = system::call("open", &target, || File::options().write(true).open(&target))?;
            return Ok(Self { file: BufWriter::new(file), target, part: None });
        }
        remove_leftovers(&target)?;
        let part = unique(&target);
        let file = system::create_new(&part).map_err(|error| named(error, &target))?;
        Ok(Self { file: BufWriter::new(file), target, part: Some(part) })
    }

    /// Flushes the file and gives it its name.
    ///
    /// # Errors
    /// [`FilesError::Io`], after which the target is as it was.
    pub fn finish(mut self) -> Result<(), FilesError> {
        let Some(part) = self.part.clone() else {
            return system::call("write", &self.target, || self.file.flush());
        };
        system::call("write", &self.target, || self.file.flush())?;
        system::call("flush", &self.target, || self.file.get_ref().sync_all())?;
        system::rename(&part, &self.target)?;
        self.part = None;
        system::flush_entries(parent(&self.target))
    }

    /// The target.
    pub fn path(&self) -> &Path {
        &self.target
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        fault::check()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // An error that got here first is the one to report; a later run removes what is left.
        let _ = self.part.take().map(|part| system::remove(&part));
    }
}

/// The error with the path that the user knows, instead of the temporary one.
fn named(error: FilesError, target: &Path) -> FilesError {
    match error {
        FilesError::Io { action, source, .. } => {
            FilesError::Io { action, path: target.to_path_buf(), source }
        }
        other => other,
    }
}

/// Writes a file by `write`, whole or not at all; its folder is created if need be.
///
/// # Errors
/// Those of `write`, and [`FilesError::Io`]; the target is as it was then.
pub fn write_file<E: From<FilesError>>(
    target: &Path,
    write: impl FnOnce(&mut NewFile) -> Result<(), E>,
) -> Result<(), E> {
    system::create_folders(parent(target))?;
    let mut file = NewFile::create(target)?;
    write(&mut file)?;
    Ok(file.finish()?)
}

/// Writes a text file, whole or not at all; its folder is created if need be.
///
/// # Errors
/// [`FilesError::Io`]; the target is as it was then.
pub fn write_text(target: &Path, text: &str) -> Result<(), FilesError> {
    write_file(target, |file| {
        file.write_all(text.as_bytes()).map_err(FilesError::io("write", target))
    })
}

/// Writes a value as indented JSON, whole or not at all; its folder is created if need be.
///
/// # Errors
/// [`FilesError::Io`], also for a value that JSON can't hold; the target is as it was then.
pub fn write_json<T: Serialize + ?Sized>(target: &Path, value: &T) -> Result<(), FilesError> {
    write_file(target, |file| {
        let failed = |error: serde_json::Error| std::io::Error::from(error);
        let written = serde_json::to_writer_pretty(&mut *file, value).map_err(failed);
        written.and_then(|()| file.write_all(b"\n")).map_err(FilesError::io("write", target))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_failure_at_any_call_leaves_the_old_file_or_the_new_one() {
        for killed in [false, true] {
            for calls in 0.. {
                let dir = tempfile::tempdir().unwrap();
                let target = dir.path().join("a.json");
                write_json(&target, "old").unwrap();
                if killed {
                    fault::fail_all_after(calls)
                } else {
                    fault::fail_once_after(calls)
                }
                let result = write_json(&target, "new");
                let failed = fault::stop();
                let found = fs::read_to_string(&target).unwrap();
                match &result {
                    Ok(()) => assert_eq!(found, "\"new\"\n"),
                    Err(_) => assert!(found == "\"old\"\n" || found == "\"new\"\n", "{found}"),
                }
                write_json(&target, "newer").unwrap();
                assert_eq!(fs::read_to_string(&target).unwrap(), "\"newer\"\n");
                if !failed {
                    assert!(result.is_ok() && calls > 5, "{calls} calls");
                    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
                    break;
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.txt");
        let mut file = NewFile::create(&target).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_are_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let [real, link] = ["real.txt", "link.txt"].map(|name| dir.path().join(name));
        write_text(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write_text(&link, "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        write_text(Path::new("/dev/null"), "nothing").unwrap();
        let full = write_text(Path::new("/dev/full"), "x").map_err(|error| error.to_string());
        if Path::new("/dev/full").exists() {
            let message = full.unwrap_err();
            assert!(
                message.contains("/dev/full") && message.contains("free some space"),
                "{message}"
            );
        }
    }
}
