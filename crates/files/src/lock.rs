//! One process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::{FilesError, system};

/// Name of the file in a locked folder. It stays there; the system's lock on it is what counts.
const NAME: &str = ".lock";

/// A folder that this process alone works in, until this is dropped or the process ends in
/// whatever way.
#[derive(Debug)]
pub struct Lock {
    /// Holds the system's lock.
    _file: File,
}

impl Lock {
    /// Locks a folder, which is created if need be.
    ///
    /// # Errors
    /// [`FilesError::Busy`] where another process, or this one, holds the lock;
    /// [`FilesError::Io`].
    pub fn acquire(dir: &Path) -> Result<Self, FilesError> {
        system::create_folders(dir)?;
        let path = dir.join(NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = system::call("lock", dir, || options.open(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Err(FilesError::Busy { path: dir.into(), pid: text.trim().parse().ok() });
            }
            // Some network file systems know no locks; a run there is not kept from working.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(FilesError::io("lock", dir)(error)),
        }
        let pid = format!("{}\n", std::process::id());
        system::call("lock", dir, || {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(pid.as_bytes())
        })?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_and_a_stale_file_does_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), "4711\n").unwrap();
        let lock = Lock::acquire(dir.path()).unwrap();
        let error = Lock::acquire(dir.path()).unwrap_err().to_string();
        let expected = format!("is in use by process {}:", std::process::id());
        assert!(error.contains(&expected), "{error}");
        drop(lock);
        Lock::acquire(dir.path()).unwrap();
    }
}
