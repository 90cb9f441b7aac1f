//! The reference project's checkpoints (github.com/j-min/CLIP-Caption-Reward, `*-last.ckpt`).

use std::path::Path;

use burn::tensor::Device;
use burn_store::SafetensorsStore;
use finecap_weights::{Value, WeightFile};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::config::{CaptionerConfig, Norm};
use crate::error::CaptionerError;
use crate::feature_spec::{FeatureSource, FeatureSpec};
use crate::folder::load_weights;
use crate::model::Captioner;
use crate::positions::sinusoidal;
use crate::vocab::Vocab;

/// What the checkpoint holds besides weights: pickles in tensors of bytes.
const VOCAB: &str = "_vocab";
const SETTINGS: &str = "_opt";
/// The table of positions, which is computed here.
const POSITIONS: &str = "model.tgt_embed.1.pe";
/// Words that the reference keeps of a caption that is learned from.
const MAX_WORDS: usize = 16;

/// A captioner of the reference project.
#[derive(Debug)]
pub struct ReferenceCaptioner {
    /// The model.
    pub model: Captioner,
    /// Its vocabulary, which the checkpoint carries.
    pub vocab: Vocab,
    /// Every tensor of the checkpoint.
    pub tensors: Vec<ReferenceTensor>,
}

/// A tensor of a checkpoint.
#[derive(Debug, Clone)]
pub struct ReferenceTensor {
    /// Its name there.
    pub name: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// The tensor or file that it became here.
    pub becomes: String,
}

impl ReferenceCaptioner {
    /// Whether a weight file looks like one.
    ///
    /// # Errors
    /// A file that is no weight file.
    pub fn recognise(path: &Path) -> Result<bool, CaptionerError> {
        Ok(prefix(&WeightFile::open(path)?).is_some())
    }

    /// Reads a checkpoint that PyTorch Lightning wrote for the reference project. Sizes are those
    /// of the tensors; what they do not show (heads, dropout, the longest caption) is read from
    /// the settings that the checkpoint carries, or else the reference's default.
    ///
    /// # Errors
    /// A file that is no such checkpoint, and any tensor that is missing, unexpected or of another
    /// shape, named.
    pub fn load(path: &Path, device: &Device) -> Result<Self, CaptionerError> {
        Self::load_with(path, Norm::Reference, device)
    }

    pub(crate) fn load_with(
        path: &Path,
        norm: Norm,
        device: &Device,
    ) -> Result<Self, CaptionerError> {
        let wrong = |reason: String| CaptionerError::Weights { path: path.into(), reason };
        let file = WeightFile::open(path)?;
        let prefix = prefix(&file).unwrap_or_default();

        let mut renamed = Vec::new();
        let mut tensors = Vec::new();
        for tensor in file.tensors() {
            let name = tensor.name.strip_prefix(prefix).unwrap_or(&tensor.name);
            let becomes = match name {
                VOCAB => "vocab.json".to_string(),
                SETTINGS => "config.json".to_string(),
                POSITIONS => "computed positions".to_string(),
                _ => {
                    let Some(ours) = renamed_tensor(name) else {
                        let problem = format!("the model has no place for the tensor `{name}`");
                        return Err(wrong(problem));
                    };
                    let values = file.read_f32(&tensor.name)?;
                    let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
                    renamed.push((ours.clone(), tensor.shape.clone(), bytes));
                    ours
                }
            };
            let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
            tensors.push(ReferenceTensor { name, shape, becomes });
        }

        let pickle = |name: &str| -> Result<Option<Value>, CaptionerError> {
            let name = format!("{prefix}{name}");
            if file.get(&name).is_none() {
                return Ok(None);
            }
            Ok(Some(file.read_value(&name)?))
        };
        let Some(words) = pickle(VOCAB)? else {
            return Err(wrong(format!("the vocabulary `{VOCAB}` is missing")));
        };
        let vocab = vocabulary(&words).map_err(|reason| wrong(format!("`{VOCAB}`: {reason}")))?;
        let settings = pickle(SETTINGS)?.unwrap_or(Value::None);
        let shape = |name: &str| -> Result<[usize; 2], CaptionerError> {
            let tensor = file.get(&format!("{prefix}{name}"));
            let shape = tensor.and_then(|tensor| <[usize; 2]>::try_from(&tensor.shape[..]).ok());
            shape.ok_or_else(|| wrong(format!("there is no matrix `{name}`")))
        };
        let config = config(&renamed, norm, &settings, shape)?;
        if vocab.len() != config.vocab_size {
            let (words, ids) = (vocab.len(), config.vocab_size);
            return Err(wrong(format!("`{VOCAB}` makes {words} ids, but the model knows {ids}")));
        }
        let positions = format!("{prefix}{POSITIONS}");
        if file.get(&positions).is_some() {
            let found = file.read_f32(&positions)?;
            check_positions(&found, &config, device).map_err(wrong)?;
        }

        let views = renamed.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            view.map(|view| (name, view)).map_err(|error| wrong(error.to_string()))
        });
        let views = views.collect::<Result<Vec<_>, _>>()?;
        let bytes =
            safetensors::serialize(views, None).map_err(|error| wrong(error.to_string()))?;
        drop(renamed);
        let mut model = config.build(device)?;
        load_weights(&mut model, SafetensorsStore::from_bytes(Some(bytes)), path)?;
        Ok(Self { model, vocab, tensors })
    }
}

