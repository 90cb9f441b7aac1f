//! Files of captions, in every format that is read: one reader for training, scores, evaluation and
//! reports.

mod entry;
mod folder;
mod format;
mod json;
mod lines;
mod records;
mod sentence;
mod shards;
mod table;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::{Path, PathBuf};

pub(crate) use entry::captions_in_object;
pub use format::Format;
use format::Reading;
use records::Records;

use crate::input::Input;
use crate::shards::{Member, is_shards};
use crate::{Columns, DataError, Names, Split, caption_words};

/// What is said about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name as the file gives it.
    pub name: String,
    /// Further names, as a number beside a file name.
    pub aliases: Vec<String>,
    /// Captions, in the order of the file. There may be none, and they may be empty.
    pub captions: Vec<CaptionText>,
    /// Whether the file gives a list of captions, be it of a single one.
    pub is_list: bool,
    /// Part of the data set, as the file calls it.
    pub split: Option<String>,
    /// Further descriptions, an extension of ours to Karpathy's schema.
    pub alt_texts: Vec<String>,
    /// Where its picture lies in a shard.
    pub picture: Option<Member>,
}

impl Record {
    fn named(name: String) -> Self {
        Self {
            name,
            aliases: Vec::new(),
            captions: Vec::new(),
            is_list: false,
            split: None,
            alt_texts: Vec::new(),
            picture: None,
        }
    }

    /// All names, the shown one first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.aliases).map(String::as_str)
    }

    /// Whether the image is of the part `split`: that which the file calls so, or by another usual
    /// name, see [`Split::from_name`].
    pub fn is_of(&self, split: &str) -> bool {
        let Some(own) = &self.split else { return false };
        let usual = matches!(split, "train" | "val" | "test");
        own == split || (usual && Split::from_name(own) == Split::from_name(split))
    }
}

/// One caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionText {
    /// As it was written; the tokens with spaces between where the file has nothing else.
    pub raw: String,
    /// The words as the file has cut them, with single spaces between; `None` where it has not.
    pub tokens: Option<String>,
}

impl CaptionText {
    /// A caption that nobody has cut into words.
    pub fn new(raw: impl Into<String>) -> Self {
        Self { raw: raw.into(), tokens: None }
    }

    /// Drops the raw text where [`words`](Self::words) does without.
    fn keep_words(&mut self) {
        if self.tokens.as_deref().is_some_and(|tokens| !tokens.is_empty()) {
            self.raw = String::new();
        }
    }

    /// The words that training reads, in lower case with single spaces between: the tokens, or
    /// where there are none [`caption_words`].
    pub fn words(&self) -> String {
        match self.tokens.as_deref() {
            None | Some("") => caption_words(&self.raw).join(" "),
            Some(tokens) => tokens.to_lowercase(),
        }
    }
}

/// How a file is read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Which columns or keys hold what.
    pub columns: Columns,
    /// Whether captions without images will do: plain text with one caption a line, a list of
    /// texts. Each is an image of its own then, called after its line.
    pub captions_only: bool,
    /// Whether single broken entries (a row with too few cells, a caption that is null) are passed
    /// over and counted in the notes, instead of ending it all.
    pub lenient: bool,
    /// Whether only the words of captions are needed: the raw text of those that the file has cut
    /// into words is dropped then, which is half of the memory.
    pub words_only: bool,
}

/// Captions by image.
///
/// ```
/// use finecap_data::{CaptionFile, ReadOptions};
/// let text = "image,caption\n7.jpg,\"a dog, running\"\n7.jpg,a dog\n8.jpg,a cat\n";
/// let file = CaptionFile::parse(text, "captions.csv", &ReadOptions::default())?;
/// assert_eq!(file.records.len(), 2);
/// assert_eq!(file.records[0].captions[0].raw, "a dog, running");
/// # Ok::<(), finecap_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CaptionFile {
    /// Where it was read.
    pub path: PathBuf,
    /// What it was taken for.
    pub format: Format,
    /// The images, each once, in the order of the file. There is at least one.
    pub records: Vec<Record>,
    /// What was passed over or replaced, one sentence each.
    pub notes: Vec<String>,
    /// How the captions were decoded, where the first record says so, as that of
    /// `finecap caption --output` does.
    pub decoding: Option<serde_json::Value>,
}

