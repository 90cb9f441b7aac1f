//! Decoding image files from anywhere.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::{ImageReader, Limits, RgbImage};

use crate::ClipError;

/// Longest side that is decoded, in pixels.
const MAX_SIDE: u32 = 16_384;

/// Memory that a decoder may ask for, in bytes.
const MAX_BYTES: u64 = 512 << 20;

/// Decodes a PNG or JPEG file, told apart by content, to RGB.
///
/// Grey is repeated, an alpha channel is dropped, 16 bits become 8. EXIF rotation is not applied,
/// as in the reference's pipeline.
///
/// # Errors
/// [`ClipError::Image`] with the path, for a file that is missing, damaged, cut short, empty or
/// too large.
pub fn load_image(path: &Path) -> Result<RgbImage, ClipError> {
    let failed = |reason: String| ClipError::Image { what: path.display().to_string(), reason };
    let file = File::open(path).map_err(|e| failed(format!("it cannot be opened: {e}")))?;
    let mut reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(|e| failed(format!("it cannot be read: {e}")))?;
    if reader.format().is_none() {
        return Err(failed("this is not a PNG or JPEG file".into()));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let image = reader.decode().map_err(|e| failed(format!("it cannot be decoded: {e}")))?;
    let image = image.into_rgb8();
    if image.width() == 0 || image.height() == 0 {
        return Err(failed("it has no pixels".into()));
    }
    Ok(image)
}
