//! OpenCLIP's `open_clip_config.json`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config::{ResNetConfig, TextConfig, VitConfig};
use crate::json_file::read_object;
use crate::{Activation, ClipConfig, ClipError, Fit, PreprocessConfig, VisionConfig};

/// Name of the file in a model's folder.
pub(crate) const OPEN_CLIP_CONFIG: &str = "open_clip_config.json";

#[derive(Deserialize, Serialize)]
struct File {
    model_cfg: Model,
    #[serde(default)]
    preprocess_cfg: Preprocess,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Model {
    embed_dim: usize,
    #[serde(default)]
    quick_gelu: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    init_logit_scale: Option<f64>,
    vision_cfg: Vision,
    text_cfg: Text,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Vision {
    image_size: usize,
    layers: Layers,
    width: usize,
    #[serde(default)]
    patch_size: Option<usize>,
    #[serde(default = "head_width")]
    head_width: usize,
    #[serde(default = "mlp_ratio")]
    mlp_ratio: f64,
}

/// One number for a Transformer, four for a ResNet.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Layers {
    Blocks(usize),
    Stages([usize; 4]),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default = "context_length")]
    context_length: usize,
    #[serde(default = "vocab_size")]
    vocab_size: usize,
    width: usize,
    heads: usize,
    layers: usize,
    #[serde(default = "mlp_ratio")]
    mlp_ratio: f64,
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Preprocess {
    mean: [f32; 3],
    std: [f32; 3],
    interpolation: String,
    resize_mode: String,
    /// The image tower's, if it is there.
    #[serde(skip_serializing)]
    size: Option<Value>,
    #[serde(skip_serializing)]
    mode: String,
    /// Of a margin that no picture gets.
    #[serde(skip_serializing)]
    fill_color: Option<Value>,
}

impl Default for Preprocess {
    fn default() -> Self {
        let PreprocessConfig { mean, std, .. } = PreprocessConfig::openai(1);
        Self {
            mean,
            std,
            interpolation: "bicubic".into(),
            resize_mode: "shortest".into(),
            size: None,
            mode: "RGB".into(),
            fill_color: None,
        }
    }
}

fn head_width() -> usize {
    64
}

fn mlp_ratio() -> f64 {
    4.0
}

fn context_length() -> usize {
    77
}

fn vocab_size() -> usize {
    49408
}

/// Reads sizes and preprocessing.
///
/// # Errors
/// A file that can't be read, or that uses a feature that finecap does not support.
pub(crate) fn read(path: &Path) -> Result<(ClipConfig, PreprocessConfig), ClipError> {
    let mut object = read_object(path)?;
    let wrong = |problem: String| ClipError::File { path: path.to_path_buf(), problem };
    if let Some(model) = object.get_mut("model_cfg").and_then(Value::as_object_mut) {
        drop_defaults(model).map_err(wrong)?;
    }
    let file: File = serde_json::from_value(Value::Object(object))
        .map_err(|e| wrong(format!("uses a feature that finecap does not support: {e}")))?;
    let config = config(&file.model_cfg).map_err(wrong)?;
    let Preprocess { mean, std, interpolation, resize_mode, size, mode, .. } = file.preprocess_cfg;
    let side = config.vision_config.image_size();
    if let Some(size) = size.filter(|size| *size != json!(side) && *size != json!([side, side])) {
        return Err(wrong(format!("`size` is {size}, but the image tower reads {side} pixels")));
    }
    if mode != "RGB" {
        return Err(wrong(format!("`mode` is `{mode}`, only `RGB` is known")));
    }
    if interpolation != "bicubic" {
        return Err(wrong(format!(
            "`interpolation` is `{interpolation}`, only `bicubic` is known"
        )));
    }
    let fit = match resize_mode.as_str() {
        "shortest" => Fit::CentreCrop,
        "squash" => Fit::Squash,
        other => {
            let problem = format!("`resize_mode` is `{other}`, it must be `shortest` or `squash`");
            return Err(wrong(problem));
        }
    };
    let size = side as u32;
    Ok((config, PreprocessConfig { size, fit, mean, std }))
}

/// Settings that only say what CLIP does anyway are removed; the reader refuses all others.
fn drop_defaults(model: &mut Map<String, Value>) -> Result<(), String> {
    if let Some(custom) = model.remove("custom_text")
        && !custom.is_boolean()
    {
        return Err(format!("`custom_text` is {custom}, not true or false"));
    }
    for (section, defaults) in [
        (
            "text_cfg",
            json!({"no_causal_mask": false, "pool_type": "argmax", "embed_cls": false,
                "output_tokens": false, "proj_type": "linear", "proj_bias": false, "pad_id": 0,
                "ls_init_value": null, "act_kwargs": null, "norm_kwargs": {}}),
        ),
        (
            "vision_cfg",
            json!({"ls_init_value": null, "attentional_pool": false, "global_average_pool": false,
                "input_patchnorm": false, "no_ln_pre": false, "pos_embed_type": "learnable",
                "final_ln_after_pool": false, "pool_type": "tok", "output_tokens": false,
                "act_kwargs": null, "norm_kwargs": {}, "timm_model_name": null}),
        ),
    ] {
        let Some(settings) = model.get_mut(section).and_then(Value::as_object_mut) else {
            continue;
        };
        settings.retain(|key, value| value.is_null() || defaults.get(key) != Some(value));
        settings.retain(|key, value| !(value.is_null() && defaults.get(key).is_some()));
        // Patches are dropped in training alone.
        settings.remove("patch_dropout");
    }
    Ok(())
}

