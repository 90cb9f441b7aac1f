//! A CLIP model with what it needs around it, as a folder in Hugging Face's layout.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use serde_json::{Value, json};

use crate::model::normalize;
use crate::{
    Clip, ClipConfig, ClipError, ClipTokenizer, ClipWeights, ImageFeatures, Picture,
    PreprocessConfig, Tower,
};

/// Captions encoded together; rows are sorted by length first, so little padding is computed.
const TEXT_BATCH: usize = 128;

/// A model, its tokenizer and its image preprocessing: text and pictures in, embeddings out.
#[derive(Debug, Clone)]
pub struct ClipPipeline {
    /// Sizes of the model.
    pub config: ClipConfig,
    /// The weights.
    pub model: Clip,
    /// Text to token ids.
    pub tokenizer: ClipTokenizer,
    /// Picture to pixels.
    pub preprocess: PreprocessConfig,
}

impl ClipPipeline {
    /// Puts a pipeline together and checks that its parts belong together.
    ///
    /// # Errors
    /// [`ClipError::Config`] where vocabulary, end token or picture size differ.
    pub fn new(
        config: ClipConfig,
        model: Clip,
        tokenizer: ClipTokenizer,
        preprocess: PreprocessConfig,
    ) -> Result<Self, ClipError> {
        check_tokenizer(&config, &tokenizer)?;
        check_preprocess(&config, &preprocess)?;
        Ok(Self { config, model, tokenizer, preprocess })
    }

    /// Reads a CLIP from a folder or file of any kind that [`ClipWeights::open`] knows.
    ///
    /// Weights are read as float32, whatever the file holds. Loading is strict.
    ///
    /// # Errors
    /// A missing or malformed file, and any tensor that is missing, unexpected or of another
    /// shape, each named.
    pub fn load(path: &Path, device: &Device) -> Result<Self, ClipError> {
        Ok(ClipWeights::open(path, None)?.load(device)?.pipeline)
    }

    /// As [`load`](Self::load), for work that needs one tower only: also reads folders of a single
    /// tower, `CLIPTextModelWithProjection` and `CLIPVisionModelWithProjection`. Nothing may be asked
    /// of the other tower then.
    ///
    /// # Errors
    /// Those of [`load`](Self::load), and a folder of the other tower alone.
    pub fn load_tower(path: &Path, tower: Tower, device: &Device) -> Result<Self, ClipError> {
        ClipWeights::open(path, None)?.load_tower(tower, device)
    }

    /// Writes a folder that [`ClipPipeline::load`] can read, in Hugging Face's layout, which
    /// `transformers` can read too. ResNets, which `transformers` does not support, are written in
    /// OpenCLIP's layout.
    ///
    /// # Errors
    /// Those of [`save_as`](Self::save_as).
    pub fn save(&self, dir: &Path) -> Result<(), ClipError> {
        self.save_as(dir, self.config.natural_layout(), &BTreeMap::new())
    }

    /// Unit-length embeddings of captions, in order. Equal captions are encoded once.
    ///
    /// # Shapes
    /// - output: `[N, E]`
    ///
    /// # Errors
    /// None on well-formed pipelines; see [`Clip::encode_tokens`].
    pub fn embed_texts<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        device: &Device,
    ) -> Result<Tensor<2>, ClipError> {
        if texts.is_empty() {
            return Ok(Tensor::zeros([0, self.config.projection_dim], device));
        }
        let states = self.text_states(texts, device)?;
        Ok(normalize(self.model.project_text(states)))
    }

    /// States of the captions' end tokens before the projection, in order. Equal captions are
    /// encoded once.
    ///
    /// # Shapes
    /// - output: `[N, D]`
    ///
    /// # Errors
    /// None on well-formed pipelines; see [`Clip::encode_tokens`].
    pub fn text_states<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        device: &Device,
    ) -> Result<Tensor<2>, ClipError> {
        if texts.is_empty() {
            return Ok(Tensor::zeros([0, self.config.text_config.hidden_size], device));
        }
        let ids = self.tokenizer.encode_batch(texts, self.model.context_length())?;
        self.model.text_states_by_length(&ids, TEXT_BATCH, device)
    }

    /// Encodes pictures of any size; the embedding comes unit-length, the grid as it is.
    ///
    /// # Errors
    /// [`ClipError::Image`] for a picture without pixels.
    pub fn embed_images<I: Borrow<Picture>>(
        &self,
        images: &[I],
        device: &Device,
    ) -> Result<ImageFeatures, ClipError> {
        let pixels = self.preprocess.batch(images, device)?;
        let features = self.model.encode_image(pixels);
        Ok(ImageFeatures { embedding: normalize(features.embedding), grid: features.grid })
    }
}

/// Checks that pictures are prepared in the size that the model reads.
pub(crate) fn check_preprocess(
    config: &ClipConfig,
    preprocess: &PreprocessConfig,
) -> Result<(), ClipError> {
    let (size, made) = (config.vision_config.image_size(), preprocess.size as usize);
    match size == made {
        true => Ok(()),
        false => {
            let problem = format!("is {size}, but preprocessing makes {made} pixels");
            Err(ClipError::config("vision_config.image_size", problem))
        }
    }
}

/// Checks that a model of these sizes can read what the tokenizer writes.
pub(crate) fn check_tokenizer(
    config: &ClipConfig,
    tokenizer: &ClipTokenizer,
) -> Result<(), ClipError> {
    let text = &config.text_config;
    if tokenizer.vocab_size() > text.vocab_size {
        let problem =
            format!("is {}, but the tokenizer has {} ids", text.vocab_size, tokenizer.vocab_size());
        return Err(ClipError::config("text_config.vocab_size", problem));
    }
    if tokenizer.eos_id() != text.eos_token_id {
        let problem = format!(
            "is {}, but the tokenizer ends captions with {}",
            text.eos_token_id,
            tokenizer.eos_id()
        );
        return Err(ClipError::config("text_config.eos_token_id", problem));
    }
    Ok(())
}

/// A caption behind its prompt, with a space between; the bare caption where there is no prompt.
pub fn prompted(prompt: &str, caption: &str) -> String {
    match prompt {
        "" => caption.to_string(),
        prompt => format!("{prompt} {caption}"),
    }
}

/// # Errors
/// [`ClipError::Io`] where writing fails.
pub(crate) fn write_config(config: &ClipConfig, path: &Path) -> Result<(), ClipError> {
    let text = serde_json::to_string_pretty(&hugging_face_config(config));
    let text = text.map_err(|e| ClipError::config("config.json", e.to_string()))?;
    fs::write(path, text).map_err(|source| ClipError::write(path, source))
}

fn hugging_face_config(config: &ClipConfig) -> Value {
    let mut value = json!(config);
    value["model_type"] = json!("clip");
    value["architectures"] = json!(["CLIPModel"]);
    value["torch_dtype"] = json!("float32");
    value["text_config"]["model_type"] = json!("clip_text_model");
    value["vision_config"]["model_type"] = json!("clip_vision_model");
    for tower in ["text_config", "vision_config"] {
        value[tower]["projection_dim"] = json!(config.projection_dim);
    }
    value["text_config"]["pad_token_id"] = json!(config.text_config.eos_token_id);
    value
}
