//! A CLIP model with what it needs around it, as a folder in Hugging Face's layout.

use std::borrow::Borrow;
use std::fs;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor};
use burn_store::{
    BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleContext, ModuleSnapshot,
    PyTorchToBurnAdapter, SafetensorsStore,
};
use image::RgbImage;
use serde_json::{Value, json};

use crate::model::normalize;
use crate::{Clip, ClipConfig, ClipError, ClipTokenizer, ImageFeatures, PreprocessConfig};

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
    /// [`ClipError::Config`] where vocabulary, special tokens or picture size differ.
    pub fn new(
        config: ClipConfig,
        model: Clip,
        tokenizer: ClipTokenizer,
        preprocess: PreprocessConfig,
    ) -> Result<Self, ClipError> {
        let text = &config.text_config;
        if tokenizer.vocab_size() > text.vocab_size {
            let problem = format!(
                "is {}, but the tokenizer has {} ids",
                text.vocab_size,
                tokenizer.vocab_size()
            );
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
        if preprocess.size as usize != config.vision_config.image_size {
            let problem = format!(
                "is {}, but preprocessing makes {} pixels",
                config.vision_config.image_size, preprocess.size
            );
            return Err(ClipError::config("vision_config.image_size", problem));
        }
        Ok(Self { config, model, tokenizer, preprocess })
    }

    /// Reads `config.json`, `model.safetensors`, `tokenizer.json` and `preprocessor_config.json`.
    ///
    /// Weights are read as float32, whatever the file holds. Loading is strict.
    ///
    /// # Errors
    /// A missing or malformed file, and any tensor that is missing, unexpected or of another
    /// shape, each named.
    pub fn load(dir: &Path, device: &Device) -> Result<Self, ClipError> {
        let config = read_config(&dir.join("config.json"))?;
        let mut model = config.init(device)?;
        model.load_weights(&dir.join("model.safetensors"))?;
        let tokenizer = ClipTokenizer::from_file(&dir.join("tokenizer.json"))?;
        let preprocess = PreprocessConfig::from_file(&dir.join("preprocessor_config.json"))?;
        Self::new(config, model, tokenizer, preprocess)
    }

    /// Writes the folder so that both [`ClipPipeline::load`] and `transformers` can read it.
    ///
    /// Files are written one by one: to get a folder whole or not at all, write to a temporary
    /// name and rename.
    ///
    /// # Errors
    /// [`ClipError::Io`] and [`ClipError::Weights`] where writing fails.
    pub fn save(&self, dir: &Path) -> Result<(), ClipError> {
        fs::create_dir_all(dir).map_err(|source| ClipError::write(dir, source))?;
        let path = dir.join("config.json");
        let text = serde_json::to_string_pretty(&hugging_face_config(&self.config));
        let text = text.map_err(|e| ClipError::config("config.json", e.to_string()))?;
        fs::write(&path, text).map_err(|source| ClipError::write(&path, source))?;
        save_weights(&self.model, &dir.join("model.safetensors"))?;
        self.tokenizer.save(dir)?;
        self.preprocess.save(&dir.join("preprocessor_config.json"))
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
    pub fn embed_images<I: Borrow<RgbImage> + Sync>(
        &self,
        images: &[I],
        device: &Device,
    ) -> Result<ImageFeatures, ClipError> {
        let pixels = self.preprocess.batch(images, device)?;
        let features = self.model.encode_image(pixels);
        Ok(ImageFeatures { embedding: normalize(features.embedding), grid: features.grid })
    }
}

/// A caption behind its prompt, with a space between; the bare caption where there is no prompt.
pub fn prompted(prompt: &str, caption: &str) -> String {
    match prompt {
        "" => caption.to_string(),
        prompt => format!("{prompt} {caption}"),
    }
}

fn read_config(path: &Path) -> Result<ClipConfig, ClipError> {
    let text = fs::read_to_string(path).map_err(|source| ClipError::read(path, source))?;
    let mut config: ClipConfig = serde_json::from_str(&text).map_err(|e| ClipError::File {
        path: path.to_path_buf(),
        problem: format!("is not a CLIP configuration: {e}"),
    })?;
    // Configurations written before 2023 say 2 and mean the highest id of the vocabulary.
    let text = &mut config.text_config;
    if text.eos_token_id == 2 && text.vocab_size > 3 {
        text.eos_token_id = text.vocab_size as u32 - 1;
        text.bos_token_id = text.vocab_size as u32 - 2;
    }
    Ok(config)
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

impl Clip {
    /// Reads a safetensors file with Hugging Face's names into this model, as float32. Nothing
    /// may be missing, left over or of another shape.
    ///
    /// # Errors
    /// [`ClipError::Io`] and [`ClipError::Weights`], the latter naming the tensor.
    pub fn load_weights(&mut self, path: &Path) -> Result<(), ClipError> {
        load_weights(self, path)
    }
}

fn load_weights(model: &mut Clip, path: &Path) -> Result<(), ClipError> {
    if !path.is_file() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(ClipError::read(path, source));
    }
    let adapter =
        PyTorchToBurnAdapter.chain(LogitScale::FromFile).chain(FloatCastAdapter::to(DType::F32));
    // `position_ids` are constant buffers that older files carry along.
    let mut store = SafetensorsStore::from_file(path)
        .with_from_adapter(adapter)
        .allow_partial(true)
        .validate(false);
    let weights = |problem: String| ClipError::Weights { path: path.to_path_buf(), problem };
    let report = model.load_from(&mut store).map_err(|e| weights(e.to_string()))?;
    if let Some(error) = report.errors.first() {
        return Err(weights(error.to_string()));
    }
    if let Some((name, _)) = report.missing.first() {
        let more = report.missing.len() - 1;
        return Err(weights(format!("tensor `{name}` is missing (and {more} more)")));
    }
    if let Some(name) = report.unused.iter().find(|name| !name.ends_with(".position_ids")) {
        return Err(weights(format!("tensor `{name}` has no place in this model")));
    }
    Ok(())
}

fn save_weights(model: &Clip, path: &Path) -> Result<(), ClipError> {
    let mut store = SafetensorsStore::from_file(path)
        .with_to_adapter(BurnToPyTorchAdapter.chain(LogitScale::ToFile))
        .clear_metadata()
        // `transformers` refuses files that don't say where their layout comes from.
        .metadata("format", "pt")
        .overwrite(true);
    model
        .save_into(&mut store)
        .map_err(|e| ClipError::Weights { path: path.to_path_buf(), problem: e.to_string() })
}

/// The released files hold the logit scale without dimensions; Burn has no such parameters.
#[derive(Clone, Copy)]
enum LogitScale {
    FromFile,
    ToFile,
}

impl ModuleAdapter for LogitScale {
    fn adapt(
        &self,
        mut tensor: burn_store::burn_pack::Tensor,
        _: ModuleContext<'_>,
    ) -> burn_store::burn_pack::Tensor {
        if tensor.name == "logit_scale" {
            let dims: Vec<usize> = match self {
                Self::FromFile => vec![1],
                Self::ToFile => vec![],
            };
            if tensor.shape.iter().product::<usize>() == 1 {
                tensor.shape = dims.into();
            }
        }
        tensor
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(*self)
    }
}
