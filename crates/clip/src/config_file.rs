//! Hugging Face's `config.json`.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::config::{ResNetConfig, TextConfig, VitConfig};
use crate::json_file::{difference, fields, read_object};
use crate::{ClipConfig, ClipError, Tower, VisionConfig};

/// Sizes of a model, and the tower that it is alone, if it is.
pub(crate) struct ReadConfig {
    pub config: ClipConfig,
    pub alone: Option<Tower>,
}

/// Reads the sizes of a whole CLIP, or of one of its towers.
///
/// # Errors
/// A configuration of another kind of model, one that disagrees with itself, and fields of wrong
/// types, each named.
pub(crate) fn read_config(path: &Path) -> Result<ReadConfig, ClipError> {
    let object = read_object(path)?;
    of_object(&object).map_err(|problem| ClipError::File { path: path.to_path_buf(), problem })
}

fn of_object(object: &Map<String, Value>) -> Result<ReadConfig, String> {
    let kind = object.get("model_type").and_then(Value::as_str);
    let has_towers = ["text_config", "vision_config", "text_config_dict", "vision_config_dict"];
    match kind {
        Some("clip") => {}
        Some("clip_text_model") => return text_alone(object),
        Some("clip_vision_model") => return vision_alone(object),
        None if has_towers.iter().any(|key| object.contains_key(*key)) => {}
        Some(other) => {
            return Err(format!("describes a model of type `{other}`; finecap reads `clip`"));
        }
        None => return Err("is no CLIP configuration: it has no `model_type`".into()),
    }
    let text = tower(object, "text_config", "clip_text_model")?;
    let vision = tower(object, "vision_config", "clip_vision_model")?;
    let start = ClipConfig::vit_b_32();
    let number = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) => Ok(Some(number)),
            None => Err(format!("`{key}`: {value} is no number")),
        },
    };
    let projection_dim = match number("projection_dim")? {
        Some(width) if width >= 1.0 && width.fract() == 0.0 => width as usize,
        Some(width) => return Err(format!("`projection_dim`: {width} must be a whole number")),
        None => start.projection_dim,
    };
    let mut config = ClipConfig {
        projection_dim,
        logit_scale_init_value: number("logit_scale_init_value")?
            .unwrap_or(start.logit_scale_init_value),
        text_config: text_fields(&text, "text_config.")?,
        vision_config: vision_fields(&vision)?,
    };
    old_ids(&mut config.text_config);
    Ok(ReadConfig { config, alone: None })
}

/// The fields of a tower. Old files have a second object with `_dict` behind its name, which
/// `transformers` prefers; both must give the same sizes.
fn tower(object: &Map<String, Value>, key: &str, kind: &str) -> Result<Map<String, Value>, String> {
    let get = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(tower)) if tower.is_empty() => Ok(None),
        Some(Value::Object(tower)) => Ok(Some(tower.clone())),
        Some(_) => Err(format!("`{key}` must be an object")),
    };
    let dict = format!("{key}_dict");
    let (plain, old) = (get(key)?, get(&dict)?);
    for tower in [&plain, &old].into_iter().flatten() {
        match tower.get("model_type").and_then(Value::as_str) {
            Some(other) if other != kind && other != "clip" => {
                return Err(format!("`{key}.model_type` is `{other}`; finecap reads `{kind}`"));
            }
            _ => {}
        }
    }
    if let (Some(plain), Some(old)) = (&plain, &old) {
        let sizes = |tower: &Map<String, Value>, at: &str| -> Result<Value, String> {
            Ok(match key {
                "text_config" => json!(text_fields(tower, at)?),
                _ => json!(vision_fields(tower)?),
            })
        };
        let (plain, old) = (sizes(plain, "text_config.")?, sizes(old, "text_config_dict.")?);
        if let Some(difference) = difference(&plain, &old, "") {
            return Err(format!(
                "disagrees with itself: of `{key}` and `{dict}`, {difference}: remove the wrong one"
            ));
        }
    }
    Ok(old.or(plain).unwrap_or_default())
}