/// What stands before the names of the model's tensors, if the file has such a model. The
/// reference puts nothing there; Lightning's own way to save would put the module's name.
fn prefix(file: &WeightFile) -> Option<&'static str> {
    let has = |prefix: &&str| file.get(&format!("{prefix}att_embed.0.weight")).is_some();
    ["", "model."].into_iter().find(has)
}

/// Our name of a tensor of the reference.
fn renamed_tensor(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    let norm = |part: &str| match part {
        "a_2" => Some("weight"),
        "b_2" => Some("bias"),
        _ => None,
    };
    Some(match parts[..] {
        ["att_embed", "0", part] => format!("feature_embed.{part}"),
        ["model", "generator", "proj", part] => format!("output.{part}"),
        ["model", "tgt_embed", "0", "lut", part] => format!("decoder.embedding.{part}"),
        ["model", stack @ ("encoder" | "decoder"), "norm", part] => {
            format!("{stack}.norm.{}", norm(part)?)
        }
        ["model", stack @ ("encoder" | "decoder"), "layers", layer, ref rest @ ..] => {
            let inside = match *rest {
                [attention @ ("self_attn" | "src_attn"), "linears", linear, part] => {
                    let attention = if attention == "src_attn" { "cross_attn" } else { attention };
                    let linear = ["q", "k", "v", "out"].get(linear.parse::<usize>().ok()?)?;
                    format!("{attention}.{linear}.{part}")
                }
                ["feed_forward", "w_1", part] => format!("feed_forward.linear_1.{part}"),
                ["feed_forward", "w_2", part] => format!("feed_forward.linear_2.{part}"),
                ["sublayer", place, "norm", part] => {
                    let place = place.parse::<usize>().ok()?.checked_add(1)?;
                    format!("norm_{place}.{}", norm(part)?)
                }
                _ => return None,
            };
            format!("{stack}.layers.{layer}.{inside}")
        }
        _ => return None,
    })
}

/// The words of a dictionary from "1", "2", ... to words, in order.
fn vocabulary(words: &Value) -> Result<Vocab, String> {
    let entries = words.entries();
    let mut order = vec![None; entries.len()];
    for (id, word) in entries {
        let number = id.as_str().and_then(|id| id.parse::<usize>().ok());
        let number = number.or_else(|| id.as_i64().and_then(|id| usize::try_from(id).ok()));
        let place = number.and_then(|id| id.checked_sub(1)).and_then(|place| order.get_mut(place));
        let (Some(place), Some(word)) = (place, word.as_str()) else {
            return Err("it does not number words from 1 on".into());
        };
        *place = Some(word.to_string());
    }
    let order: Option<Vec<String>> = order.into_iter().collect();
    let order = order.ok_or("it gives two words the same number")?;
    Vocab::from_words(order, MAX_WORDS)
}

type Renamed = (String, Vec<usize>, Vec<u8>);

