//! Finding picture files by the names of images.

use std::fs;
use std::path::{Path, PathBuf};

use crate::names::without_picture_ending;
use crate::{DataError, Names, Record};

/// Deeper folders are not looked into, so that links that go round end.
const MAX_DEPTH: usize = 16;

/// The pictures in a folder and the folders in it, found by [the rule for names](crate::Names).
#[derive(Debug)]
pub struct PictureFolder {
    dir: PathBuf,
    /// Paths below the folder, with `/` between, in order.
    paths: Vec<String>,
    names: Names,
}

impl PictureFolder {
    /// Lists the files that have a picture's ending.
    ///
    /// # Errors
    /// [`DataError::Io`] for a folder that can't be read.
    pub fn read(dir: &Path) -> Result<Self, DataError> {
        let mut paths = Vec::new();
        list(dir, "", 0, &mut paths)?;
        paths.sort();
        let names = Names::of_files(paths.iter().map(String::as_str));
        Ok(Self { dir: dir.to_path_buf(), paths, names })
    }

    /// The pictures as paths below the folder, in order.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// The whole path of one that is given below the folder.
    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    /// The pictures of images, as paths below the folder; `None` where there is none.
    ///
    /// # Errors
    /// [`DataError::Name`] for a name that could mean two pictures, or a picture that could be that
    /// of two images.
    pub fn find_all<'a>(
        &self,
        images: impl Iterator<Item = &'a Record> + Clone,
    ) -> Result<Vec<Option<String>>, DataError> {
        let names = Names::with_aliases(images.clone().map(Record::names));
        let found = names.pair(&self.names).map_err(DataError::name(&self.dir))?;
        let below = |(image, place): (&Record, Option<usize>)| match place {
            Some(place) => Some(self.paths[place].clone()),
            // A file that is called like no picture, or lies elsewhere.
            None => self.path(&image.name).is_file().then(|| image.name.clone()),
        };
        Ok(images.zip(found).map(below).collect())
    }

    /// The picture files of images, all of which must be there.
    ///
    /// # Errors
    /// Those of [`find_all`](Self::find_all); [`DataError::File`] for the first image without one.
    pub fn all<'a>(
        &self,
        images: impl Iterator<Item = &'a Record> + Clone,
    ) -> Result<Vec<PathBuf>, DataError> {
        let found = self.find_all(images.clone())?;
        let path = |(image, below): (&Record, Option<String>)| match below {
            Some(below) => Ok(self.path(&below)),
            None => Err(self.missing(&image.name)),
        };
        images.zip(found).map(path).collect()
    }

    /// What is said of an image that has no picture here.
    pub fn missing(&self, name: &str) -> DataError {
        let stem = without_picture_ending(name);
        DataError::file(
            &self.dir,
            format!(
                "has no picture for `{name}`: it must be called {name}, or {stem} with an ending \
                 such as .jpg or .png"
            ),
        )
    }
}

fn list(dir: &Path, below: &str, depth: usize, found: &mut Vec<String>) -> Result<(), DataError> {
    for entry in fs::read_dir(dir).map_err(DataError::io("read", dir))? {
        let entry = entry.map_err(DataError::io("read", dir))?;
        let kind = entry.file_type().map_err(DataError::io("read", &entry.path()))?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if kind.is_dir() || (kind.is_symlink() && entry.path().is_dir()) {
            if depth < MAX_DEPTH {
                list(&entry.path(), &format!("{name}/"), depth + 1, found)?;
            }
        } else if without_picture_ending(&name).len() < name.len() {
            found.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CaptionFile, ReadOptions};

    #[test]
    fn names_find_files_by_the_one_rule() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("val")).unwrap();
        let files = [
            "a.jpg",
            "b.PNG",
            "c.png",
            "c.jpeg",
            "d.txt",
            "e.1.png",
            "3.png",
            "1.jpg",
            "val/9.jfif",
            "COCO_val2014_000000000042.jpg",
        ];
        for name in files {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let folder = PictureFolder::read(dir.path()).unwrap();
        let find = |name: &str| {
            let text = serde_json::json!([{"image_id": name, "caption": ""}]).to_string();
            let file = CaptionFile::parse(text, "f", &ReadOptions::default()).unwrap();
            folder.all(file.records.iter()).map(|found| found[0].clone())
        };
        for (name, file) in [
            ("a", "a.jpg"),
            ("a.jpg", "a.jpg"),
            ("b", "b.PNG"),
            ("c.png", "c.png"),
            ("d.txt", "d.txt"),
            ("e.1", "e.1.png"),
            ("9", "val/9.jfif"),
            ("42", "COCO_val2014_000000000042.jpg"),
        ] {
            assert_eq!(find(name).unwrap(), dir.path().join(file), "{name}");
        }
        for (name, expected) in [
            ("c", "`c` could be `c.jpeg` or `c.png`"),
            ("d", "no picture for `d`"),
            ("a.png", "`a.png`"),
            ("3.1", "`3.1`"),
            ("train/1.jpg", "`train/1.jpg`"),
        ] {
            let error = find(name).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(PictureFolder::read(&dir.path().join("none")).is_err());
    }
}
