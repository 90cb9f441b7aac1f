//! A decoded picture in the mode that its file has, and what Pillow makes of each mode.

mod bmp;
mod gif;
mod jpeg;
mod load;
mod png;
mod resize;
mod tiff;
mod webp;

use image::RgbImage;

pub(crate) use load::is_picture;
pub use load::{decode_image, load_image};
pub use resize::Target;
use resize::{nearest, resize_crop, resize_crop_16};

/// A picture as its file holds it.
///
/// It is not RGB at once, because CLIP resizes and crops before it converts, and that is not the
/// same: alpha weighs colours, palettes have no values between.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Pixels,
}

/// Pixels row by row. In brackets Pillow's names of the modes.
#[derive(Clone, Debug, PartialEq)]
enum Pixels {
    /// Grey (L).
    Grey(Vec<[u8; 1]>),
    /// Grey and alpha (LA).
    GreyAlpha(Vec<[u8; 2]>),
    /// Colours (RGB).
    Rgb(Vec<[u8; 3]>),
    /// Colours and alpha (RGBA).
    Rgba(Vec<[u8; 4]>),
    /// Printing colours, 255 is all of an ink (CMYK).
    Cmyk(Vec<[u8; 4]>),
    /// 16-bit grey (I;16).
    Grey16(Vec<u16>),
    /// Colours looked up in a palette, or black and white (P and 1).
    Indexed(Vec<[u8; 3]>),
}

impl Pixels {
    fn len(&self) -> usize {
        match self {
            Self::Grey(pixels) => pixels.len(),
            Self::GreyAlpha(pixels) => pixels.len(),
            Self::Rgb(pixels) | Self::Indexed(pixels) => pixels.len(),
            Self::Rgba(pixels) | Self::Cmyk(pixels) => pixels.len(),
            Self::Grey16(pixels) => pixels.len(),
        }
    }
}

impl Picture {
    /// A picture of `width · height` pixels; `None` for another number of them.
    fn new(width: u32, height: u32, pixels: Pixels) -> Option<Self> {
        let wanted = (width as usize).checked_mul(height as usize)?;
        (pixels.len() == wanted).then_some(Self { width, height, pixels })
    }

