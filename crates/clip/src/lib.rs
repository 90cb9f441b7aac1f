//! CLIP on Burn: image and text encoders, tokenizer, image preprocessing and contrastive loss.
//!
//! [`ClipPipeline`] holds all of it and is what most programs want; its folder has the layout of
//! Hugging Face's CLIP models, which `transformers` can load.

mod config;
mod config_file;
mod error;
mod folder;
mod json_file;
mod loss;
mod model;
mod preprocess;
mod text;
mod tokenizer;
mod transformer;
mod vision;
mod weights;

pub use config::{Activation, ClipConfig, ResNetConfig, TextConfig, VisionConfig, VitConfig};
pub use error::ClipError;
pub use folder::{ClipPipeline, prompted};
pub use loss::{MAX_LOGIT_SCALE, contrastive_loss};
pub use model::{Clip, ImageFeatures, normalize};
// Pictures are what the image tower reads.
pub use finecap_data::{Picture, decode_image, load_image};
pub use preprocess::{Fit, PreprocessConfig};
pub use text::TextTower;
pub use tokenizer::ClipTokenizer;
pub use transformer::Transformer;
pub use vision::{ResNet, VisionTower, Vit};
pub use weights::{
    ClipGuess, ClipWeights, Layout, LoadedClip, TensorSource, Tower, guess_clip, released_name,
    tensor_names,
};
