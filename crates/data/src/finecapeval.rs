//! Reading FineCapEval (Cho et al. 2022): detailed captions of images, and the phrases that
//! annotators noted about background, objects and relations.

use std::collections::HashMap;
use std::path::Path;

use finecap_metrics::{
    Match, MetricsError, cider_d, fine_cell_is_missing, fine_phrases, fine_recall, ptb_tokenize,
};

use crate::input::Input;
use crate::rows::Rows;
use crate::{DataError, Names};

/// What phrases are about, in the order of the columns.
pub const CRITERIA: [&str; 3] = ["background", "object", "relation"];

/// How words are matched, under the names that are printed.
const MODES: [(&str, Match); 2] = [("reference", Match::Reference), ("strict", Match::Strict)];

/// One number of every image; the score is their mean.
#[derive(Debug, Clone, PartialEq)]
pub struct FineScore {
    /// `overall` or one of the [`CRITERIA`].
    pub criterion: &'static str,
    /// `CIDEr-D`; or how words are matched: `reference` finds a stem anywhere in the caption, as the
    /// released scorer, `strict` a word of the same stem.
    pub mode: &'static str,
    /// The numbers.
    pub per_image: Vec<f64>,
}

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
}

impl FineCapEval {
    /// Reads the data set: a csv file with the columns image, caption, background, object and
    /// relation, one row for each annotator of an image.
    ///
    /// # Errors
    /// A file that can't be read, lacks a column, is no csv or has no complete row.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Self::parsed(Input::open(path)?)
    }

    /// Reads the bytes of such a file, which errors call `file`.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn parse(bytes: impl Into<Vec<u8>>, file: &str) -> Result<Self, DataError> {
        Self::parsed(Input::new(Path::new(file), std::io::Cursor::new(bytes.into()))?)
    }

    fn parsed(input: Input) -> Result<Self, DataError> {
        let path = input.path.clone();
        let mut rows = Rows::new(input, ',');
        let header = rows.next()?.map_or_else(Vec::new, |(_, cells)| cells);
        let column = |name: &str| {
            header.iter().position(|header| header == name).ok_or_else(|| {
                let problem = format!(
                    "has no column `{name}`: it needs image, caption, {}",
                    CRITERIA.join(", ")
                );
                DataError::file(&path, problem)
            })
        };
        let (image, caption) = (column("image")?, column("caption")?);
        let criteria = [column(CRITERIA[0])?, column(CRITERIA[1])?, column(CRITERIA[2])?];
        let mut found = Self { images: Vec::new(), left_out: 0 };
        let mut by_name: HashMap<String, usize> = HashMap::new();
        while let Some((line, cells)) = rows.next()? {
            if cells.len() != header.len() {
                let (own, all) = (cells.len(), header.len());
                let problem = format!("line {line}: has {own} cells and must have {all}");
                return Err(DataError::file(&path, problem));
            }
            let needed = [image, caption].into_iter().chain(criteria);
            if needed.into_iter().any(|column| fine_cell_is_missing(&cells[column])) {
                found.left_out += 1;
                continue;
            }
            let place = *by_name.entry(cells[image].clone()).or_insert_with(|| {
                let (name, captions, phrases) =
                    (cells[image].clone(), Vec::new(), Default::default());
                found.images.push(FineImage { name, captions, phrases });
                found.images.len() - 1
            });
            let own = &mut found.images[place];
            own.captions.push(cells[caption].clone());
            for (phrases, column) in own.phrases.iter_mut().zip(criteria) {
                phrases.extend(fine_phrases(&cells[column]));
            }
        }
        if found.images.is_empty() {
            return Err(DataError::file(&path, "has no row whose columns are all filled"));
        }
        Ok(found)
    }

    /// Scores one caption for each of some images, given by their places: CIDEr-D against the
    /// annotators' captions, then the recall of every criterion by both rules.
    ///
    /// # Errors
    /// [`MetricsError`] without captions.
    pub fn score(&self, captions: &[(usize, String)]) -> Result<Vec<FineScore>, MetricsError> {
        let words: Vec<String> =
            captions.iter().map(|(_, caption)| ptb_tokenize(caption)).collect();
        let references: Vec<Vec<String>> = captions
            .iter()
            .map(|(place, _)| {
                self.images[*place].captions.iter().map(|c| ptb_tokenize(c)).collect()
            })
            .collect();
        let per_image = cider_d(&words, &references)?.per_image;
        let mut scores = vec![FineScore { criterion: "overall", mode: "CIDEr-D", per_image }];
        for (i, criterion) in CRITERIA.into_iter().enumerate() {
            for (mode, how) in MODES {
                let recall = |(place, caption): &(usize, String)| {
                    // An image whose rows have no phrase counts 0, as in the released scorer.
                    fine_recall(caption, &self.images[*place].phrases[i], how).unwrap_or(0.0)
                };
                let per_image = captions.iter().map(recall).collect();
                scores.push(FineScore { criterion, mode, per_image });
            }
        }
        Ok(scores)
    }

    /// An index over the names of the images.
    pub fn names(&self) -> Names {
        Names::new(self.images.iter().map(|image| image.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FineCapEval, DataError> {
        FineCapEval::parse(text, "fine.csv")
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
        let names = found.names();
        for (name, place) in
            [("x/1.jpg", Some(0)), ("1", Some(0)), ("2", Some(1)), ("y/1.jpg", None)]
        {
            assert_eq!(names.find(name), Ok(place), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("", "no column `image`"),
            ("image,caption,background,object\n", "no column `relation`"),
            ("image,caption,background,object,relation\n", "no row"),
            ("image,caption,background,object,relation\na,b\n", "line 2: has 2 cells"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("fine.csv: ") && error.contains(expected), "{error}");
        }
        assert!(FineCapEval::read(Path::new("no/such.csv")).is_err());
    }
}
