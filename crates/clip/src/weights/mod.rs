//! Released weights: which file holds what, and reading and writing it.

mod beside;
mod guess;
mod names;
mod open_clip;
mod read;
mod released;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use finecap_weights::{Format, WeightFile};

use beside::{Beside, TokenizerFiles, locate};
pub use guess::{ClipGuess, Tower, guess_clip};
use guess::{FoundClip, find_clip};
pub use names::Layout;
use open_clip::OPEN_CLIP_CONFIG;
pub use read::TensorSource;
pub use released::released_name;

use crate::folder::{check_preprocess, check_tokenizer, write_config};
use crate::{
    Activation, Clip, ClipConfig, ClipError, ClipPipeline, ClipTokenizer, PreprocessConfig,
};

/// A CLIP in a file or folder, with its sizes known and its weights not yet read.
#[derive(Debug)]
pub struct ClipWeights {
    file: WeightFile,
    found: FoundClip,
    config: ClipConfig,
    preprocess: PreprocessConfig,
    /// The folder's tokenizer, if there is one.
    tokenizer: Option<TokenizerFiles>,
}

const NO_ACTIVATION: &str = "does not say which activation its model was trained with: convert it once, with `finecap \
     convert FILE FOLDER --activation quick-gelu` for OpenAI's weights or `--activation gelu` for \
     most of OpenCLIP's";

impl ClipWeights {
    /// Opens a folder in Hugging Face's or OpenCLIP's layout, or a single file: safetensors, what
    /// `torch.save` writes, checkpoints of training frameworks, OpenAI's TorchScript archives.
    ///
    /// The activation belongs to the weights, but few files name it: it comes from the
    /// configuration beside them, is OpenAI's for TorchScript archives, and must be given where
    /// neither applies. Preprocessing and tokenizer are those beside the weights, or CLIP's own.
    ///
    /// # Errors
    /// A file that is damaged or no CLIP, a configuration of another kind of model, an activation
    /// that is not known or not the one given.
    pub fn open(path: &Path, activation: Option<Activation>) -> Result<Self, ClipError> {
        let (weights, beside) = locate(path)?;
        let file = WeightFile::open(&weights)?;
        let wrong = |problem: String| ClipError::File { path: weights.clone(), problem };
        let found = find_clip(file.tensors()).map_err(wrong)?;
        // Only OpenAI released TorchScript, and all of it with one activation.
        let of_format = (file.format() == Format::TorchScript).then_some(Activation::QuickGelu);
        let of_config = beside.as_ref().map(Beside::activation);
        if let (Some(format), Some(config)) = (of_format, of_config)
            && format != config
        {
            let problem = format!(
                "holds OpenAI's weights, which were trained with {format}, but the configuration \
                 beside it says {config}: correct the one that is wrong"
            );
            return Err(wrong(problem));
        }
        let known = of_config.or(of_format);
        let activation = match (known, activation) {
            (Some(known), Some(given)) if known != given => {
                let problem = format!("was trained with {known}, not with {given}: leave it out");
                return Err(wrong(problem));
            }
            (Some(activation), _) | (None, Some(activation)) => activation,
            (None, None) => return Err(wrong(NO_ACTIVATION.into())),
        };
        let beside = match beside {
            Some(beside) => beside,
            None => {
                let guess = guess_clip(file.tensors()).map_err(wrong)?;
                let config = guess.config.with_activation(activation);
                Beside { config, alone: None, preprocess: None, tokenizer: None }
            }
        };
        let Beside { config, alone, preprocess, tokenizer } = beside;
        if alone != found.alone {
            let towers = |alone: Option<Tower>| match alone {
                Some(tower) => format!("{tower} tower alone"),
                None => "both towers".into(),
            };
            let (file, config) = (towers(found.alone), towers(alone));
            return Err(wrong(format!(
                "holds {file}, but the configuration beside it is of {config}"
            )));
        }
        config.check()?;
        let preprocess = preprocess
            .unwrap_or_else(|| PreprocessConfig::openai(config.vision_config.image_size() as u32));
        Ok(Self { file, found, config, preprocess, tokenizer })
    }

