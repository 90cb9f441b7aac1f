//! Preprocessing as Hugging Face's `preprocessor_config.json`, or as its `processor_config.json` since
//! transformers 5.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Fit, PreprocessConfig};
use crate::ClipError;
use crate::json_file::read_object;

/// Pillow's number for its bicubic filter.
const BICUBIC: u64 = 3;
/// The classes whose defaults are these, under all the names that they have had.
const CLIPS: [&str; 4] = [
    "CLIPImageProcessor",
    "CLIPImageProcessorFast",
    "CLIPImageProcessorPil",
    "CLIPFeatureExtractor",
];
/// The side that `size` and `crop_size` have where the file has none.
const DEFAULT_SIDE: u32 = 224;

impl PreprocessConfig {
    /// Reads Hugging Face's `preprocessor_config.json`, or the image processor in a
    /// `processor_config.json`. What is absent has the value that CLIP's processor gives it.
    ///
    /// # Errors
    /// [`ClipError::Io`] if it cannot be read, [`ClipError::Config`] naming the field if it is
    /// malformed or asks for what finecap's preprocessing does not do.
    pub fn from_file(path: &Path) -> Result<Self, ClipError> {
        let object = read_object(path)?;
        let what = path.display().to_string();
        let wrong = |reason: String| ClipError::Config { what: what.clone(), reason };
        let config = match object.get("image_processor") {
            Some(Value::Object(inner)) => Self::of_object(inner),
            _ => Self::of_object(&object),
        };
        let config = config.map_err(wrong)?;
        config.check(&what)?;
        Ok(config)
    }

    /// Writes Hugging Face's `preprocessor_config.json`.
    ///
    /// # Errors
    /// [`ClipError::Io`] if it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ClipError> {
        let square = json!({"height": self.size, "width": self.size});
        let crop = self.fit == Fit::CentreCrop;
        let mut file = json!({
            "image_processor_type": CLIPS[0],
            "do_resize": true,
            "size": if crop { json!({"shortest_edge": self.size}) } else { square.clone() },
            "resample": BICUBIC,
            "do_center_crop": crop,
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": self.mean,
            "image_std": self.std,
            "do_convert_rgb": true,
        });
        if crop {
            file["crop_size"] = square;
        }
        fs::write(path, format!("{file:#}\n")).map_err(|source| ClipError::write(path, source))
    }

    fn of_object(object: &Map<String, Value>) -> Result<Self, String> {
        check_class(object)?;
        for (key, needed) in [("do_resize", true), ("do_rescale", true)] {
            if flag(object, key, true)? != needed {
                return Err(format!("`{key}` must be {needed}"));
            }
        }
        // What else is switched on is something that finecap does not do.
        let known = ["do_resize", "do_rescale", "do_normalize", "do_center_crop", "do_convert_rgb"];
        for (key, value) in object {
            let is_off = matches!(value, Value::Null | Value::Bool(false));
            if key.starts_with("do_") && !known.contains(&key.as_str()) && !is_off {
                return Err(format!("`{key}` is {value}, which finecap does not do"));
            }
        }
        match get(object, "resample") {
            None => {}
            Some(value) if value.as_u64() == Some(BICUBIC) => {}
            Some(value) => return Err(format!("`resample` is {value}, only 3 (bicubic) is known")),
        }
        if let Some(value) = get(object, "rescale_factor") {
            let factor = value.as_f64().unwrap_or(f64::NAN);
            if !factor.is_finite() || (factor * 255.0 - 1.0).abs() > 1e-6 {
                return Err(format!("`rescale_factor` is {value}, it must be 1/255"));
            }
        }
        let default = Self::openai(DEFAULT_SIDE);
        let (mean, std) = match flag(object, "do_normalize", true)? {
            true => (
                colours(object, "image_mean", default.mean)?,
                colours(object, "image_std", default.std)?,
            ),
            false => ([0.0; 3], [1.0; 3]),
        };
        let (size, fit) = size_and_fit(object)?;
        Ok(Self { size, fit, mean, std })
    }
}

