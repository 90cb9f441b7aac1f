//! Finding picture files by the names of images.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::names::without_picture_ending;
use crate::picture::is_picture;
use crate::{DataError, Names, Record};

/// Deeper folders are not looked into.
const MAX_DEPTH: usize = 16;

/// The pictures in a folder and the folders in it, found by [the rule for names](crate::Names).
#[derive(Debug)]
pub struct PictureFolder {
    dir: PathBuf,
    /// Paths below the folder, with `/` between, in order.
    paths: Vec<String>,
    /// Other files and what lies too deep, as paths below the folder.
    left_out: Vec<String>,
    names: Names,
}

impl PictureFolder {
    /// Lists the files that have a picture's ending, and those of other names that begin as a picture
    /// does.
    ///
    /// # Errors
    /// [`DataError::Io`] for a folder that can't be read.
    pub fn read(dir: &Path) -> Result<Self, DataError> {
        let mut found = Found::default();
        found.list(dir, "", &mut Vec::new())?;
        let Found { pictures: mut paths, mut left_out } = found;
        paths.sort();
        left_out.sort();
        let names = Names::of_files(paths.iter().map(String::as_str));
        Ok(Self { dir: dir.to_path_buf(), paths, left_out, names })
    }

    /// The pictures as paths below the folder, in order.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// What else is in the folder: its other files, and folders that lie too deep.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
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

/// What is found below a folder.
#[derive(Default)]
struct Found {
    pictures: Vec<String>,
    left_out: Vec<String>,
}

impl Found {
    /// Adds the files of `dir`, whose names begin with `below`. `within` are the folders that it lies
    /// in, as they really are: a link back to one of them is left out.
    fn list(
        &mut self,
        dir: &Path,
        below: &str,
        within: &mut Vec<PathBuf>,
    ) -> Result<(), DataError> {
        within.push(fs::canonicalize(dir).map_err(DataError::io("read", dir))?);
        for entry in fs::read_dir(dir).map_err(DataError::io("read", dir))? {
            let entry = entry.map_err(DataError::io("read", dir))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(DataError::io("read", &path))?;
            let file_name = entry.file_name();
            let name = format!("{below}{}", file_name.to_string_lossy());
            let is_dir = kind.is_dir() || (kind.is_symlink() && path.is_dir());
            // A name that is no text could not be found again.
            let is_hidden = file_name.to_str().is_none_or(|name| name.starts_with('.'));
            let goes_round = is_dir
                && kind.is_symlink()
                && fs::canonicalize(&path).is_ok_and(|real| within.contains(&real));
            if is_hidden || goes_round || (is_dir && within.len() > MAX_DEPTH) {
                self.left_out.push(name);
            } else if is_dir {
                self.list(&path, &format!("{name}/"), within)?;
            } else if without_picture_ending(&name).len() < name.len() || begins_as_picture(&path) {
                self.pictures.push(name);
            } else {
                self.left_out.push(name);
            }
        }
        within.pop();
        Ok(())
    }
}

fn begins_as_picture(path: &Path) -> bool {
    let mut head = Vec::with_capacity(32);
    let file = path.is_file().then(|| File::open(path).ok()).flatten();
    file.is_some_and(|file| file.take(32).read_to_end(&mut head).is_ok() && is_picture(&head))
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

    #[test]
    fn everything_in_a_folder_is_a_picture_or_named_as_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/.hidden")).unwrap();
        let png = b"\x89PNG\r\n\x1a\n";
        let files: [(&str, &[u8]); 8] = [
            ("a.jpe", b""),
            ("b/c", png),
            ("b/d.v2", png),
            ("b/e.txt", b"a dog"),
            (".DS_Store", b""),
            ("._a.jpe", b""),
            ("b/.hidden/f.png", png),
            ("g.json", b"{}"),
        ];
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path(), dir.path().join("b/round")).unwrap();
        let folder = PictureFolder::read(dir.path()).unwrap();
        assert_eq!(folder.paths(), ["a.jpe", "b/c", "b/d.v2"]);
        let left_out = folder.left_out().iter().filter(|name| *name != "b/round");
        let expected = [".DS_Store", "._a.jpe", "b/.hidden", "b/e.txt", "g.json"];
        assert_eq!(left_out.collect::<Vec<_>>(), expected);
        assert!(cfg!(not(unix)) || folder.left_out().contains(&"b/round".to_string()));
    }
}
