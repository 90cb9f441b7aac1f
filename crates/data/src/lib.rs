//! Captions, images and their names, from the files that people have. No tensors.

mod captions;
mod error;
mod input;
mod json;
mod keys;
mod names;
mod rows;
mod split;
mod words;

pub use captions::{CaptionFile, CaptionText, Format, ReadOptions, Record};
pub use error::DataError;
pub use keys::Columns;
pub use names::{NameClash, Names, PICTURE_ENDINGS, without_picture_ending};
pub use split::Split;
pub use words::caption_words;
