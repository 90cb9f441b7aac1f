//! Finding picture files by the keys of captions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::TrainError;

/// A folder of pictures, which captions name with or without their endings.
pub struct PictureFolder {
    dir: PathBuf,
    /// Picture files by their name without ending; `None` where several share it.
    by_stem: HashMap<String, Option<PathBuf>>,
}

impl PictureFolder {
    /// Lists the PNG and JPEG files of a folder.
    ///
    /// # Errors
    /// [`TrainError::Io`] for a folder that can't be read.
    pub fn read(dir: &Path) -> Result<Self, TrainError> {
        let mut by_stem = HashMap::new();
        for entry in std::fs::read_dir(dir).map_err(TrainError::io("read", dir))? {
            let path = entry.map_err(TrainError::io("read", dir))?.path();
            let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
            let known = ["png", "jpg", "jpeg"];
            if let (Some(ending), Some(stem)) = (ending, path.file_stem())
                && known.iter().any(|known| ending == *known)
            {
                let stem = stem.to_string_lossy().into_owned();
                by_stem.entry(stem).and_modify(|found| *found = None).or_insert(Some(path));
            }
        }
        Ok(Self { dir: dir.to_path_buf(), by_stem })
    }

    /// The file that a key means: the one of that name, or the picture of that name without its
    /// ending.
    ///
    /// # Errors
    /// [`TrainError::File`] with the key, where there is none or there are several.
    pub fn find(&self, key: &str) -> Result<PathBuf, TrainError> {
        let exact = self.dir.join(key);
        if exact.is_file() {
            return Ok(exact);
        }
        match self.by_stem.get(key) {
            Some(Some(path)) => Ok(path.clone()),
            Some(None) => {
                let problem = format!("has several pictures called `{key}`: add the ending");
                Err(TrainError::file(&self.dir, problem))
            }
            None => {
                let problem = format!(
                    "has no picture for `{key}`: it must be called {key}, or {key} with .png, .jpg or .jpeg"
                );
                Err(TrainError::file(&self.dir, problem))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_find_files_with_and_without_ending() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.jpg", "b.PNG", "c.png", "c.jpeg", "d.txt", "e.1.png"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let folder = PictureFolder::read(dir.path()).unwrap();
        for (key, file) in [
            ("a", "a.jpg"),
            ("a.jpg", "a.jpg"),
            ("b", "b.PNG"),
            ("c.png", "c.png"),
            ("d.txt", "d.txt"),
            ("e.1", "e.1.png"),
        ] {
            assert_eq!(folder.find(key).unwrap(), dir.path().join(file), "{key}");
        }
        for (key, expected) in [("c", "several"), ("d", "no picture for `d`"), ("a.png", "`a.png`")]
        {
            let error = folder.find(key).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(PictureFolder::read(&dir.path().join("none")).is_err());
    }
}
