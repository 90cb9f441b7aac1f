//! The calls to the system, each with the name of its action and its path.

use std::fs::{self, File, OpenOptions};
use std::path::Path;

use crate::{FilesError, fault};

/// One call; tests make it fail.
pub(crate) fn call<T>(
    action: &'static str,
    path: &Path,
    call: impl FnOnce() -> std::io::Result<T>,
) -> Result<T, FilesError> {
    fault::check().and_then(|()| call()).map_err(FilesError::io(action, path))
}

pub(crate) fn create_new(path: &Path) -> Result<File, FilesError> {
    call("create", path, || OpenOptions::new().write(true).create_new(true).open(path))
}

pub(crate) fn create_folders(dir: &Path) -> Result<(), FilesError> {
    call("create", dir, || fs::create_dir_all(dir))
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), FilesError> {
    call("write", to, || fs::rename(from, to))
}

/// Removes a file or a folder with all that is in it, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), FilesError> {
    let Ok(kind) = path.symlink_metadata() else { return Ok(()) };
    call("remove", path, || match kind.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    })
}

/// Puts each of two folders in the other's place at once; `false` where the system can't.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn exchange(a: &Path, b: &Path) -> Result<bool, FilesError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    call("write", b, || match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
        Err(error) => Err(error.into()),
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn exchange(_: &Path, _: &Path) -> Result<bool, FilesError> {
    Ok(false)
}

/// Flushes every file of a folder, and the folder itself.
pub(crate) fn flush_folder(dir: &Path) -> Result<(), FilesError> {
    for entry in call("read", dir, || fs::read_dir(dir))? {
        let path = call("read", dir, || entry)?.path();
        if path.is_dir() {
            flush_folder(&path)?;
        } else {
            call("flush", &path, || File::open(&path)?.sync_all())?;
        }
    }
    flush_entries(dir)
}

/// Flushes which names a folder holds.
#[cfg(unix)]
pub(crate) fn flush_entries(dir: &Path) -> Result<(), FilesError> {
    call("flush", dir, || File::open(dir)?.sync_all())
}

/// Other systems give no handle to flush a folder with.
#[cfg(not(unix))]
pub(crate) fn flush_entries(_: &Path) -> Result<(), FilesError> {
    Ok(())
}
