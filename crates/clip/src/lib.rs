//! CLIP image and text encoders, tokenizer and preprocessing on Burn.

mod error;
mod preprocess;
mod tokenizer;

pub use error::ClipError;
pub use preprocess::{Fit, PreprocessConfig, decode_image, load_image};
pub use tokenizer::ClipTokenizer;