fn text_fields(object: &Map<String, Value>, at: &str) -> Result<TextConfig, String> {
    fields(&without_nulls(object), at)
}

/// A ResNet is known by its `layers`.
fn vision_fields(object: &Map<String, Value>) -> Result<VisionConfig, String> {
    let mut object = without_nulls(object);
    if !object.contains_key("layers") {
        return Ok(VisionConfig::Vit(fields::<VitConfig>(&object, "vision_config.")?));
    }
    // What every configuration says, and no size.
    for key in ["model_type", "projection_dim"] {
        object.remove(key);
    }
    let resnet = serde_json::from_value::<ResNetConfig>(Value::Object(object));
    Ok(VisionConfig::ResNet(resnet.map_err(|error| format!("`vision_config`: {error}"))?))
}

/// Missing is what null means.
fn without_nulls(object: &Map<String, Value>) -> Map<String, Value> {
    let fields = object.iter().filter(|(_, value)| !value.is_null());
    fields.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Configurations written before 2023 say 2 and mean the highest id of the vocabulary.
fn old_ids(text: &mut TextConfig) {
    if text.eos_token_id == 2 && text.vocab_size > 3 {
        text.eos_token_id = text.vocab_size as u32 - 1;
        text.bos_token_id = text.vocab_size as u32 - 2;
    }
}

fn projection(object: &Map<String, Value>) -> Result<usize, String> {
    let width = object.get("projection_dim").filter(|width| !width.is_null());
    let width = width.map_or(Some(512), Value::as_u64);
    width.map(|width| width as usize).ok_or("`projection_dim` must be a whole number".into())
}

/// `CLIPTextModelWithProjection`; the image tower is a stub without weights.
fn text_alone(object: &Map<String, Value>) -> Result<ReadConfig, String> {
    let mut text_config = text_fields(object, "")?;
    old_ids(&mut text_config);
    let stub = VitConfig {
        hidden_size: 1,
        intermediate_size: 1,
        num_hidden_layers: 0,
        num_attention_heads: 1,
        image_size: 1,
        patch_size: 1,
        ..VitConfig::default()
    };
    let config = ClipConfig {
        projection_dim: projection(object)?,
        text_config,
        vision_config: VisionConfig::Vit(stub),
        ..ClipConfig::vit_b_32()
    };
    Ok(ReadConfig { config, alone: Some(Tower::Text) })
}

/// `CLIPVisionModelWithProjection`; the text tower is a stub without weights.
fn vision_alone(object: &Map<String, Value>) -> Result<ReadConfig, String> {
    let vision_config = vision_fields(object)?;
    let stub = TextConfig {
        vocab_size: 2,
        hidden_size: 1,
        intermediate_size: 1,
        num_hidden_layers: 0,
        num_attention_heads: 1,
        max_position_embeddings: 2,
        bos_token_id: 0,
        eos_token_id: 1,
        ..TextConfig::default()
    };
    let config = ClipConfig {
        projection_dim: projection(object)?,
        text_config: stub,
        vision_config,
        ..ClipConfig::vit_b_32()
    };
    Ok(ReadConfig { config, alone: Some(Tower::Image) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: Value) -> Result<ClipConfig, String> {
        let Value::Object(object) = value else { panic!("no object") };
        of_object(&object).map(|read| read.config)
    }

    #[test]
    fn other_models_and_wrong_fields_are_named() {
        for (value, expected) in [
            (json!({}), "no `model_type`"),
            (json!({"d_model": 8, "n_heads": 2}), "no `model_type`"),
            (json!({"model_type": "siglip", "text_config": {}}), "`siglip`"),
            (json!({"model_type": "chinese_clip"}), "`chinese_clip`"),
            (
                json!({"model_type": "clip", "vision_config": {"model_type": "vit"}}),
                "`vision_config.model_type` is `vit`",
            ),
            (
                json!({"model_type": "clip", "vision_config": {"patch_size": "32"}}),
                "`vision_config.patch_size`",
            ),
            (
                json!({"model_type": "clip", "text_config": {"hidden_act": "gelu_new"}}),
                "`text_config.hidden_act`",
            ),
            (json!({"model_type": "clip", "projection_dim": "512"}), "`projection_dim`"),
            (json!({"model_type": "clip", "text_config": 3}), "`text_config` must be an object"),
            (
                json!({"model_type": "clip", "vision_config": {"layers": [1, 2, 3], "width": 2}}),
                "`vision_config`",
            ),
        ] {
            let problem = read(value.clone()).unwrap_err();
            assert!(problem.contains(expected), "{value}: {problem}");
        }
    }

    #[test]
    fn missing_and_null_fields_take_the_published_defaults() {
        let small = json!({"model_type": "clip", "projection_dim": 24,
            "text_config": {"vocab_size": 600, "bos_token_id": 1, "eos_token_id": 3, "hidden_size": null},
            "vision_config": null});
        let config = read(small).unwrap();
        assert_eq!((config.projection_dim, config.text_config.vocab_size), (24, 600));
        assert_eq!(config.text_config.max_position_embeddings, 77);
        assert_eq!(config.vision_config, VisionConfig::default());
        let old = read(json!({"model_type": "clip", "text_config": {"eos_token_id": 2}})).unwrap();
        assert_eq!(old.text_config.eos_token_id, 49407);
    }

    proptest! {
        /// Both objects of a tower, either alone, and two that differ in one field.
        #[test]
        fn a_second_object_must_say_the_same(
            layers in 1usize..20,
            width in prop::sample::select(vec![64usize, 512, 768]),
            field in prop::sample::select(vec!["num_hidden_layers", "hidden_size", "hidden_act", "patch_size"]),
            tower in prop::sample::select(vec!["text_config", "vision_config"]),
        ) {
            let one = json!({"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": 8});
            let dict = format!("{tower}_dict");
            let both = |a: &Value, b: &Value| {
                read(json!({"model_type": "clip", tower: a, dict.clone(): b}))
            };
            let plain = both(&one, &Value::Null).unwrap();
            prop_assert_eq!(&both(&one, &one).unwrap(), &plain);
            prop_assert_eq!(&both(&Value::Null, &one).unwrap(), &plain);
            prop_assert_eq!(&both(&json!({}), &one).unwrap(), &plain);
            let mut other = one.clone();
            other[field] = match field {
                "hidden_act" => json!("gelu"),
                _ => json!(8 + one[field].as_u64().unwrap_or(32)),
            };
            // Texts have no patches.
            if (tower, field) != ("text_config", "patch_size") {
                let problem = both(&one, &other).unwrap_err();
                prop_assert!(problem.contains(field) && problem.contains(&dict), "{}", problem);
            }
        }

        /// Whatever the fields hold, the file is read or refused, and what is read has sizes that are
        /// checked before anything is made of them.
        #[test]
        fn no_configuration_panics(
            fields in prop::collection::btree_map(
                prop::sample::select(vec![
                    "vocab_size", "hidden_size", "num_attention_heads", "eos_token_id", "hidden_act",
                    "image_size", "patch_size", "layers", "projection_dim", "model_type",
                ]),
                prop::sample::select(vec![
                    json!(null), json!(-1), json!(0), json!(2), json!(64), json!(u64::MAX), json!(1.5),
                    json!("clip"), json!([1, 2, 3, 4]), json!({}), json!("clip_text_model"),
                ]),
                0..8,
            ),
            place in prop::sample::select(vec!["", "text_config", "vision_config", "vision_config_dict"]),
        ) {
            let value = match place {
                "" => json!(fields),
                place => json!({"model_type": "clip", place: fields}),
            };
            if let Ok(config) = read(value) {
                let _ = config.check();
            }
        }
    }
}
