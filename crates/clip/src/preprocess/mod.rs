//! From pictures to the numbers that the image tower reads.

mod file;

use std::borrow::Borrow;

use burn::tensor::{Device, Tensor, TensorData};
use finecap_data::{Picture, Target};
use image::RgbImage;

use crate::ClipError;

/// How a picture of any shape becomes a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The short side is resized to the square's, then the centre is cut out: what CLIP does.
    CentreCrop,
    /// Both sides are resized to the square's, whatever the shape: what the captioner's 448-pixel
    /// features use.
    Squash,
}

/// Resizing, cropping and normalisation of pictures; it belongs to a model's weights.
#[derive(Clone, Debug, PartialEq)]
pub struct PreprocessConfig {
    /// The side of the square output, in pixels.
    pub size: u32,
    /// How a picture becomes a square.
    pub fit: Fit,
    /// Mean of each colour (red, green, blue), for values from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each colour, for values from 0 to 1.
    pub std: [f32; 3],
}

impl PreprocessConfig {
    /// The longest side of the square, in pixels.
    pub const MAX_SIZE: u32 = 4096;

    /// OpenAI's means and standard deviations, short side and centre crop, at a given size.
    pub fn openai(size: u32) -> Self {
        Self {
            size,
            fit: Fit::CentreCrop,
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        }
    }

    /// The picture as a square of [`size`](Self::size) pixels a side.
    ///
    /// Resizing is Pillow's bicubic filter, bit for bit. Rounding is torchvision's: the long side
    /// is cut down to a whole number, half a margin goes to the even number. (Hugging Face's own
    /// processor cuts margins down, which shifts some crops by a pixel.)
    ///
    /// [`Fit::CentreCrop`] resizes and crops in the picture's own mode and converts to RGB last,
    /// as OpenAI's and open_clip's transforms do; [`Fit::Squash`] converts first, as the script of
    /// the captioner's features does. (Hugging Face's processor always converts first.) Pictures
    /// in RGB or grey come out the same either way; those with alpha, palette, inks or 16-bit grey
    /// do not.
    ///
    /// # Errors
    /// [`ClipError::Image`] for a picture without pixels, [`ClipError::Config`] for an impossible
    /// size.
    pub fn resize(&self, picture: &Picture) -> Result<RgbImage, ClipError> {
        self.check("preprocessing")?;
        let (width, height) = (picture.width(), picture.height());
        if width == 0 || height == 0 {
            let reason = format!("it is {width} by {height} pixels, so there is nothing to see");
            return Err(ClipError::Image { what: "in memory".to_string(), reason });
        }
        let side = self.size;
        let size = match self.fit {
            Fit::Squash => (side, side),
            Fit::CentreCrop if width <= height => (side, long_side(side, height, width)?),
            Fit::CentreCrop => (long_side(side, width, height)?, side),
        };
        let target = Target { size, margins: (margin(size.0 - side), margin(size.1 - side)), side };
        Ok(match self.fit {
            Fit::CentreCrop => picture.resize_crop(&target).into_rgb(),
            Fit::Squash => {
                Picture::from(picture.clone().into_rgb()).resize_crop(&target).into_rgb()
            }
        })
    }

    /// The normalised values of a picture, `[3, size, size]`: colour by colour, row by row,
    /// `(value / 255 - mean) / std`.
    ///
    /// # Errors
    /// Those of [`resize`](Self::resize).
    pub fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, ClipError> {
        let picture = self.resize(picture)?;
        let mut values = Vec::with_capacity(picture.len());
        for channel in 0..3 {
            let (mean, std) = (self.mean[channel], self.std[channel]);
            let normalised: [f32; 256] =
                std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std);
            values.extend(picture.pixels().map(|pixel| normalised[usize::from(pixel.0[channel])]));
        }
        Ok(values)
    }

    /// The normalised values of several pictures as a tensor `[B, 3, size, size]`.
    ///
    /// # Errors
    /// Those of [`resize`](Self::resize).
    pub fn batch<I: Borrow<Picture>>(
        &self,
        pictures: &[I],
        device: &Device,
    ) -> Result<Tensor<4>, ClipError> {
        let mut values = Vec::new();
        for picture in pictures {
            values.extend(self.pixels(picture.borrow())?);
        }
        let size = self.size as usize;
        Ok(Tensor::from_data(TensorData::new(values, [pictures.len(), 3, size, size]), device))
    }

    /// Refuses values that no picture can be prepared with.
    fn check(&self, what: &str) -> Result<(), ClipError> {
        let wrong = |reason: String| ClipError::Config { what: what.to_string(), reason };
        if !(1..=Self::MAX_SIZE).contains(&self.size) {
            let most = Self::MAX_SIZE;
            return Err(wrong(format!("the size is {}, it must be 1 to {most}", self.size)));
        }
        if !self.mean.iter().all(|mean| mean.is_finite()) {
            return Err(wrong("the means must be numbers".to_string()));
        }
        if !self.std.iter().all(|std| std.is_finite() && *std > 0.0) {
            return Err(wrong("the standard deviations must be above 0".to_string()));
        }
        Ok(())
    }
}

/// The long side after the short one became `size`.
fn long_side(size: u32, long: u32, short: u32) -> Result<u32, ClipError> {
    u32::try_from(u64::from(size) * u64::from(long) / u64::from(short)).map_err(|_| {
        let reason = format!("its sides of {long} and {short} pixels are too different");
        ClipError::Image { what: "in memory".to_string(), reason }
    })
}

/// What is cut off before the centre when `rest` pixels are cut in all: half, and of two equally
/// near numbers the even one.
fn margin(rest: u32) -> u32 {
    let half = rest / 2;
    half + (rest % 2) * (half % 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_margin_goes_to_the_even_number() {
        // Python: [round(rest / 2) for rest in range(8)]
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(margin), [0, 0, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn impossible_pictures_and_settings_are_errors() {
        let config = PreprocessConfig::openai(8);
        let nothing = config.pixels(&RgbImage::new(0, 5).into()).unwrap_err().to_string();
        assert!(nothing.contains("0 by 5 pixels"), "{nothing}");
        let picture = Picture::from(RgbImage::new(3, 3));
        for wrong in [
            PreprocessConfig::openai(0),
            PreprocessConfig::openai(1_000_000),
            PreprocessConfig { std: [1.0, 0.0, 1.0], ..config.clone() },
            PreprocessConfig { mean: [f32::NAN; 3], ..config.clone() },
        ] {
            let error = wrong.pixels(&picture).unwrap_err();
            assert!(matches!(error, ClipError::Config { .. }), "{error}");
        }
        assert_eq!(config.pixels(&picture).unwrap().len(), 3 * 8 * 8);
    }
}
