use std::path::PathBuf;

/// Why a data set could not be generated or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenesError {
    /// A size that cannot be drawn.
    #[error("pictures of {0} pixels cannot be made: choose a size from 16 to 1024")]
    Size(u32),
    /// More different scenes than the world has.
    #[error("no new scene was found after scene {0}: ask for fewer scenes")]
    Exhausted(usize),
    /// The target folder has something in it.
    #[error("{} is not empty: choose another folder or remove it", .0.display())]
    NotEmpty(PathBuf),
    /// A folder like "." that cannot be renamed into place.
    #[error("{} has no name to write the data set under: name a new folder", .0.display())]
    Unnamed(PathBuf),
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error(transparent)]
    Files(#[from] finecap_files::FilesError),
    /// A picture could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// The encoder's reason.
        source: image::ImageError,
    },
}
