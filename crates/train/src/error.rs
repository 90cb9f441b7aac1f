use std::path::{Path, PathBuf};

use finecap_captioner::CaptionerError;
use finecap_clip::ClipError;
use finecap_data::DataError;
use finecap_metrics::MetricsError;
use finecap_reward::RewardError;
use finecap_scenes::ScenesError;

/// What can go wrong while preparing, training or evaluating.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// "read", "write", ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file was read, but its content is wrong.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A setting has a value that cannot work.
    #[error("the setting `{field}` {problem}")]
    Setting {
        /// Dotted name, as in the configuration file.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The loss or the gradient is not a finite number; the weights are as they were.
    #[error("the {what} is not finite at step {step}; the step was not taken; image names are in {}; try a lower learning rate", dump.display())]
    NotFinite {
        /// "loss" or "gradient norm".
        what: &'static str,
        /// The step that would have been taken.
        step: usize,
        /// File with the batch's image ids.
        dump: PathBuf,
    },
    /// The work was asked to stop, and can go on later.
    #[error("stopped after {done} of {total} ({work}): go on with the same command{how}")]
    Stopped {
        /// The phase, or what was made.
        work: String,
        /// Steps or images that are done and kept.
        done: usize,
        /// All of them.
        total: usize,
        /// What the command needs besides, as " and --resume".
        how: &'static str,
    },
    /// The device failed while results were read back.
    #[error("reading results back from the device failed: {0}")]
    Device(String),
    /// A file or folder could not be written or locked.
    #[error(transparent)]
    Files(#[from] finecap_files::FilesError),
    /// Captions, images or names can't be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The captioner refused.
    #[error(transparent)]
    Captioner(#[from] CaptionerError),
    /// The CLIP model refused.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// A metric refused.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A reward refused.
    #[error(transparent)]
    Reward(#[from] RewardError),
    /// The generated data set could not be made.
    #[error(transparent)]
    Scenes(#[from] ScenesError),
}

impl TrainError {
    /// For `map_err`: an I/O error with the action and the path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::File { path: path.to_path_buf(), problem: problem.into() }
    }

    pub(crate) fn setting(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Setting { field: field.into(), problem: problem.into() }
    }
}
