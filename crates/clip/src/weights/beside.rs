//! What stands in a model's folder beside the weights.

use std::path::{Path, PathBuf};

use finecap_weights::WEIGHT_FILES;
use serde_json::{Value, json};

use super::guess::Tower;
use super::open_clip::{self, OPEN_CLIP_CONFIG};
use crate::config_file::{ReadConfig, read_config};
use crate::json_file::{difference, read_object};
use crate::{
    Activation, ClipConfig, ClipError, ClipTokenizer, Fit, PreprocessConfig, VisionConfig,
};

/// What belongs to weights.
pub(super) struct Beside {
    pub config: ClipConfig,
    pub alone: Option<Tower>,
    pub preprocess: Option<PreprocessConfig>,
    pub tokenizer: Option<TokenizerFiles>,
}

impl Beside {
    /// That of the tower that is there.
    pub fn activation(&self) -> Activation {
        match (self.alone, &self.config.vision_config) {
            (Some(Tower::Image), VisionConfig::Vit(vit)) => vit.hidden_act,
            _ => self.config.text_config.hidden_act,
        }
    }
}

/// The files of a tokenizer.
#[derive(Debug)]
pub(super) struct TokenizerFiles {
    /// `tokenizer.json`
    whole: Option<PathBuf>,
    /// `vocab.json` and `merges.txt`
    parts: Option<(PathBuf, PathBuf)>,
}

impl TokenizerFiles {
    fn find(dir: &Path) -> Result<Option<Self>, ClipError> {
        let file = |name: &str| Some(dir.join(name)).filter(|path| path.is_file());
        let whole = file("tokenizer.json");
        let parts = match (file("vocab.json"), file("merges.txt")) {
            (Some(vocab), Some(merges)) => Some((vocab, merges)),
            (Some(path), None) | (None, Some(path)) if whole.is_none() => {
                let problem = "is one half of a tokenizer: vocab.json and merges.txt are needed, or \
                               tokenizer.json";
                return Err(ClipError::File { path, problem: problem.into() });
            }
            _ => None,
        };
        Ok((whole.is_some() || parts.is_some()).then_some(Self { whole, parts }))
    }

    /// The tokenizer; where it is there in both ways, both must say the same.
    pub fn read(&self) -> Result<ClipTokenizer, ClipError> {
        let parts = |(vocab, merges): &(PathBuf, PathBuf)| ClipTokenizer::from_parts(vocab, merges);
        match (&self.whole, &self.parts) {
            (Some(whole), Some(both)) => {
                let tokenizer = ClipTokenizer::from_file(whole)?;
                if let Some(token) = tokenizer.first_difference(&parts(both)?) {
                    let problem = format!(
                        "and {} disagree about the token `{token}`: remove the wrong one",
                        both.0.display()
                    );
                    return Err(ClipError::File { path: whole.clone(), problem });
                }
                Ok(tokenizer)
            }
            (Some(whole), None) => ClipTokenizer::from_file(whole),
            (None, Some(both)) => parts(both),
            (None, None) => ClipTokenizer::openai(),
        }
    }
}

/// The file with the weights, and what belongs to it. A file alone has a configuration only where
/// its name is one that layouts give to weights.
pub(super) fn locate(path: &Path) -> Result<(PathBuf, Option<Beside>), ClipError> {
    if !path.is_dir() {
        let is_layouts = WEIGHT_FILES.iter().any(|name| path.file_name() == Some(name.as_ref()));
        let dir = path.parent().unwrap_or(Path::new(""));
        return Ok((path.to_path_buf(), if is_layouts { beside(dir)? } else { None }));
    }
    let weights = WEIGHT_FILES.iter().map(|name| path.join(name)).find(|path| path.is_file());
    let Some(weights) = weights else {
        let problem = no_weights(path);
        return Err(ClipError::File { path: path.to_path_buf(), problem });
    };
    match beside(path)? {
        Some(beside) => Ok((weights, Some(beside))),
        None => {
            let problem = "has neither config.json nor open_clip_config.json: get the missing file, or \
                           give the weight file itself to `finecap convert`";
            Err(ClipError::File { path: path.to_path_buf(), problem: problem.into() })
        }
    }
}

