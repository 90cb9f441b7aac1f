//! Pictures as Python gives them.

use std::path::PathBuf;

use finecap::data::{DataError, Picture, decode_image, load_image};
use finecap::train::TrainError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

/// A picture: mode, width, height and bytes of Pillow; a file's bytes and a name for errors; or a path.
#[derive(FromPyObject)]
pub enum Input {
    Pixels(String, u32, u32, PyBackedBytes),
    Encoded(PyBackedBytes, String),
    Path(PathBuf),
}

impl Input {
    /// # Errors
    /// What can't be read, by name.
    pub fn read(&self) -> Result<Picture, TrainError> {
        Ok(match self {
            Self::Path(path) => load_image(path)?,
            Self::Encoded(bytes, name) => decode_image(bytes, name)?,
            Self::Pixels(mode, width, height, bytes) => {
                Picture::from_mode(mode, *width, *height, bytes).ok_or_else(|| {
                    DataError::Image {
                        what: format!("a picture of {width} x {height} pixels"),
                        reason: format!("the mode {mode} is not read: convert it to RGB first"),
                    }
                })?
            }
        })
    }
}
