//! Preprocessing as Hugging Face's `preprocessor_config.json`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Fit, PreprocessConfig};
use crate::ClipError;

/// Pillow's number for its bicubic filter.
const BICUBIC: u32 = 3;

/// The fields of the file that CLIP's preprocessing uses. Old files have a number for a size.
#[derive(Deserialize, Serialize)]
struct File {
    #[serde(default = "processor")]
    image_processor_type: String,
    #[serde(default = "yes")]
    do_resize: bool,
    size: Size,
    #[serde(default = "bicubic")]
    resample: u32,
    #[serde(default = "yes")]
    do_center_crop: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crop_size: Option<Size>,
    #[serde(default = "yes")]
    do_rescale: bool,
    #[serde(default = "rescale")]
    rescale_factor: f64,
    #[serde(default = "yes")]
    do_normalize: bool,
    image_mean: [f32; 3],
    image_std: [f32; 3],
    #[serde(default = "yes")]
    do_convert_rgb: bool,
}

/// A size in one of the three ways that files write it.
#[derive(Clone, Copy, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
enum Size {
    Number(u32),
    Short { shortest_edge: u32 },
    Both { height: u32, width: u32 },
}

fn processor() -> String {
    "CLIPImageProcessor".to_string()
}

fn yes() -> bool {
    true
}

fn bicubic() -> u32 {
    BICUBIC
}

fn rescale() -> f64 {
    1.0 / 255.0
}

impl PreprocessConfig {
    /// Reads Hugging Face's `preprocessor_config.json`.
    ///
    /// # Errors
    /// [`ClipError::Io`] if it cannot be read, [`ClipError::Config`] naming the field if it is
    /// malformed or asks for what CLIP's preprocessing does not do.
    pub fn from_file(path: &Path) -> Result<Self, ClipError> {
        let what = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| ClipError::read(path, source))?;
        let config = serde_json::from_str(&text)
            .map_err(|error| format!("not a preprocessor_config.json: {error}"))
            .and_then(from_json)
            .map_err(|reason| ClipError::Config { what: what.clone(), reason })?;
        config.check(&what)?;
        Ok(config)
    }

    /// Writes Hugging Face's `preprocessor_config.json`.
    ///
    /// # Errors
    /// [`ClipError::Io`] if it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ClipError> {
        let square = Size::Both { height: self.size, width: self.size };
        let crop = self.fit == Fit::CentreCrop;
        let file = File {
            image_processor_type: processor(),
            do_resize: true,
            size: if crop { Size::Short { shortest_edge: self.size } } else { square },
            resample: BICUBIC,
            do_center_crop: crop,
            crop_size: crop.then_some(square),
            do_rescale: true,
            rescale_factor: rescale(),
            do_normalize: true,
            image_mean: self.mean,
            image_std: self.std,
            do_convert_rgb: true,
        };
        let failed = |source| ClipError::write(path, source);
        let text = serde_json::to_string_pretty(&file).map_err(|error| failed(error.into()))?;
        fs::write(path, text + "\n").map_err(failed)
    }
}

/// The settings of a file, or the field that CLIP's preprocessing has no use for.
fn from_json(file: File) -> Result<PreprocessConfig, String> {
    if !(file.do_resize && file.do_rescale && file.do_normalize) {
        return Err("`do_resize`, `do_rescale` and `do_normalize` must be true".to_string());
    }
    if file.resample != BICUBIC {
        return Err(format!("`resample` is {}, only 3 (bicubic) is known", file.resample));
    }
    if (file.rescale_factor * 255.0 - 1.0).abs() > 1e-6 {
        return Err(format!("`rescale_factor` is {}, it must be 1/255", file.rescale_factor));
    }
    let square = |size: Size| match size {
        Size::Number(side) => Some(side),
        Size::Both { height, width } if height == width => Some(width),
        _ => None,
    };
    let (size, fit) = match (file.do_center_crop, file.size) {
        (false, Size::Both { .. }) => (square(file.size), Fit::Squash),
        (true, Size::Number(side) | Size::Short { shortest_edge: side }) => {
            // Without its own size the crop is as large as the short side.
            let crop = file.crop_size.map_or(Some(side), square);
            (Some(side).filter(|side| crop == Some(*side)), Fit::CentreCrop)
        }
        _ => (None, Fit::CentreCrop),
    };
    let size = size.ok_or(
        "`size` and `crop_size` must be the short side and a square of the same size, or, without \
         `do_center_crop`, `size` a square",
    )?;
    Ok(PreprocessConfig { size, fit, mean: file.image_mean, std: file.image_std })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PreprocessConfig, ClipError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preprocessor_config.json");
        fs::write(&path, text).unwrap();
        PreprocessConfig::from_file(&path)
    }

    #[test]
    fn settings_survive_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preprocessor_config.json");
        let squash = PreprocessConfig { fit: Fit::Squash, ..PreprocessConfig::openai(448) };
        let own = PreprocessConfig { mean: [0.1, 0.2, 0.3], ..PreprocessConfig::openai(64) };
        for config in [PreprocessConfig::openai(224), squash, own] {
            config.save(&path).unwrap();
            assert_eq!(PreprocessConfig::from_file(&path).unwrap(), config);
        }
    }

    #[test]
    fn old_files_are_read() {
        // The layout of openai/clip-vit-base-patch32.
        let text = r#"{"crop_size": 224, "do_center_crop": true, "do_normalize": true,
            "do_resize": true, "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224}"#;
        assert_eq!(read(text).unwrap(), PreprocessConfig::openai(224));
    }

    #[test]
    fn unknown_ways_are_errors_that_name_the_field() {
        let fields = r#""image_mean": [0, 0, 0], "image_std": [1, 1, 1]"#;
        for (text, name) in [
            ("{".to_string(), "preprocessor_config.json"),
            (r#"{"size": 8}"#.to_string(), "image_mean"),
            (format!(r#"{{"size": 8, "resample": 2, {fields}}}"#), "resample"),
            (format!(r#"{{"size": 8, "crop_size": 9, {fields}}}"#), "crop_size"),
            (format!(r#"{{"size": 8, "do_center_crop": false, {fields}}}"#), "do_center_crop"),
            (format!(r#"{{"size": 8, "do_normalize": false, {fields}}}"#), "do_normalize"),
            (format!(r#"{{"size": 8, "rescale_factor": 1, {fields}}}"#), "rescale_factor"),
            (format!(r#"{{"size": 0, {fields}}}"#), "size"),
            (r#"{"size": 8, "image_mean": [0,0,0], "image_std": [1,0,1]}"#.into(), "deviations"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(matches!(error, ClipError::Config { .. }), "{error}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