fn config(model: &Model) -> Result<ClipConfig, String> {
    let Model { vision_cfg: vision, text_cfg: text, .. } = model;
    let hidden_act = if model.quick_gelu { Activation::QuickGelu } else { Activation::Gelu };
    let mlp = |width: usize, ratio: f64| (width as f64 * ratio) as usize;
    if vision.head_width == 0 {
        return Err("`head_width` must be at least 1".into());
    }
    let vision_config = match (&vision.layers, vision.patch_size) {
        (Layers::Stages(layers), _) => VisionConfig::ResNet(ResNetConfig {
            layers: *layers,
            width: vision.width,
            heads: 32 * vision.width / vision.head_width,
            image_size: vision.image_size,
        }),
        (Layers::Blocks(layers), Some(patch_size)) => VisionConfig::Vit(VitConfig {
            hidden_size: vision.width,
            intermediate_size: mlp(vision.width, vision.mlp_ratio),
            num_hidden_layers: *layers,
            num_attention_heads: vision.width / vision.head_width,
            image_size: vision.image_size,
            patch_size,
            hidden_act,
            ..VitConfig::default()
        }),
        (Layers::Blocks(_), None) => return Err("`patch_size` is missing".into()),
    };
    let text_config = TextConfig {
        vocab_size: text.vocab_size,
        hidden_size: text.width,
        intermediate_size: mlp(text.width, text.mlp_ratio),
        num_hidden_layers: text.layers,
        num_attention_heads: text.heads,
        max_position_embeddings: text.context_length,
        hidden_act,
        bos_token_id: (text.vocab_size as u32).saturating_sub(2),
        eos_token_id: (text.vocab_size as u32).saturating_sub(1),
        ..TextConfig::default()
    };
    let start = ClipConfig::vit_b_32().logit_scale_init_value;
    Ok(ClipConfig {
        projection_dim: model.embed_dim,
        logit_scale_init_value: model.init_logit_scale.unwrap_or(start),
        text_config,
        vision_config,
    })
}

/// Writes the file for OpenCLIP.
///
/// # Errors
/// Sizes that OpenCLIP has no words for, and what the system refuses.
pub(crate) fn write(
    config: &ClipConfig,
    preprocess: &PreprocessConfig,
    path: &Path,
) -> Result<(), ClipError> {
    let (text, vision) = (&config.text_config, &config.vision_config);
    let ratio = |mlp: usize, width: usize| mlp as f64 / width as f64;
    let mut file = File {
        model_cfg: Model {
            embed_dim: config.projection_dim,
            quick_gelu: text.hidden_act == Activation::QuickGelu,
            init_logit_scale: None,
            vision_cfg: match vision {
                VisionConfig::ResNet(resnet) => Vision {
                    image_size: resnet.image_size,
                    layers: Layers::Stages(resnet.layers),
                    width: resnet.width,
                    patch_size: None,
                    head_width: resnet.grid_width() / resnet.heads,
                    mlp_ratio: mlp_ratio(),
                },
                VisionConfig::Vit(vit) => Vision {
                    image_size: vit.image_size,
                    layers: Layers::Blocks(vit.num_hidden_layers),
                    width: vit.hidden_size,
                    patch_size: Some(vit.patch_size),
                    head_width: vit.hidden_size / vit.num_attention_heads,
                    mlp_ratio: ratio(vit.intermediate_size, vit.hidden_size),
                },
            },
            text_cfg: Text {
                context_length: text.max_position_embeddings,
                vocab_size: text.vocab_size,
                width: text.hidden_size,
                heads: text.num_attention_heads,
                layers: text.num_hidden_layers,
                mlp_ratio: ratio(text.intermediate_size, text.hidden_size),
            },
        },
        preprocess_cfg: Preprocess {
            mean: preprocess.mean,
            std: preprocess.std,
            interpolation: "bicubic".into(),
            resize_mode: match preprocess.fit {
                Fit::CentreCrop => "shortest".into(),
                Fit::Squash => "squash".into(),
            },
            ..Preprocess::default()
        },
    };
    // Widths are whole numbers again after OpenCLIP has cut `width * ratio` down.
    for (ratio, width, mlp) in [
        (&mut file.model_cfg.text_cfg.mlp_ratio, text.hidden_size, text.intermediate_size),
        match vision {
            VisionConfig::Vit(vit) => {
                (&mut file.model_cfg.vision_cfg.mlp_ratio, vit.hidden_size, vit.intermediate_size)
            }
            VisionConfig::ResNet(_) => (&mut file.model_cfg.vision_cfg.mlp_ratio, 1, 4),
        },
    ] {
        if (width as f64 * *ratio) as usize != mlp {
            *ratio = ratio.next_up();
        }
    }
    let problem = |problem: String| ClipError::File { path: path.to_path_buf(), problem };
    if let VisionConfig::Vit(vit) = vision
        && vit.hidden_act != text.hidden_act
    {
        return Err(problem(
            "can't be written: OpenCLIP has one activation for both towers".into(),
        ));
    }
    match config.config_again(&file) {
        true => {}
        false => {
            return Err(problem("can't be written: OpenCLIP has no words for its sizes".into()));
        }
    }
    let text = serde_json::to_string_pretty(&file).map_err(|e| problem(e.to_string()))?;
    fs::write(path, text + "\n").map_err(|source| ClipError::write(path, source))
}

impl ClipConfig {
    /// Whether a file says the same, but for what training alone needs.
    fn config_again(&self, file: &File) -> bool {
        config(&file.model_cfg).is_ok_and(|again| {
            let start = self.logit_scale_init_value;
            ClipConfig { logit_scale_init_value: start, ..again } == *self
        })
    }
}
