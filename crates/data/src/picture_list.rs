//! Pictures as a command is given them: files, and folders of files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::{DataError, PictureFolder};

/// Pictures in order, each with a name of its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PictureList {
    /// The files.
    pub paths: Vec<PathBuf>,
    /// Their names: of a file that was given itself the file name, of one in a folder that was given
    /// the path below that.
    pub names: Vec<String>,
    /// What was left out of folders, one sentence for each.
    pub notes: Vec<String>,
}

impl PictureList {
    /// Takes files as they are given, and of folders everything that can be decoded, in the order of
    /// their paths.
    ///
    /// # Errors
    /// A folder that can't be read, or holds no pictures.
    pub fn read(given: &[PathBuf]) -> Result<Self, DataError> {
        let mut list = Self::default();
        for path in given {
            if !path.is_dir() {
                list.paths.push(path.clone());
                list.names.push(file_name(path));
                continue;
            }
            let folder = PictureFolder::read(path)?;
            if folder.paths().is_empty() {
                return Err(DataError::file(path, "has no pictures in it"));
            }
            list.paths.extend(folder.paths().iter().map(|below| folder.path(below)));
            list.names.extend_from_slice(folder.paths());
            if let Some(first) = folder.left_out().first() {
                let n = folder.left_out().len();
                let what = match n {
                    1 => format!("left out, since it is no picture: {first}"),
                    n => format!("left out, since they are no pictures: {n}, such as {first}"),
                };
                list.notes.push(format!("{}: {what}", path.display()));
            }
        }
        Ok(list)
    }

    /// Makes sure that no two pictures have the same name.
    ///
    /// # Errors
    /// [`DataError::File`] with both files.
    pub fn check_names(&self) -> Result<(), DataError> {
        let mut seen = HashMap::new();
        for (name, path) in self.names.iter().zip(&self.paths) {
            if let Some(other) = seen.insert(name, path) {
                let other = other.display();
                let problem =
                    format!("has the same name as {other}: give them to runs of their own");
                return Err(DataError::file(path, problem));
            }
        }
        Ok(())
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
