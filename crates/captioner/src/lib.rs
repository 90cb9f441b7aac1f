//! Encoder-decoder captioning Transformer with cached decoding on Burn.
//!
//! The model is the captioner of Cho et al. 2022, "Fine-grained Image Captioning with CLIP
//! Reward": a pre-norm Transformer that reads a grid of image features and writes words.
//!
//! ```text
//! features [B, P, F] ── Captioner::encode ──► Memory (keys and values, once per image)
//!                                                │
//! captions ── Teacher::new ── Captioner::logits ─┤ teacher-forced logits [N, T, V]
//!                                                │
//!             Decoding + Draws ── Captioner::decode ► greedy and sampled captions
//!                   BeamSearch ── Captioner::beam_search ► the most probable captions
//! ```
//!
//! Letters used in shapes: `B` images, `K` captions per image, `N = B·K` captions (rows are
//! image-major: the captions of one image are neighbours), `T` tokens, `P` image positions,
//! `F` feature width, `D` model width, `H` heads, `V` vocabulary.
//!
//! No backend is chosen here: everything takes a [`Device`](burn::tensor::Device).

mod attention;
mod beam;
mod cache;
mod caption_model;
mod config;
mod decode;
mod decoder;
mod draws;
mod encoder;
mod error;
mod feature_spec;
mod feed_forward;
mod folder;
mod init;
mod linear;
mod model;
mod norm;
mod pipeline;
mod positions;
mod reference;
mod sampling;
mod teacher;
mod vocab;

#[cfg(test)]
mod tests;

pub use beam::{BeamSearch, Hypothesis};
pub use caption_model::CaptionModel;
pub use config::{CaptionerConfig, Norm};
pub use decode::{Caption, Decoding, ImageCaptions};
pub use decoder::DecoderState;
pub use draws::Draws;
pub use error::CaptionerError;
pub use feature_spec::{FeatureDifference, FeatureSource, FeatureSpec};
pub use model::{Captioner, Memory, token_log_probs};
pub use pipeline::CaptionerPipeline;
pub use reference::{ReferenceCaptioner, ReferenceTensor};
pub use teacher::Teacher;
pub use vocab::{BAD_ENDINGS, END, UNKNOWN, Vocab};
