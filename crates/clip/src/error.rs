//! Everything that can go wrong in this crate, as one enum.

use std::path::{Path, PathBuf};

/// A failure of `finecap-clip`: one sentence that names the thing at fault and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClipError {
    /// An image that cannot be used: unreadable, truncated, empty or too large.
    #[error("image {what}: {reason}")]
    Image {
        /// The file's path, or what stands for it when the bytes came from memory.
        what: String,
        /// What is wrong with it and what would help.
        reason: String,
    },
    /// A tokenizer that cannot be read, built or written.
    #[error("tokenizer {what}: {reason}")]
    Tokenizer {
        /// The file's path, or the tokenizer's kind when it is built in memory.
        what: String,
        /// What is wrong with it and what would help.
        reason: String,
    },
    /// A configuration with a missing, unknown or impossible value.
    #[error("configuration {what}: {reason}")]
    Config {
        /// The file's path, or the name of the configuration.
        what: String,
        /// The field at fault and the values it may take.
        reason: String,
    },
    /// A file whose content is not what it should be.
    #[error("{} {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what would help.
        problem: String,
    },
    /// Weights that don't fit the model.
    #[error("the weights in {} don't fit: {problem}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// The tensor at fault.
        problem: String,
    },
    /// A weight file that cannot be read.
    #[error(transparent)]
    WeightFile(#[from] finecap_weights::WeightsError),
    /// Token ids that the text tower cannot read.
    #[error("caption {row} cannot be encoded: {problem}")]
    Tokens {
        /// Position in the batch.
        row: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A file or folder that the system would not read or write.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read" or "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own reason.
        source: std::io::Error,
    },
}

impl ClipError {
    /// The error of a field in a model's configuration.
    pub(crate) fn config(field: &str, problem: impl Into<String>) -> Self {
        Self::Config { what: format!("field `{field}`"), reason: problem.into() }
    }

    /// The error of a file with weights that don't fit.
    pub(crate) fn weights(path: &Path, problem: String) -> Self {
        Self::Weights { path: path.to_path_buf(), problem }
    }

    /// The error of a read that the system refused.
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Io { action: "read", path: path.to_path_buf(), source }
    }

    /// The error of a write that the system refused.
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Io { action: "write", path: path.to_path_buf(), source }
    }
}
