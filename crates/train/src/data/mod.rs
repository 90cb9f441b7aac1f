//! Data sets: pictures with captions, and the order in which training sees them.

mod dataset;
mod order;
mod read;
mod scenes;
mod text;

pub use dataset::{Dataset, ImageRecord, ImageSource};
pub use finecap_data::{Split, caption_words};
pub(crate) use order::batch;
pub use order::epoch_order;
