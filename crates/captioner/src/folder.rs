use std::fs;
use std::path::Path;

use burn::tensor::{DType, Device};
use burn_store::{
    BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter,
    SafetensorsStore,
};
use serde::{Deserialize, Serialize};

use crate::config::CaptionerConfig;
use crate::error::CaptionerError;
use crate::model::Captioner;
use crate::vocab::Vocab;

const CONFIG: &str = "config.json";
const VOCAB: &str = "vocab.json";
const WEIGHTS: &str = "model.safetensors";

/// What `config.json` holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FolderConfig {
    /// [`Vocab::fingerprint`] of the vocabulary the model was trained with.
    vocabulary: String,
    model: CaptionerConfig,
}

impl Captioner {
    /// Write the model and its vocabulary to a folder, which is created if need be:
    /// `config.json`, `vocab.json` and `model.safetensors` with PyTorch's names and layout
    /// (`encoder.layers.0.self_attn.q.weight`, `[out, in]`).
    ///
    /// # Errors
    /// When a file cannot be written, or the vocabulary does not have the model's size.
    pub fn save(&self, dir: &Path, vocab: &Vocab) -> Result<(), CaptionerError> {
        let config = FolderConfig {
            vocabulary: vocab.fingerprint(),
            model: self.config().clone(),
        };
        check_vocab(&config, vocab)?;
        fs::create_dir_all(dir).map_err(|source| CaptionerError::Io {
            action: "create",
            path: dir.into(),
            source,
        })?;
        write_json(&dir.join(CONFIG), &config)?;
        vocab.save(&dir.join(VOCAB))?;
        let path = dir.join(WEIGHTS);
        let mut store = SafetensorsStore::from_file(&path)
            .with_to_adapter(BurnToPyTorchAdapter)
            .overwrite(true);
        self.save_into(&mut store)
            .map_err(|error| CaptionerError::Io {
                action: "write",
                path,
                source: std::io::Error::other(error.to_string()),
            })
    }

    /// Read a folder written by [`save`](Self::save).
    ///
    /// # Errors
    /// When a file is missing or malformed, the vocabulary is not the model's, or a tensor is
    /// missing, unexpected or of another shape.
    pub fn load(dir: &Path, device: &Device) -> Result<(Self, Vocab), CaptionerError> {
        let path = dir.join(CONFIG);
        let config: FolderConfig = read_json(&path, "captioner config")?;
        let vocab = Vocab::load(&dir.join(VOCAB))?;
        check_vocab(&config, &vocab)?;
        let mut model = config.model.build(device)?;
        let path = dir.join(WEIGHTS);
        load_weights(&mut model, SafetensorsStore::from_file(&path), &path)?;
        Ok((model, vocab))
    }
}

/// Fill `model` from `store`, strictly: every tensor must be there, none may be left over.
pub(crate) fn load_weights(
    model: &mut Captioner,
    store: SafetensorsStore,
    path: &Path,
) -> Result<(), CaptionerError> {
    let wrong = |reason: String| CaptionerError::Weights {
        path: path.into(),
        reason,
    };
    let mut store = store
        .with_from_adapter(PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32)))
        .validate(false)
        .allow_partial(true);
    let result = model
        .load_from(&mut store)
        .map_err(|error| wrong(error.to_string()))?;
    if let Some(error) = result.errors.first() {
        return Err(wrong(error.to_string()));
    }
    if let Some((missing, _)) = result.missing.first() {
        let hint = match nearest(missing, &result.unused) {
            Some(name) => format!("; did you mean `{name}`, which the file has"),
            None => String::new(),
        };
        return Err(wrong(format!("the tensor `{missing}` is missing{hint}")));
    }
    match result.unused.first() {
        Some(unused) => Err(wrong(format!(
            "the model has no place for the tensor `{unused}`"
        ))),
        None => Ok(()),
    }
}

/// The name most like `wanted`, if one is at all alike.
fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a str> {
    names
        .iter()
        .map(|name| (strsim::normalized_levenshtein(wanted, name), name.as_str()))
        .filter(|(likeness, _)| *likeness > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

fn check_vocab(config: &FolderConfig, vocab: &Vocab) -> Result<(), CaptionerError> {
    let found = vocab.fingerprint();
    if vocab.len() == config.model.vocab_size && found == config.vocabulary {
        return Ok(());
    }
    Err(CaptionerError::Vocabulary {
        words: vocab.len(),
        found,
        model: config.model.vocab_size,
        expected: config.vocabulary.clone(),
    })
}

fn read_json<T: for<'de> Deserialize<'de>>(
    path: &Path,
    what: &'static str,
) -> Result<T, CaptionerError> {
    let text = fs::read_to_string(path).map_err(|source| CaptionerError::Io {
        action: "read",
        path: path.into(),
        source,
    })?;
    serde_json::from_str(&text).map_err(|error| CaptionerError::Json {
        what,
        path: path.into(),
        reason: error.to_string(),
    })
}

pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), CaptionerError> {
    let failed = |source| CaptionerError::Io {
        action: "write",
        path: path.into(),
        source,
    };
    let text = serde_json::to_string_pretty(value).map_err(|error| failed(error.into()))?;
    fs::write(path, text + "\n").map_err(failed)
}