/// Processors of other models have other defaults, and mean something else by the same keys.
fn check_class(object: &Map<String, Value>) -> Result<(), String> {
    for key in ["image_processor_type", "feature_extractor_type"] {
        if let Some(class) = get(object, key)
            && !class.as_str().is_some_and(|class| CLIPS.contains(&class))
        {
            return Err(format!(
                "`{key}` is {class}, whose settings finecap does not know: it knows {}",
                CLIPS[0]
            ));
        }
    }
    Ok(())
}

fn get<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn flag(object: &Map<String, Value>, key: &str, default: bool) -> Result<bool, String> {
    match get(object, key) {
        None => Ok(default),
        Some(value) => {
            value.as_bool().ok_or_else(|| format!("`{key}` is {value}, not true or false"))
        }
    }
}

fn colours(object: &Map<String, Value>, key: &str, default: [f32; 3]) -> Result<[f32; 3], String> {
    let Some(value) = get(object, key) else { return Ok(default) };
    let three: Option<Vec<f32>> = value.as_array().and_then(|values| {
        values.iter().map(|value| value.as_f64().map(|value| value as f32)).collect()
    });
    three
        .and_then(|three| three.try_into().ok())
        .ok_or_else(|| format!("`{key}` is {value}, it must be three numbers"))
}

/// A size in one of the ways that files write it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Size {
    /// The short side.
    Short(u32),
    Both(u32, u32),
}

/// The size under a key; a bare number is the short side for `size`, and a square for `crop_size`.
fn size(object: &Map<String, Value>, key: &str) -> Result<Size, String> {
    let is_crop = key == "crop_size";
    let square = |side| if is_crop { Size::Both(side, side) } else { Size::Short(side) };
    let Some(value) = get(object, key) else { return Ok(square(DEFAULT_SIDE)) };
    let wrong = || format!("`{key}` is {value}, which finecap does not do: {SIZES}");
    let side = |value: &Value| value.as_u64().and_then(|side| u32::try_from(side).ok());
    if let Value::Object(sides) = value {
        let mut keys: Vec<&str> = sides
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, _)| key.as_str())
            .collect();
        keys.sort_unstable();
        let of = |key: &str| side(&sides[key]).ok_or_else(wrong);
        return match keys[..] {
            ["shortest_edge"] if is_crop => Err(wrong()),
            ["shortest_edge"] => Ok(Size::Short(of("shortest_edge")?)),
            ["height", "width"] => Ok(Size::Both(of("height")?, of("width")?)),
            _ => Err(wrong()),
        };
    }
    side(value).map(square).ok_or_else(wrong)
}

const SIZES: &str = "it reads a number, {\"shortest_edge\": n} and {\"height\": n, \"width\": n}";

fn size_and_fit(object: &Map<String, Value>) -> Result<(u32, Fit), String> {
    let resized = size(object, "size")?;
    let crops = flag(object, "do_center_crop", true)?;
    let cropped = if crops { Some(size(object, "crop_size")?) } else { None };
    match (resized, cropped) {
        (Size::Short(side), Some(crop)) if crop == Size::Both(side, side) => {
            Ok((side, Fit::CentreCrop))
        }
        // Resized to a square, of which nothing is cut off.
        (Size::Both(height, width), crop)
            if height == width && crop.is_none_or(|crop| crop == resized) =>
        {
            Ok((width, Fit::Squash))
        }
        (_, None) => {
            Err("`do_center_crop` is false and `size` no square: the picture would have any \
                          shape, and finecap's image towers read squares"
                .into())
        }
        _ => {
            let show = |key: &str| get(object, key).map_or("absent (224)".into(), Value::to_string);
            Err(format!(
                "`size` is {} and `crop_size` is {}: finecap crops a square as large as the short \
                 side, or squashes to a square",
                show("size"),
                show("crop_size")
            ))
        }
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
