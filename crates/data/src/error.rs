use std::path::{Path, PathBuf};

use crate::NameClash;

/// Why captions, images or names cannot be used: one sentence that names the file and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder could not be read.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// "read", "open", ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file was read, but its content is wrong, or is not what it is needed for.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A picture that cannot be used: unreadable, of a kind that is not read, damaged or too large.
    #[error("image {what}: {reason}")]
    Image {
        /// The file's path, or what stands for it when the bytes came from memory.
        what: String,
        /// What is wrong with it and what would help.
        reason: String,
    },
    /// A name in a file could mean two images.
    #[error("{}: {clash}", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// The name and both images.
        clash: NameClash,
    },
}

impl DataError {
    /// For `map_err`: an I/O error with the action and the path.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// What is wrong with the content of a file, and what to do.
    pub fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::File { path: path.to_path_buf(), problem: problem.into() }
    }

    /// For `map_err`: a clash of names in the file at `path`.
    pub fn name(path: &Path) -> impl FnOnce(NameClash) -> Self {
        let path = path.to_path_buf();
        move |clash| Self::Name { path, clash }
    }
}
