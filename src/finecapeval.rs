//! Reading FineCapEval (Cho et al. 2022): detailed captions of images, and the phrases that
//! annotators noted about background, objects and relations.

use std::collections::HashMap;
use std::path::Path;

use finecap_metrics::{fine_cell_is_missing, fine_phrases};

use crate::captions::{CaptionsError, names_of_file};

/// What phrases are about, in the order of the columns.
pub const CRITERIA: [&str; 3] = ["background", "object", "relation"];

/// An image with what all its annotators wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct FineImage {
    /// Name as in the file.
    pub name: String,
    /// One caption of each annotator.
    pub captions: Vec<String>,
    /// The phrases of all annotators for each of the [`CRITERIA`].
    pub phrases: [Vec<String>; 3],
}

/// The data set.
#[derive(Debug, Clone, PartialEq)]
pub struct FineCapEval {
    /// Its images, in the order of the file.
    pub images: Vec<FineImage>,
    /// Rows that were left out because a column is empty, as the released scorer does.
    pub left_out: usize,
    /// Any name to a place; `None` for a name that several images have.
    places: HashMap<String, Option<usize>>,
}

impl FineCapEval {
    /// Reads the data set: a csv file with the columns image, caption, background, object and
    /// relation, one row for each annotator of an image.
    ///
    /// # Errors
    /// A file that can't be read, lacks a column, is no csv or has no complete row.
    pub fn read(path: &Path) -> Result<Self, CaptionsError> {
        let file = path.display().to_string();
        let bytes = std::fs::read(path)
            .map_err(|error| CaptionsError::new(&file, format!("can't be read: {error}")))?;
        Self::parse(&bytes, &file)
    }

    /// Reads the bytes of such a file, which errors call `file`.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, CaptionsError> {
        let error = |what: String| CaptionsError::new(file, what);
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let mut reader = csv::Reader::from_reader(bytes);
        let headers = reader.headers().map_err(|e| error(format!("is not csv: {e}")))?.clone();
        let column = |name: &str| {
            headers.iter().position(|header| header == name).ok_or_else(|| {
                error(format!(
                    "has no column `{name}`: it needs image, caption, {}",
                    CRITERIA.join(", ")
                ))
            })
        };
        let (image, caption) = (column("image")?, column("caption")?);
        let criteria = [column(CRITERIA[0])?, column(CRITERIA[1])?, column(CRITERIA[2])?];
        let mut found = Self { images: Vec::new(), left_out: 0, places: HashMap::new() };
        let mut by_name: HashMap<String, usize> = HashMap::new();
        for row in reader.records() {
            let row = row.map_err(|e| error(format!("is not csv: {e}")))?;
            let cell = |column: usize| row.get(column).unwrap_or_default();
            let needed = [image, caption].into_iter().chain(criteria);
            if needed.into_iter().any(|column| fine_cell_is_missing(cell(column))) {
                found.left_out += 1;
                continue;
            }
            let place = *by_name.entry(cell(image).to_string()).or_insert_with(|| {
                let (name, captions, phrases) =
                    (cell(image).into(), Vec::new(), Default::default());
                found.images.push(FineImage { name, captions, phrases });
                found.images.len() - 1
            });
            let own = &mut found.images[place];
            own.captions.push(cell(caption).to_string());
            for (phrases, column) in own.phrases.iter_mut().zip(criteria) {
                phrases.extend(fine_phrases(cell(column)));
            }
        }
        if found.images.is_empty() {
            return Err(error("has no row whose columns are all filled".into()));
        }
        for (place, image) in found.images.iter().enumerate() {
            for name in names_of_file(&image.name).into_iter().chain([image.name.clone()]) {
                let known = found.places.entry(name).or_insert(Some(place));
                if *known != Some(place) {
                    *known = None;
                }
            }
        }
        Ok(found)
    }

    /// The place of an image by its name, with or without folder and ending.
    pub fn find(&self, name: &str) -> Option<usize> {
        let short = names_of_file(name);
        let mut names = std::iter::once(name).chain(short.iter().map(String::as_str));
        names.find_map(|name| self.places.get(name).copied().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FineCapEval, CaptionsError> {
        FineCapEval::parse(text.as_bytes(), "fine.csv")
    }

    #[test]
    fn annotators_of_an_image_are_pooled() {
        let text = "relation,image,caption,background,object\n\
            a on b,x/1.jpg,A dog,wall\\;Red sky,dog\n\
            b in c,x/1.jpg,One dog,wall,cat\n\
            ,x/1.jpg,No relation,wall,cat\n\
            d by e,2.jpg,A cat,sea,cat\n";
        let found = parse(text).unwrap();
        assert_eq!((found.images.len(), found.left_out), (2, 1));
        assert_eq!(found.images[0].captions, ["A dog", "One dog"]);
        let phrases = |list: &[&str]| list.iter().map(|p| p.to_string()).collect::<Vec<_>>();
        let expected = [&["wall", "red sky", "wall"][..], &["dog", "cat"], &["a on b", "b in c"]];
        assert_eq!(found.images[0].phrases, expected.map(phrases));
        for name in ["x/1.jpg", "1.jpg", "1", "y/1.png"] {
            assert_eq!(found.find(name), Some(0), "{name}");
        }
        assert_eq!((found.find("2"), found.find("3")), (Some(1), None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("", "no column `image`"),
            ("image,caption,background,object\n", "no column `relation`"),
            ("image,caption,background,object,relation\n", "no row"),
            ("image,caption,background,object,relation\na,b\n", "not csv"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("fine.csv: ") && error.contains(expected), "{error}");
        }
        assert!(FineCapEval::read(Path::new("no/such.csv")).is_err());
    }
}
