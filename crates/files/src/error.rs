use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

/// Why a file or folder could not be written or locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The system refused.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// "create", "write", "rename", ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: Error,
    },
    /// Another process works in the same folder.
    #[error(
        "{} is in use by {}: wait until it has ended, or choose another folder", path.display(),
        pid.map_or_else(|| "another process".to_string(), |pid| format!("process {pid}"))
    )]
    Busy {
        /// The folder.
        path: PathBuf,
        /// Its process, where that could be read.
        pid: Option<u32>,
    },
}

impl FilesError {
    /// For `map_err`: an I/O error with the action and the path.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

/// What a user can do about the reasons that have nothing to do with the file itself.
fn remedy(source: &Error) -> &'static str {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free some space and try again",
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            "; choose a place that can be written to"
        }
        _ => "",
    }
}
