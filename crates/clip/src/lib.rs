//! CLIP image and text encoders, tokenizer and preprocessing on Burn.

mod error;

pub use error::ClipError;
