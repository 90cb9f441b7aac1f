//! Everything that can go wrong in this crate, as one enum.

use std::path::{Path, PathBuf};

use crate::DType;

/// A failure of `finecap-weights`: one sentence that names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A file that the system would not read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's own reason.
        source: std::io::Error,
    },
    /// A file of another kind.
    #[error(
        "{} {problem}; finecap reads safetensors, PyTorch (.pt, .pth, .bin, .ckpt) and \
         TorchScript files",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What it is or lacks.
        problem: String,
    },
    /// A file that is cut off or contradicts itself.
    #[error("{} is damaged or cut off ({problem}); fetch it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// A file that is too large, too deep or too strange to be read safely.
    #[error(
        "{} is refused: {problem}; save the model's `state_dict()` as safetensors with PyTorch \
         if you trust the file",
        path.display()
    )]
    Refused {
        /// The file.
        path: PathBuf,
        /// The limit it breaks, or what this crate does not read.
        problem: String,
    },
    /// A tensor that the file does not have.
    #[error("{} has no tensor `{name}`; `finecap inspect` lists those it has", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor whose elements are of another type than asked for.
    #[error("tensor `{name}` in {} holds {dtype} and cannot be read as {wanted}", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        dtype: DType,
        /// The type asked for.
        wanted: &'static str,
    },
}

/// What is wrong with a file, before the file's name is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    Format(String),
    Damaged(String),
    Refused(String),
}

impl Fault {
    pub(crate) fn in_file(self, path: &Path) -> WeightsError {
        let path = path.to_path_buf();
        match self {
            Self::Format(problem) => WeightsError::Format { path, problem },
            Self::Damaged(problem) => WeightsError::Damaged { path, problem },
            Self::Refused(problem) => WeightsError::Refused { path, problem },
        }
    }

    pub(crate) fn damaged<T>(problem: impl Into<String>) -> Result<T, Self> {
        Err(Self::Damaged(problem.into()))
    }

    pub(crate) fn refused<T>(problem: impl Into<String>) -> Result<T, Self> {
        Err(Self::Refused(problem.into()))
    }
}