impl CaptionFile {
    /// Reads a file, a folder of pictures with texts beside them, or shards, as `{000..123}.tar`. What
    /// a file is, is seen from its content; it may be gzipped and may begin with a byte order mark.
    ///
    /// # Errors
    /// [`DataError::Io`], and [`DataError::File`] for what is none of the [formats](Format), is
    /// broken, or holds no captions.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        if path.is_dir() {
            return folder::read(path)?.finish(Format::Folder);
        }
        if is_shards(path) {
            return shards::read(path, options)?.finish(Format::Shards);
        }
        Self::parsed(Input::open(path)?, options)
    }

    /// Reads the bytes of a file, which errors call `name`.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn parse(
        bytes: impl Into<Vec<u8>>,
        name: &str,
        options: &ReadOptions,
    ) -> Result<Self, DataError> {
        Self::from_reader(std::io::Cursor::new(bytes.into()), name, options)
    }

    /// Reads the bytes of a file as they come; errors call it `name`.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn from_reader(
        reader: impl Read + 'static,
        name: &str,
        options: &ReadOptions,
    ) -> Result<Self, DataError> {
        Self::parsed(Input::new(Path::new(name), reader)?, options)
    }

    fn parsed(input: Input, options: &ReadOptions) -> Result<Self, DataError> {
        let mut records = Records::new(&input.path, options);
        let format = match Reading::of(&input, options)? {
            Reading::Json => json::read(input, options, &mut records)?,
            Reading::Table(header) => table::read(input, header, options, &mut records)?,
            Reading::Token => lines::tokens(input, &mut records)?,
            Reading::Pairs => lines::pairs(input, &mut records)?,
            Reading::Lines => lines::plain(input, &mut records)?,
        };
        records.finish(format)
    }

    /// An index over the names of the images.
    pub fn names(&self) -> Names {
        Names::with_aliases(self.records.iter().map(Record::names))
    }

    /// Asks for exactly one caption for each image, as candidates have.
    ///
    /// # Errors
    /// [`DataError::File`] with the first image that has none or several.
    pub fn check_single(&self) -> Result<(), DataError> {
        match self.records.iter().find(|record| record.captions.len() != 1) {
            Some(Record { name, captions, .. }) => {
                let n = captions.len();
                let problem = format!("image `{name}` has {n} captions: give exactly one");
                Err(DataError::file(&self.path, problem))
            }
            None => Ok(()),
        }
    }

    /// Asks for at least one caption for each image, as references have.
    ///
    /// # Errors
    /// [`DataError::File`] with the first image that has none.
    pub fn check_references(&self) -> Result<(), DataError> {
        match self.records.iter().find(|record| record.captions.is_empty()) {
            Some(Record { name, .. }) => {
                Err(DataError::file(&self.path, format!("image `{name}` has no references")))
            }
            None => Ok(()),
        }
    }

    /// Keeps only the images of one part.
    ///
    /// # Errors
    /// [`DataError::File`] if there are none.
    pub fn keep_split(&mut self, split: &str) -> Result<(), DataError> {
        let mut others: Vec<String> = Vec::new();
        self.records.retain(|record| {
            let own = record.is_of(split);
            if let Some(other) =
                record.split.as_ref().filter(|other| !own && !others.contains(other))
            {
                others.push(other.clone());
            }
            own
        });
        if self.records.is_empty() {
            let there = match others.is_empty() {
                true => "the file has no splits".to_string(),
                false => format!("there are {}", others.join(", ")),
            };
            let problem = format!("no image has the split `{split}`: {there}");
            return Err(DataError::file(&self.path, problem));
        }
        Ok(())
    }
}