fn no_weights(dir: &Path) -> String {
    if dir.join("adapter_config.json").is_file() {
        return "holds a PEFT adapter and no model: load it in Python onto its base model, merge it \
                with `merge_and_unload()`, and save that"
            .into();
    }
    let usual =
        "model.safetensors, pytorch_model.bin, open_clip_model.safetensors or an index of theirs";
    let endings = ["safetensors", "bin", "pt", "pth", "ckpt", "h5", "msgpack", "onnx", "gguf"];
    let is_weights = |path: &PathBuf| {
        path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known))
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut others: Vec<String> = (entries.map(|entry| entry.path()).filter(is_weights))
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    others.sort();
    match others.as_slice() {
        [] => format!("holds no weights: {usual}"),
        others => {
            format!("has no weights under a usual name ({usual}); there is {}", others.join(", "))
        }
    }
}

fn beside(dir: &Path) -> Result<Option<Beside>, ClipError> {
    let file = |name: &str| Some(dir.join(name)).filter(|path| path.is_file());
    let mut preprocess: Vec<(PathBuf, PreprocessConfig)> = Vec::new();
    let mut read = None;
    if let Some(path) = file("config.json") {
        read = Some((read_config(&path)?, path));
    }
    if let Some(path) = file(OPEN_CLIP_CONFIG) {
        let (config, prepared) = open_clip::read(&path)?;
        preprocess.push((path.clone(), prepared));
        match &read {
            Some((first, first_path)) if first.alone.is_none() => {
                let sizes = |config: &ClipConfig| {
                    let mut sizes = json!(config);
                    // Only the start of training knows it.
                    sizes["logit_scale_init_value"] = Value::Null;
                    sizes
                };
                agree(first_path, &sizes(&first.config), &path, &sizes(&config))?;
            }
            Some(_) => {}
            None => read = Some((ReadConfig { config, alone: None }, path)),
        }
    }
    let Some((ReadConfig { config, alone }, _)) = read else { return Ok(None) };
    if let Some(path) = file("preprocessor_config.json") {
        preprocess.push((path.clone(), PreprocessConfig::from_file(&path)?));
    }
    // Older files of this name say nothing about pictures.
    if let Some(path) = file("processor_config.json")
        && read_object(&path)?.contains_key("image_processor")
    {
        preprocess.push((path.clone(), PreprocessConfig::from_file(&path)?));
    }
    for pair in preprocess.windows(2) {
        agree(&pair[0].0, &shown(&pair[0].1), &pair[1].0, &shown(&pair[1].1))?;
    }
    let preprocess = preprocess.into_iter().next_back().map(|(_, preprocess)| preprocess);
    Ok(Some(Beside { config, alone, preprocess, tokenizer: TokenizerFiles::find(dir)? }))
}

/// Two files that say different things can't both be right, and nobody knows which is.
fn agree(first: &Path, a: &Value, second: &Path, b: &Value) -> Result<(), ClipError> {
    match difference(a, b, "") {
        None => Ok(()),
        Some(difference) => {
            let second = second.display();
            let problem = format!("and {second} disagree: {difference}; remove the wrong one");
            Err(ClipError::File { path: first.to_path_buf(), problem })
        }
    }
}

/// Preprocessing in the words of the files.
fn shown(preprocess: &PreprocessConfig) -> Value {
    json!({
        "size": preprocess.size,
        "resize": match preprocess.fit {
            Fit::CentreCrop => "short side, then centre crop",
            Fit::Squash => "squash",
        },
        "image_mean": preprocess.mean,
        "image_std": preprocess.std,
    })
}
