//! The usual names of columns and keys, in order of preference.

use std::str::FromStr;

/// What an image is called. The first that a record has is its name, the others are further names.
const IMAGES: [&str; 18] = [
    "image_id",
    "imageid",
    "image",
    "img",
    "image_name",
    "image_file",
    "image_path",
    "img_path",
    "file_name",
    "filename",
    "filepath",
    "file_path",
    "file",
    "path",
    "picture",
    "photo",
    "url",
    "cocoid",
];
/// Counters and the like: a name only where there is no other.
const COUNTERS: [&str; 5] = ["key", "name", "id", "img_id", "imgid"];
const CAPTIONS: [&str; 11] = [
    "caption",
    "captions",
    "references",
    "sentences",
    "caption_text",
    "comment",
    "sentence",
    "text",
    "title",
    "description",
    "raw",
];

/// What the value of a key or column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A name of the image, with its rank.
    Image(usize),
    /// A name only where there is no other.
    Counter(usize),
    /// Captions, with their rank.
    Caption(usize),
    Split,
    AltTexts,
    Decoding,
    Other,
}

impl Role {
    /// The role of a usual name, or the one that `columns` say.
    pub fn of(key: &str, columns: &Columns) -> Self {
        let key = key.trim().to_ascii_lowercase();
        let is =
            |said: &Option<String>| said.as_ref().is_some_and(|s| s.to_ascii_lowercase() == key);
        let rank = |keys: &[&str]| keys.iter().position(|known| *known == key);
        if is(&columns.image) {
            return Self::Image(0);
        }
        if is(&columns.caption) {
            return Self::Caption(0);
        }
        if is(&columns.split) {
            return Self::Split;
        }
        let (image, caption) = (columns.image.is_none(), columns.caption.is_none());
        if let Some(rank) = rank(&IMAGES).filter(|_| image) {
            return Self::Image(rank);
        }
        if let Some(rank) = rank(&CAPTIONS).filter(|_| caption) {
            return Self::Caption(rank);
        }
        if let Some(rank) = rank(&COUNTERS).filter(|_| image) {
            return Self::Counter(rank);
        }
        match key.as_str() {
            "split" if columns.split.is_none() => Self::Split,
            "alt_texts" => Self::AltTexts,
            "decoding" => Self::Decoding,
            _ => Self::Other,
        }
    }
}

/// Which columns of a table, or keys of JSON, hold what; where nothing is said, usual names are
/// looked for. Numbers count the columns of a table without a header, from 1.
///
/// ```
/// use finecap_data::Columns;
/// let columns: Columns = "image=photo_id,caption=words".parse().unwrap();
/// assert_eq!(columns.caption.as_deref(), Some("words"));
/// assert!("picture=1".parse::<Columns>().is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Names of images.
    pub image: Option<String>,
    /// Captions.
    pub caption: Option<String>,
    /// Part of the data set.
    pub split: Option<String>,
}

impl Columns {
    /// Whether anything is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        [&self.image, &self.caption, &self.split].into_iter().flatten()
    }

    /// Whether all that is said is numbers of columns.
    pub(crate) fn are_numbers(&self) -> bool {
        !self.is_empty() && self.all().all(|column| column.parse::<usize>().is_ok_and(|n| n > 0))
    }

    /// What is said and `header` lacks.
    pub(crate) fn missing(&self, header: &[String]) -> Option<&String> {
        let has =
            |column: &str| header.iter().any(|h| h.trim().eq_ignore_ascii_case(column.trim()));
        self.all().find(|column| !has(column))
    }
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut columns = Self::default();
        for part in text.split(',') {
            let wrong = || format!("`{part}` must be image=COLUMN, caption=COLUMN or split=COLUMN");
            let (role, column) = part.split_once('=').ok_or_else(wrong)?;
            let place = match role.trim() {
                "image" => &mut columns.image,
                "caption" => &mut columns.caption,
                "split" => &mut columns.split,
                _ => return Err(wrong()),
            };
            let column = column.trim();
            if column.is_empty() || place.replace(column.to_string()).is_some() {
                return Err(wrong());
            }
        }
        Ok(columns)
    }
}
