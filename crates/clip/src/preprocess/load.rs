//! Decoding image files from anywhere, with limits.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;

use image::{DynamicImage, ImageFormat, ImageReader, Limits, RgbImage};

use crate::ClipError;

/// The longest side that is decoded, in pixels.
const MAX_SIDE: u32 = 16_384;
/// The largest file that is read and the most memory that a decoder may ask for, in bytes.
const MAX_BYTES: u64 = 512 << 20;

/// Reads a PNG or JPEG file, told apart by content and not by name, as RGB.
///
/// Sides up to 16,384 pixels and 512 MiB decoded are accepted. Like Pillow's `convert("RGB")`:
/// grey is repeated, palettes are looked up, an alpha channel is dropped, 16-bit channels keep
/// their high byte (of 16-bit grey Pillow instead clips what is above 255), and a rotation noted
/// in EXIF is not applied.
///
/// # Errors
/// [`ClipError::Image`] with the path, for a file that is missing, not an image, damaged, cut
/// short, empty or too large.
pub fn load_image(path: &Path) -> Result<RgbImage, ClipError> {
    let read = || {
        let metadata = fs::metadata(path).map_err(|error| format!("it cannot be read: {error}"))?;
        if !metadata.is_file() {
            return Err("this is not a file".to_string());
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
        (file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| format!("it cannot be read: {error}"))?;
        decode(&bytes)
    };
    read().map_err(|reason| ClipError::Image { what: path.display().to_string(), reason })
}

/// Decodes the bytes of a PNG or JPEG file, as [`load_image`] does.
///
/// # Errors
/// [`ClipError::Image`], with `what` to name the picture.
pub fn decode_image(bytes: &[u8], what: &str) -> Result<RgbImage, ClipError> {
    decode(bytes).map_err(|reason| ClipError::Image { what: what.to_string(), reason })
}

fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("the file is larger than {} MiB", MAX_BYTES >> 20));
    }
    if bytes.is_empty() {
        return Err("the file is empty".to_string());
    }
    let damaged = |error| format!("it is damaged or cut short: {error}");
    let mut reader = (ImageReader::new(Cursor::new(bytes)).with_guessed_format())
        .map_err(|error| format!("it cannot be read: {error}"))?;
    match reader.format() {
        Some(ImageFormat::Png) => {}
        // The decoder fills what is missing with grey, so the end must be looked for.
        Some(ImageFormat::Jpeg) if !jpeg_ends(bytes) => {
            return Err("it is cut short: the JPEG has no end".to_string());
        }
        Some(ImageFormat::Jpeg) => {}
        _ => return Err("this is neither a PNG nor a JPEG file".to_string()),
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| match error {
        image::ImageError::Limits(_) => {
            let mebibytes = MAX_BYTES >> 20;
            format!("it is larger than {MAX_SIDE} pixels a side or {mebibytes} MiB decoded")
        }
        error => damaged(error),
    })?;
    let picture = rgb(picture);
    if picture.is_empty() {
        return Err("it has no pixels".to_string());
    }
    Ok(picture)
}

/// Three bytes a pixel.
fn rgb(picture: DynamicImage) -> RgbImage {
    /// The high byte of each of `N` channels.
    fn high<const N: usize>(pixels: &[u16], to_rgb: impl Fn([u8; N]) -> [u8; 3]) -> Vec<u8> {
        let (pixels, _) = pixels.as_chunks::<N>();
        pixels.iter().flat_map(|pixel| to_rgb(pixel.map(|value| (value >> 8) as u8))).collect()
    }
    let (width, height) = (picture.width(), picture.height());
    let bytes = match &picture {
        DynamicImage::ImageLuma16(pixels) => high(pixels, |[grey]| [grey; 3]),
        DynamicImage::ImageLumaA16(pixels) => high(pixels, |[grey, _]| [grey; 3]),
        DynamicImage::ImageRgb16(pixels) => high(pixels, |rgb| rgb),
        DynamicImage::ImageRgba16(pixels) => high(pixels, |[r, g, b, _]| [r, g, b]),
        _ => return picture.into_rgb8(),
    };
    RgbImage::from_raw(width, height, bytes).unwrap_or_default()
}

/// Whether a JPEG's picture data is closed by its end marker. Segments are stepped over, so that
/// the end of a thumbnail inside one does not count.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[mark, kind]) = bytes.get(at..at + 2).and_then(<[u8]>::first_chunk) {
        match (mark, kind) {
            (0xff, 0xd9) => return true,
            // Fill bytes, and markers without content.
            (0xff, 0xff) => at += 1,
            (0xff, 0x01 | 0xd0..=0xd7) => at += 2,
            // In picture data a 0xff is followed by a zero.
            (0xff, 1..) => {
                let Some(length) = bytes.get(at + 2..).and_then(<[u8]>::first_chunk) else {
                    return false;
                };
                at += 2 + usize::from(u16::from_be_bytes(*length));
            }
            _ => at += 1,
        }
    }
    false
}
