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
    /// Writes the model and its vocabulary to a folder, which is created if need be:
    /// `config.json`, `vocab.json` and `model.safetensors` with PyTorch's names and layout
    /// (`encoder.layers.0.self_attn.q.weight`, `[out, in]`).
    ///
    /// # Errors
    /// When a file cannot be written, or the vocabulary does not have the model's size.
    pub fn save(&self, dir: &Path, vocab: &Vocab) -> Result<(), CaptionerError> {
        let config = FolderConfig { vocabulary: vocab.fingerprint(), model: self.config().clone() };
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
            // Several entries would be written in a random order, and equal models as different
            // files.
            .clear_metadata()
            .metadata("format", "pt")
            .overwrite(true);
        self.save_into(&mut store).map_err(|error| CaptionerError::Io {
            action: "write",
            path,
            source: std::io::Error::other(error.to_string()),
        })
    }

    /// Reads a folder written by [`save`](Self::save).
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
    let wrong = |reason: String| CaptionerError::Weights { path: path.into(), reason };
    let mut store = store
        .with_from_adapter(PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32)))
        .validate(false)
        .allow_partial(true);
    let result = model.load_from(&mut store).map_err(|error| wrong(error.to_string()))?;
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
        Some(unused) => Err(wrong(format!("the model has no place for the tensor `{unused}`"))),
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
    Ok(finecap_files::write_json(path, value)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoding, Draws, Norm};
    use burn::tensor::Tensor;
    use safetensors::SafeTensors;
    use std::path::PathBuf;

    fn saved() -> (tempfile::TempDir, Captioner, Vocab) {
        let vocab = Vocab::build([["a", "red", "dog"]], 0, 6).unwrap();
        let config = CaptionerConfig {
            d_model: 8,
            d_ff: 12,
            n_heads: 2,
            n_encoder_layers: 1,
            n_decoder_layers: 1,
            norm: Norm::Reference,
            ..CaptionerConfig::new(3, vocab.len())
        };
        let model = config.init(&Device::flex()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        model.save(&dir.path().join("run"), &vocab).unwrap();
        (dir, model, vocab)
    }

    fn load_error(dir: &Path) -> String {
        Captioner::load(dir, &Device::flex()).unwrap_err().to_string()
    }

    /// Writes the weights again with other names.
    fn rename(path: &PathBuf, new_name: impl Fn(&str) -> Option<String>) {
        let bytes = fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors: Vec<_> = file
            .tensors()
            .into_iter()
            .filter_map(|(name, view)| Some((new_name(&name)?, view)))
            .collect();
        fs::write(path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    }

    #[test]
    fn a_saved_model_decodes_as_before() {
        let (dir, model, vocab) = saved();
        let device = Device::flex();
        let dir = dir.path().join("run");
        // Saving again replaces what is there.
        model.save(&dir, &vocab).unwrap();
        let (loaded, read) = Captioner::load(&dir, &device).unwrap();
        assert_eq!(read, vocab);
        assert_eq!(loaded.config(), model.config());
        let decode = |model: &Captioner| {
            let features = Tensor::ones([1, 4, 3], &device);
            let draws = Draws { seed: 1, step: 1, images: &[0] };
            model.decode(features, &Decoding::samples(3, 9), &draws).unwrap()
        };
        assert_eq!(decode(&loaded), decode(&model));
        // A loaded model can be trained where its device records gradients.
        let (trainable, _) = Captioner::load(&dir, &device.autodiff()).unwrap();
        assert!(trainable.device().is_autodiff());
    }

    #[test]
    fn tensors_have_pytorchs_names_and_layout() {
        let (dir, ..) = saved();
        let bytes = fs::read(dir.path().join("run/model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        for (name, shape) in [
            ("feature_embed.weight", vec![8, 3]),
            ("encoder.layers.0.self_attn.q.weight", vec![8, 8]),
            ("encoder.layers.0.feed_forward.linear_1.weight", vec![12, 8]),
            ("decoder.layers.0.cross_attn.out.bias", vec![8]),
            ("decoder.layers.0.norm_3.weight", vec![8]),
            ("decoder.embedding.weight", vec![5, 8]),
            ("output.weight", vec![5, 8]),
        ] {
            assert_eq!(file.tensor(name).unwrap().shape(), shape, "{name}");
        }
    }

    #[test]
    fn tensors_that_do_not_fit_are_named() {
        let (dir, ..) = saved();
        let dir = dir.path().join("run");
        let path = dir.join(WEIGHTS);
        let good = fs::read(&path).unwrap();

        rename(&path, |name| Some(name.replace("output.bias", "outputs.bias")));
        let message = load_error(&dir);
        assert!(message.contains("`output.bias` is missing"), "{message}");
        assert!(message.contains("did you mean `outputs.bias`"), "{message}");

        fs::write(&path, &good).unwrap();
        rename(&path, |name| (name != "encoder.norm.bias").then(|| name.into()));
        let message = load_error(&dir);
        assert!(message.contains("`encoder.norm.bias` is missing"), "{message}");

        fs::write(&path, &good).unwrap();
        let config = fs::read_to_string(dir.join(CONFIG)).unwrap();
        fs::write(dir.join(CONFIG), config.replace("\"d_ff\": 12", "\"d_ff\": 13")).unwrap();
        let message = load_error(&dir);
        assert!(message.contains("linear_1") && message.contains("model.safetensors"), "{message}");

        let fewer = config.replace("\"n_encoder_layers\": 1", "\"n_encoder_layers\": 2");
        fs::write(dir.join(CONFIG), fewer).unwrap();
        assert!(load_error(&dir).contains("`encoder.layers.1."));
        fs::write(dir.join(CONFIG), &config).unwrap();
        let bytes = good.clone();
        let extra = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors = extra.tensors();
        tensors.push(("output.scale".into(), extra.tensor("output.bias").unwrap()));
        fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        assert!(load_error(&dir).contains("no place for the tensor `output.scale`"));

        fs::write(&path, &good[..good.len() / 2]).unwrap();
        assert!(load_error(&dir).contains("model.safetensors"));
        fs::remove_file(&path).unwrap();
        assert!(load_error(&dir).contains("model.safetensors"));
    }

    #[test]
    fn another_vocabulary_and_a_wrong_config_are_refused() {
        let (dir, model, vocab) = saved();
        let dir = dir.path().join("run");
        let other = Vocab::build([["a", "dog", "red"]], 0, 6).unwrap();
        assert_eq!(other.len(), vocab.len());
        other.save(&dir.join(VOCAB)).unwrap();
        let message = load_error(&dir);
        assert!(message.contains(&other.fingerprint()), "{message}");
        let small = Vocab::build([["a"]], 0, 6).unwrap();
        assert!(matches!(model.save(&dir, &small), Err(CaptionerError::Vocabulary { .. })));

        let path = dir.join(CONFIG);
        let good = fs::read_to_string(&path).unwrap();
        for (from, to, reason) in [
            ("\"d_ff\": 12", "\"d_ff\": \"wide\"", "invalid type"),
            ("\"d_ff\"", "\"dff\"", "unknown field `dff`"),
            ("\"reference\"", "\"batch\"", "unknown variant `batch`"),
        ] {
            fs::write(&path, good.replace(from, to)).unwrap();
            let message = load_error(&dir);
            assert!(message.contains("config.json") && message.contains(reason), "{message}");
        }
        assert!(load_error(&dir.join("none")).contains("none"));
    }
}
