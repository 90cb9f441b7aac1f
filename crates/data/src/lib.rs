//! Captions, images and their names, from the files that people have. No tensors.

mod error;
mod names;
mod words;

pub use error::DataError;
pub use names::{NameClash, Names, PICTURE_ENDINGS, without_picture_ending};
pub use words::caption_words;
