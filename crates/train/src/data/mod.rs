//! Data sets: pictures with captions, and the order in which training sees them.

mod captions;
mod dataset;
mod karpathy;
mod order;
mod scenes;

pub use dataset::{Dataset, ImageRecord, ImageSource, Split};
pub use karpathy::caption_words;
pub(crate) use order::batch;
pub use order::epoch_order;
