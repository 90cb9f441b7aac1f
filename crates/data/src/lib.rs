//! Captions, images and their names, from the files that people have. No tensors.

mod captions;
mod error;
mod finecapeval;
mod input;
mod json;
mod keys;
mod names;
mod picture;
mod picture_folder;
mod picture_list;
mod rows;
mod shards;
mod split;
mod summary;
mod words;

pub use captions::{CaptionFile, CaptionText, Format, ReadOptions, Record};
pub use error::DataError;
pub use finecapeval::{CRITERIA, FineCapEval, FineImage, FineScore};
pub use keys::Columns;
pub use names::{NameClash, Names, PICTURE_ENDINGS, without_picture_ending};
pub use picture::{Picture, Target, decode_image, load_image};
pub use picture_folder::PictureFolder;
pub use picture_list::PictureList;
pub use shards::{Member, Sample, Shards, each_sample, is_shards};
pub use split::Split;
pub use summary::Summary;
pub use words::caption_words;