fn config(
    renamed: &[Renamed],
    norm: Norm,
    settings: &Value,
    shape: impl Fn(&str) -> Result<[usize; 2], CaptionerError>,
) -> Result<CaptionerConfig, CaptionerError> {
    let layers = |stack: &str| {
        let prefix = format!("{stack}.layers.");
        let number = |(name, ..): &Renamed| {
            name.strip_prefix(&prefix)?.split('.').next()?.parse::<usize>().ok()
        };
        renamed.iter().filter_map(number).max().map_or(0, |last| last.saturating_add(1))
    };
    let whole = |name: &str| settings.get(name).and_then(Value::as_i64);
    let whole = |name: &str| whole(name).and_then(|n| usize::try_from(n).ok());
    let float = |name: &str| settings.get(name).and_then(Value::as_f64);
    let [d_model, feature_dim] = shape("att_embed.0.weight")?;
    let [vocab_size, _] = shape("model.generator.proj.weight")?;
    let [d_ff, _] = shape("model.encoder.layers.0.feed_forward.w_1.weight")?;
    let defaults = CaptionerConfig::new(feature_dim, vocab_size);
    let folder = settings.get("input_att_dir").and_then(Value::as_str);
    // Layers beyond any model's would be built before their lack is noticed.
    let most = renamed.len();
    Ok(CaptionerConfig {
        d_model,
        d_ff,
        n_heads: whole("num_att_heads").unwrap_or(defaults.n_heads),
        n_encoder_layers: layers("encoder").min(most),
        n_decoder_layers: layers("decoder").min(most),
        dropout: float("dropout").unwrap_or(defaults.dropout),
        feature_dropout: float("drop_prob_lm").unwrap_or(defaults.feature_dropout),
        max_len: whole("max_length").filter(|&n| n > 0).unwrap_or(defaults.max_len),
        norm,
        features: features(folder, feature_dim),
        ..defaults
    })
}

/// What the reference's script of features (`scripts/clip_prepro_feats.py`) makes with OpenAI's
/// ResNets: pictures squashed to 448 pixels, the last stage of the tower. Its model stands in the
/// name of the folder of features, `.._clip_RN50_att`; of a checkpoint that names none, features of
/// width 2048 are those of RN50, with which the published captioners were trained. `None` for
/// other features, whose making is not known here.
fn features(folder: Option<&str>, feature_dim: usize) -> Option<FeatureSpec> {
    let name = match folder {
        Some(folder) => {
            folder.trim_end_matches('/').rsplit_once("_clip_")?.1.strip_suffix("_att")?
        }
        None if feature_dim == 2048 => "RN50",
        None => return None,
    };
    // Blocks, width, heads: Radford et al. 2021, table 19, and OpenAI's checkpoints.
    let (layers, width, heads) = match name {
        "RN50" => ([3, 4, 6, 3], 64, 32),
        "RN101" => ([3, 4, 23, 3], 64, 32),
        "RN50x4" => ([4, 6, 10, 6], 80, 40),
        "RN50x16" => ([6, 8, 18, 8], 96, 48),
        "RN50x64" => ([3, 15, 36, 10], 128, 64),
        _ => return None,
    };
    if feature_dim != 32 * width {
        return None;
    }
    Some(FeatureSpec {
        layer: Some("grid".into()),
        model: Some(FeatureSpec::resnet(layers, width, heads)),
        activation: Some("relu".into()),
        size: Some(448),
        fit: Some("squash".into()),
        resample: Some("bicubic".into()),
        mean: Some([0.481_454_66, 0.457_827_5, 0.408_210_73]),
        std: Some([0.268_629_54, 0.261_302_6, 0.275_777_1]),
        ..FeatureSpec::unknown(FeatureSource::Clip, [14 * 14, feature_dim])
    })
}

/// Whether the table of positions `[1, n, D]` is the one that is computed here.
fn check_positions(found: &[f32], config: &CaptionerConfig, device: &Device) -> Result<(), String> {
    let expected: Vec<f32> = sinusoidal(config.max_len, config.d_model, device)
        .try_into_vec_as()
        .map_err(|error| error.to_string())?;
    let equal = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
    match found.len() >= expected.len() && found.iter().zip(&expected).all(equal) {
        true => Ok(()),
        false => Err(format!("`{POSITIONS}` holds other positions than sinusoids")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_features_of_the_papers_code_are_known() {
        let published = features(Some("data/cocotalk_clip_RN50_att"), 2048).unwrap();
        assert_eq!((published.grid, published.size), ([196, 2048], Some(448)));
        assert_eq!(published.fit.as_deref(), Some("squash"));
        assert_eq!(published.weights, None);
        assert_eq!(features(None, 2048), Some(published.clone()));
        let deeper = features(Some("att/cocotalk_clip_RN101_att/"), 2048).unwrap();
        let conflicts = published.conflicts(&deeper);
        assert_eq!(conflicts.len(), 1, "{conflicts:?}");
        assert_eq!(conflicts[0].field, "model");
        for (folder, width) in
            [(None, 512), (Some("cocobu_att"), 2048), (Some("a_clip_RN50_att"), 12)]
        {
            assert_eq!(features(folder, width), None, "{folder:?}");
        }
    }
}
