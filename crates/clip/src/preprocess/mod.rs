//! From image files to the numbers that the image tower reads.

mod load;
mod resize;

use std::borrow::Borrow;
use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;
use serde_json::{Value, json};

use crate::ClipError;
pub use load::load_image;
use resize::resize;

/// Resizing, cropping and normalisation; it belongs to the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct PreprocessConfig {
    /// Side of the square output in pixels. The short side of a picture is resized to it, then
    /// the centre is cut out.
    pub size: u32,
    /// Mean of each colour, for values from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each colour.
    pub std: [f32; 3],
}

impl PreprocessConfig {
    /// OpenAI's means and standard deviations at a given size.
    pub fn openai(size: u32) -> Self {
        Self {
            size,
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_58, 0.275_777_11],
        }
    }

    /// Reads Hugging Face's `preprocessor_config.json`.
    ///
    /// # Errors
    /// A missing or malformed file, or one that asks for what CLIP doesn't do.
    pub fn from_file(path: &Path) -> Result<Self, ClipError> {
        let wrong = |problem: String| ClipError::File { path: path.to_path_buf(), problem };
        let text = fs::read_to_string(path).map_err(|source| ClipError::read(path, source))?;
        let value: Value =
            serde_json::from_str(&text).map_err(|e| wrong(format!("is not valid JSON: {e}")))?;
        let crop = &value["crop_size"];
        let size = crop["height"].as_u64().or(crop.as_u64());
        let size = size.and_then(|size| u32::try_from(size).ok()).filter(|&size| size > 0);
        let size = size.ok_or_else(|| wrong("has no `crop_size` above 0".into()))?;
        let triple = |key: &str| -> Result<[f32; 3], ClipError> {
            let values = value[key].as_array().into_iter().flatten();
            let values: Vec<f32> = values.filter_map(|v| v.as_f64().map(|v| v as f32)).collect();
            values.try_into().map_err(|_| wrong(format!("`{key}` must be three numbers")))
        };
        let (mean, std) = (triple("image_mean")?, triple("image_std")?);
        if std.contains(&0.0) {
            return Err(wrong("`image_std` must not be 0".into()));
        }
        Ok(Self { size, mean, std })
    }

    /// Writes Hugging Face's `preprocessor_config.json`.
    ///
    /// # Errors
    /// [`ClipError::Io`] where writing fails.
    pub fn save(&self, path: &Path) -> Result<(), ClipError> {
        let config = json!({
            "image_processor_type": "CLIPImageProcessor",
            "do_resize": true,
            "size": { "shortest_edge": self.size },
            // Pillow's number for bicubic.
            "resample": 3,
            "do_center_crop": true,
            "crop_size": { "height": self.size, "width": self.size },
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": self.mean,
            "image_std": self.std,
            "do_convert_rgb": true,
        });
        fs::write(path, format!("{config:#}\n")).map_err(|source| ClipError::write(path, source))
    }

    /// Short side to [`PreprocessConfig::size`] with Pillow's bicubic filter, then the centre.
    ///
    /// Rounding follows torchvision: the long side is cut down to a whole number, the margin is
    /// rounded half to even.
    ///
    /// # Errors
    /// [`ClipError::Image`] for a picture without pixels.
    pub fn crop(&self, image: &RgbImage) -> Result<RgbImage, ClipError> {
        let (width, height) = image.dimensions();
        if width == 0 || height == 0 {
            let reason = format!("it is {width} by {height} pixels: there is nothing to see");
            return Err(ClipError::Image { what: "in memory".into(), reason });
        }
        let long = |long: u32, short: u32| {
            (u64::from(self.size) * u64::from(long) / u64::from(short)) as u32
        };
        let (w, h) = if width <= height {
            (self.size, long(height, width))
        } else {
            (long(width, height), self.size)
        };
        let margin = |side: u32| ((side - self.size) as f64 / 2.0).round_ties_even() as u32;
        Ok(resize(image, (w, h), (margin(w), margin(h)), self.size))
    }

    /// Pixels of one picture, colour by colour.
    ///
    /// # Shapes
    /// - output: `[3, size, size]`
    ///
    /// # Errors
    /// Those of [`PreprocessConfig::crop`].
    pub fn pixels(&self, image: &RgbImage) -> Result<Vec<f32>, ClipError> {
        let image = self.crop(image)?;
        let mut pixels = Vec::with_capacity(image.len());
        for channel in 0..3 {
            let (mean, std) = (self.mean[channel], self.std[channel]);
            let values = image.pixels().map(|p| (f32::from(p.0[channel]) / 255.0 - mean) / std);
            pixels.extend(values);
        }
        Ok(pixels)
    }

    /// Pixels of several pictures.
    ///
    /// # Shapes
    /// - output: `[B, 3, size, size]`
    ///
    /// # Errors
    /// Those of [`PreprocessConfig::crop`].
    pub fn batch<I: Borrow<RgbImage> + Sync>(
        &self,
        images: &[I],
        device: &Device,
    ) -> Result<Tensor<4>, ClipError> {
        let mut pixels = Vec::new();
        for image in images {
            pixels.extend(self.pixels(image.borrow())?);
        }
        let size = self.size as usize;
        Ok(Tensor::from_data(TensorData::new(pixels, [images.len(), 3, size, size]), device))
    }
}
