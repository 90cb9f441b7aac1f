//! CLIP image and text encoders, tokenizer and preprocessing on Burn.

mod error;
mod tokenizer;

pub use error::ClipError;
pub use tokenizer::ClipTokenizer;
