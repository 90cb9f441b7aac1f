use std::path::Path;

use burn::tensor::Device;

use crate::caption_model::CaptionModel;
use crate::error::CaptionerError;
use crate::model::Captioner;
use crate::vocab::Vocab;

/// A captioner and the words that its ids stand for.
#[derive(Debug, Clone)]
pub struct CaptionerPipeline<M = Captioner> {
    /// The model.
    pub model: M,
    /// Its vocabulary.
    pub vocab: Vocab,
}

impl CaptionerPipeline {
    /// Reads a folder written by [`Captioner::save`].
    ///
    /// # Errors
    /// Those of [`Captioner::load`].
    pub fn load(dir: &Path, device: &Device) -> Result<Self, CaptionerError> {
        let (model, vocab) = Captioner::load(dir, device)?;
        Ok(Self { model, vocab })
    }
}

impl<M: CaptionModel> CaptionerPipeline<M> {
    /// Writes the model with its vocabulary, as [`CaptionModel::save`] does.
    ///
    /// # Errors
    /// Those of [`CaptionModel::save`].
    pub fn save(&self, dir: &Path) -> Result<(), CaptionerError> {
        self.model.save(dir, &self.vocab)
    }
}