    /// A picture in one of Pillow's modes: L, LA, RGB, RGBA, CMYK, `I;16` (little endian), or P with
    /// the colours that its palette gives, three bytes each.
    ///
    /// `None` for another mode and where `bytes` are not those of `width · height` pixels.
    pub fn from_mode(mode: &str, width: u32, height: u32, bytes: &[u8]) -> Option<Self> {
        fn cut<const N: usize>(bytes: &[u8]) -> Option<Vec<[u8; N]>> {
            let (pixels, rest) = bytes.as_chunks::<N>();
            rest.is_empty().then(|| pixels.to_vec())
        }
        let pixels = match mode {
            "L" => Pixels::Grey(cut(bytes)?),
            "LA" => Pixels::GreyAlpha(cut(bytes)?),
            "RGB" => Pixels::Rgb(cut(bytes)?),
            "RGBA" => Pixels::Rgba(cut(bytes)?),
            "CMYK" => Pixels::Cmyk(cut(bytes)?),
            "I;16" => Pixels::Grey16(cut(bytes)?.into_iter().map(u16::from_le_bytes).collect()),
            "P" => Pixels::Indexed(cut(bytes)?),
            _ => return None,
        };
        Self::new(width, height, pixels)
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The picture in RGB, as Pillow's `convert("RGB")`: grey is repeated, alpha is dropped, 16-bit
    /// grey is cut off at 255.
    pub fn into_rgb(self) -> RgbImage {
        let pixels: Vec<[u8; 3]> = match self.pixels {
            Pixels::Rgb(pixels) | Pixels::Indexed(pixels) => pixels,
            Pixels::Grey(pixels) => pixels.into_iter().map(|[grey]| [grey; 3]).collect(),
            Pixels::GreyAlpha(pixels) => pixels.into_iter().map(|[grey, _]| [grey; 3]).collect(),
            Pixels::Rgba(pixels) => pixels.into_iter().map(|[r, g, b, _]| [r, g, b]).collect(),
            Pixels::Cmyk(pixels) => pixels.into_iter().map(from_cmyk).collect(),
            Pixels::Grey16(pixels) => {
                pixels.into_iter().map(|grey| [grey.min(255) as u8; 3]).collect()
            }
        };
        RgbImage::from_raw(self.width, self.height, pixels.into_flattened()).unwrap_or_default()
    }

    /// Resizes in the picture's own mode with Pillow's bicubic filter, and cuts a square out. The
    /// picture must have pixels.
    pub fn resize_crop(&self, target: &Target) -> Picture {
        let from = (self.width, self.height);
        let pixels = match &self.pixels {
            Pixels::Rgb(pixels) => Pixels::Rgb(resize_crop(pixels, from, target)),
            Pixels::Grey(pixels) => Pixels::Grey(resize_crop(pixels, from, target)),
            Pixels::Cmyk(pixels) => Pixels::Cmyk(resize_crop(pixels, from, target)),
            Pixels::Grey16(pixels) => Pixels::Grey16(resize_crop_16(pixels, from, target)),
            Pixels::Indexed(pixels) => Pixels::Indexed(nearest(pixels, from, target)),
            // What stays as large is only copied, and keeps its last bits.
            Pixels::GreyAlpha(pixels) if from == target.size => {
                Pixels::GreyAlpha(resize_crop(pixels, from, target))
            }
            Pixels::Rgba(pixels) if from == target.size => {
                Pixels::Rgba(resize_crop(pixels, from, target))
            }
            Pixels::GreyAlpha(pixels) => {
                let weighed: Vec<_> = pixels.iter().map(|pixel| weigh(*pixel)).collect();
                let resized = resize_crop(&weighed, from, target);
                Pixels::GreyAlpha(resized.into_iter().map(unweigh).collect())
            }
            Pixels::Rgba(pixels) => {
                let weighed: Vec<_> = pixels.iter().map(|pixel| weigh(*pixel)).collect();
                let resized = resize_crop(&weighed, from, target);
                Pixels::Rgba(resized.into_iter().map(unweigh).collect())
            }
        };
        Picture { width: target.side, height: target.side, pixels }
    }
}

impl From<RgbImage> for Picture {
    fn from(image: RgbImage) -> Self {
        let (width, height) = image.dimensions();
        let (pixels, _) = image.as_raw().as_chunks::<3>();
        Self { width, height, pixels: Pixels::Rgb(pixels.to_vec()) }
    }
}

/// `a · b / 255`, rounded.
fn product(a: u8, b: u8) -> u8 {
    let sum = u32::from(a) * u32::from(b) + 128;
    (((sum >> 8) + sum) >> 8) as u8
}

/// Colours times alpha, which is the last channel.
fn weigh<const N: usize>(mut pixel: [u8; N]) -> [u8; N] {
    let alpha = pixel[N - 1];
    pixel[..N - 1].iter_mut().for_each(|value| *value = product(*value, alpha));
    pixel
}

/// Colours divided by alpha again.
fn unweigh<const N: usize>(mut pixel: [u8; N]) -> [u8; N] {
    let alpha = u32::from(pixel[N - 1]);
    if alpha != 0 && alpha != 255 {
        let colours = pixel[..N - 1].iter_mut();
        colours.for_each(|value| *value = (255 * u32::from(*value) / alpha).min(255) as u8);
    }
    pixel
}

fn from_cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = 255 - k;
    [c, m, y].map(|ink| light - product(ink, light))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_survive_alpha_only_where_there_is_some() {
        assert_eq!(unweigh(weigh([200, 100, 0, 255])), [200, 100, 0, 255]);
        assert_eq!(unweigh(weigh([200, 100, 7, 128])), [199, 99, 7, 128]);
        assert_eq!(unweigh(weigh([200, 0])), [0, 0]);
        // Resizing can leave a colour above its alpha.
        assert_eq!(unweigh([9, 3]), [255, 3]);
    }

    #[test]
    fn inks_take_light_away() {
        assert_eq!(from_cmyk([0, 0, 0, 0]), [255; 3]);
        assert_eq!(from_cmyk([255, 0, 0, 0]), [0, 255, 255]);
        assert_eq!(from_cmyk([1, 2, 3, 255]), [0; 3]);
        assert_eq!(from_cmyk([0, 128, 255, 55]), [200, 100, 0]);
    }

    #[test]
    fn a_picture_of_colours_is_what_it_was() {
        let image = RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8, y as u8, 9]));
        assert_eq!(Picture::from(image.clone()).into_rgb(), image);
    }
}
