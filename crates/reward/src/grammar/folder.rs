//! A grammar-tuned CLIP with its head, as a folder.

use std::fs;
use std::path::Path;

use burn::tensor::{DType, Device};
use burn_store::{
    BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter,
    SafetensorsStore,
};
use finecap_clip::ClipPipeline;
use serde::{Deserialize, Serialize};

use super::reward::probabilities;
use super::{GrammarHead, GrammarHeadConfig};
use crate::{RewardError, TextEncoder};

const CONFIG: &str = "grammar.json";
const WEIGHTS: &str = "grammar_head.safetensors";

/// A CLIP whose text tower was tuned with a grammar head, and the head.
#[derive(Debug, Clone)]
pub struct GrammarScorer {
    /// The tuned CLIP.
    pub pipeline: ClipPipeline,
    /// Sizes of the head.
    pub config: GrammarHeadConfig,
    /// The head.
    pub head: GrammarHead,
    /// Put before every caption, with a space between; may be empty. Saved with the head, so that
    /// it is asked as it was trained.
    pub prompt: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    head: GrammarHeadConfig,
    prompt: String,
}

impl GrammarScorer {
    /// Puts a scorer together.
    ///
    /// # Errors
    /// [`RewardError::GrammarWidth`] for a head made for states of another width.
    pub fn new(
        pipeline: ClipPipeline,
        config: GrammarHeadConfig,
        head: GrammarHead,
        prompt: String,
    ) -> Result<Self, RewardError> {
        let text = pipeline.config.text_config.hidden_size;
        if config.width != text {
            return Err(RewardError::GrammarWidth { head: config.width, text });
        }
        Ok(Self { pipeline, config, head, prompt })
    }

    /// Reads a CLIP folder with `grammar.json` and `grammar_head.safetensors` in it.
    ///
    /// # Errors
    /// A missing or malformed file, and a head that does not fit the CLIP, each named.
    pub fn load(dir: &Path, device: &Device) -> Result<Self, RewardError> {
        let path = dir.join(CONFIG);
        let wrong = |path: &Path, problem: String| RewardError::File { path: path.into(), problem };
        let text = fs::read_to_string(&path).map_err(|e| {
            let problem =
                format!("cannot be read ({e}): a grammar model is made by `finecap train grammar`");
            wrong(&path, problem)
        })?;
        let file: File = serde_json::from_str(&text)
            .map_err(|e| wrong(&path, format!("is not a grammar head's configuration: {e}")))?;
        let pipeline = ClipPipeline::load(dir, device)?;
        let text = pipeline.config.text_config.hidden_size;
        if file.head.width != text {
            return Err(wrong(
                &path,
                format!(
                    "`head.width` is {}, but the text tower beside it is {text} wide: put a head and its own CLIP together",
                    file.head.width
                ),
            ));
        }
        let mut head = file.head.init(device);
        let path = dir.join(WEIGHTS);
        let mut store = SafetensorsStore::from_file(&path)
            .with_from_adapter(PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32)));
        // Strict by default: nothing may be missing, left over or of another shape.
        head.load_from(&mut store).map_err(|e| wrong(&path, format!("cannot be loaded: {e}")))?;
        Self::new(pipeline, file.head, head, file.prompt)
    }

    /// Writes the folder that [`load`](Self::load) reads; `transformers` can load the CLIP in it.
    ///
    /// # Errors
    /// Where writing fails.
    pub fn save(&self, dir: &Path) -> Result<(), RewardError> {
        self.pipeline.save(dir)?;
        self.save_head(dir)
    }

    /// Writes the head into the folder of its CLIP.
    ///
    /// # Errors
    /// Where writing fails.
    pub fn save_head(&self, dir: &Path) -> Result<(), RewardError> {
        let path = dir.join(CONFIG);
        let wrong = |problem: String| RewardError::File { path: path.clone(), problem };
        let file = File { head: self.config.clone(), prompt: self.prompt.clone() };
        let text = serde_json::to_string_pretty(&file).map_err(|e| wrong(e.to_string()))?;
        fs::write(&path, text + "\n").map_err(|e| wrong(format!("cannot be written: {e}")))?;
        let path = dir.join(WEIGHTS);
        let mut store = SafetensorsStore::from_file(&path)
            .with_to_adapter(BurnToPyTorchAdapter)
            .clear_metadata()
            .metadata("format", "pt")
            .overwrite(true);
        self.head.save_into(&mut store).map_err(|e| RewardError::File {
            path: path.clone(),
            problem: format!("cannot be written: {e}"),
        })
    }

    /// Probability that each caption is a sentence, in order. Equal captions are scored once.
    ///
    /// # Errors
    /// Those of [`ClipPipeline::text_states`], and [`RewardError::NotFinite`].
    pub fn probabilities<S: AsRef<str> + Sync>(
        &self,
        captions: &[S],
        device: &Device,
    ) -> Result<Vec<f32>, RewardError> {
        let states =
            TextEncoder::new(self.pipeline.clone(), device).states(&self.prompt, captions)?;
        probabilities(&self.head, states, captions)
    }
}