    /// Sizes of the model.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// The opened file.
    pub fn file(&self) -> &WeightFile {
        &self.file
    }

    /// The tokenizer beside the weights, or CLIP's own. No weights are read.
    ///
    /// # Errors
    /// A file that is damaged, a tokenizer that does not fit the model, an image tower alone.
    pub fn tokenizer(&self) -> Result<ClipTokenizer, ClipError> {
        if self.found.alone == Some(Tower::Image) {
            return Err(self.lacks(Tower::Text));
        }
        let tokenizer = match &self.tokenizer {
            Some(files) => files.read()?,
            None => ClipTokenizer::openai()?,
        };
        check_tokenizer(&self.config, &tokenizer)?;
        Ok(tokenizer)
    }

    /// What is said of a folder that lacks a tower.
    fn lacks(&self, tower: Tower) -> ClipError {
        let (own, work) = match tower {
            Tower::Text => (Tower::Image, "captions can't be embedded with it"),
            Tower::Image => (Tower::Text, "pictures can't be embedded with it"),
        };
        let problem = format!("holds {own} tower alone: {work}; give the folder of the whole CLIP");
        ClipError::File { path: self.file.path().to_path_buf(), problem }
    }

    /// Reads the weights alone as float32, whatever the file holds, one tensor at a time.
    ///
    /// # Errors
    /// Any tensor that is missing or of another shape.
    pub fn load_model(&self, device: &Device) -> Result<(Clip, Vec<TensorSource>), ClipError> {
        read::read(self.config.build(device)?, &self.file, &self.found)
    }

    /// Reads the weights and puts a pipeline around them. Tensors that are no part of the CLIP
    /// are refused.
    ///
    /// # Errors
    /// Any tensor that is missing, left over or of another shape, and a tokenizer that does not
    /// fit.
    pub fn load(&self, device: &Device) -> Result<LoadedClip, ClipError> {
        self.check_whole()?;
        let (model, sources) = self.load_model(device)?;
        read::check_left_over(&self.file, &sources)?;
        self.around(model, sources)
    }

    /// As [`load`](Self::load), for checkpoints of more than a CLIP: the names of the tensors
    /// that are no part of it come along.
    ///
    /// # Errors
    /// Those of [`load`](Self::load), but for tensors that are left over.
    pub fn load_part(&self, device: &Device) -> Result<(LoadedClip, Vec<&str>), ClipError> {
        self.check_whole()?;
        let (model, sources) = self.load_model(device)?;
        let others = read::left_over(&self.file, &sources);
        Ok((self.around(model, sources)?, others))
    }

    /// The whole CLIP, or a single tower, if it is the one that is needed.
    ///
    /// # Errors
    /// Those of [`load`](Self::load), and the other tower alone.
    pub(crate) fn load_tower(
        &self,
        tower: Tower,
        device: &Device,
    ) -> Result<ClipPipeline, ClipError> {
        match self.found.alone {
            None => return Ok(self.load(device)?.pipeline),
            Some(alone) if alone != tower => return Err(self.lacks(tower)),
            Some(_) => {}
        }
        let projection = match tower {
            Tower::Text => "text_projection.weight",
            Tower::Image => "visual_projection.weight",
        };
        if self.file.get(&self.found.name(projection)).is_none() {
            let problem = format!(
                "holds {tower} tower without its projection, whose states can't be compared with \
                 anything: give the folder of the whole CLIP, or one saved with the projection"
            );
            return Err(ClipError::File { path: self.file.path().to_path_buf(), problem });
        }
        let (model, sources) = self.load_model(device)?;
        read::check_left_over(&self.file, &sources)?;
        let tokenizer = match tower {
            Tower::Text => self.tokenizer()?,
            Tower::Image => ClipTokenizer::openai()?,
        };
        let (config, preprocess) = (self.config.clone(), self.preprocess.clone());
        if tower == Tower::Image {
            check_preprocess(&config, &preprocess)?;
        }
        Ok(ClipPipeline { config, model, tokenizer, preprocess })
    }

    fn check_whole(&self) -> Result<(), ClipError> {
        match self.found.alone {
            None => Ok(()),
            Some(Tower::Text) => Err(self.lacks(Tower::Image)),
            Some(Tower::Image) => Err(self.lacks(Tower::Text)),
        }
    }

    fn around(&self, model: Clip, sources: Vec<TensorSource>) -> Result<LoadedClip, ClipError> {
        let (config, preprocess) = (self.config.clone(), self.preprocess.clone());
        let pipeline = ClipPipeline::new(config, model, self.tokenizer()?, preprocess)?;
        Ok(LoadedClip { pipeline, sources })
    }

    /// Batch norm's counters, which are no weights, by the names that OpenCLIP gives them.
    ///
    /// # Errors
    /// [`ClipError::WeightFile`] for a counter that can't be read.
    pub fn counters(&self) -> Result<BTreeMap<String, i64>, ClipError> {
        let mut counters = BTreeMap::new();
        for tensor in self.file.tensors() {
            let name = tensor.name.strip_prefix(self.found.prefix.as_str());
            if let Some(name) = name.filter(|name| name.ends_with(".num_batches_tracked")) {
                let count = self.file.read_i64(&tensor.name)?.first().copied().unwrap_or(0);
                counters.insert(name.to_string(), count);
            }
        }
        Ok(counters)
    }
}

/// A CLIP that was read, and what became of the file's tensors.
#[derive(Debug)]
pub struct LoadedClip {
    /// The CLIP.
    pub pipeline: ClipPipeline,
    /// Where each of its tensors came from.
    pub sources: Vec<TensorSource>,
}

impl Clip {
    /// Reads a file's weights into this model, as float32, whichever layout's names they have.
    /// Nothing may be missing, left over or of another shape.
    ///
    /// # Errors
    /// [`ClipError::Io`] and [`ClipError::Weights`], the latter naming the tensor.
    pub fn load_weights(&mut self, path: &Path) -> Result<(), ClipError> {
        let file = WeightFile::open(path)?;
        let wrong = |problem| ClipError::File { path: path.to_path_buf(), problem };
        let found = find_clip(file.tensors()).map_err(wrong)?;
        let (model, sources) = read::read(self.clone(), &file, &found)?;
        read::check_left_over(&file, &sources)?;
        *self = model;
        Ok(())
    }
}

impl ClipPipeline {
    /// Writes a folder in the given layout: configuration, weights as float32, tokenizer and
    /// preprocessing. `counters` are batch norm's, see [`ClipWeights::counters`].
    ///
    /// Files are written one by one: to get a folder whole or not at all, write to a temporary
    /// name and rename.
    ///
    /// # Errors
    /// What the layout has no words for, and where writing fails.
    pub fn save_as(
        &self,
        dir: &Path,
        layout: Layout,
        counters: &BTreeMap<String, i64>,
    ) -> Result<(), ClipError> {
        if layout == Layout::HuggingFace && self.config.natural_layout() != layout {
            let problem = "has an image tower that Hugging Face's CLIP has not: use OpenCLIP's \
                           layout";
            return Err(ClipError::config("vision_config", problem));
        }
        std::fs::create_dir_all(dir).map_err(|source| ClipError::write(dir, source))?;
        match layout {
            Layout::HuggingFace => {
                write_config(&self.config, &dir.join("config.json"))?;
                write::write(&self.model, layout, counters, &dir.join("model.safetensors"))?;
                self.preprocess.save(&dir.join("preprocessor_config.json"))?;
            }
            Layout::OpenClip => {
                let path = dir.join(OPEN_CLIP_CONFIG);
                open_clip::write(&self.config, &self.preprocess, &path)?;
                write::write(
                    &self.model,
                    layout,
                    counters,
                    &dir.join("open_clip_model.safetensors"),
                )?;
            }
        }
        self.tokenizer.save(dir)
    }
}

/// Name in the layout of every tensor of the model, by its module path.
pub fn tensor_names(model: &Clip, layout: Layout) -> BTreeMap<String, String> {
    let mut paths = names::Paths::default();
    model.visit(&mut paths);
    let names = paths.found.into_iter().map(|(path, linear)| {
        let name = layout.place(&path, linear).name;
        (path, name)
    });
    names.collect()
}
