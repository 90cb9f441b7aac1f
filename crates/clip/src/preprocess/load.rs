//! Decoding image files from anywhere, with limits.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::picture::Picture;
use super::{jpeg, png};
use crate::ClipError;

/// The longest side that is decoded, in pixels.
pub(super) const MAX_SIDE: u32 = 16_384;
/// The largest file that is read and the most memory that a decoder may ask for, in bytes.
pub(super) const MAX_BYTES: u64 = 512 << 20;

/// Reads a PNG or JPEG file, told apart by content and not by name.
///
/// Sides up to 16,384 pixels and 512 MiB decoded are accepted. A rotation noted in EXIF is not
/// applied, as Pillow's `Image.open` does not either.
///
/// # Errors
/// [`ClipError::Image`] with the path, for a file that is missing, not an image, damaged, cut
/// short, empty or too large.
pub fn load_image(path: &Path) -> Result<Picture, ClipError> {
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
pub fn decode_image(bytes: &[u8], what: &str) -> Result<Picture, ClipError> {
    decode(bytes).map_err(|reason| ClipError::Image { what: what.to_string(), reason })
}

fn decode(bytes: &[u8]) -> Result<Picture, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("the file is larger than {} MiB", MAX_BYTES >> 20));
    }
    match bytes {
        [] => Err("the file is empty".to_string()),
        [0x89, b'P', b'N', b'G', ..] => png::decode(bytes),
        [0xff, 0xd8, 0xff, ..] => jpeg::decode(bytes),
        _ => Err("this is neither a PNG nor a JPEG file".to_string()),
    }
}

pub(super) fn damaged(error: impl Display) -> String {
    format!("it is damaged or cut short: {error}")
}

pub(super) fn too_large() -> String {
    let mebibytes = MAX_BYTES >> 20;
    format!("it is larger than {MAX_SIDE} pixels a side or {mebibytes} MiB decoded")
}

/// Refuses a picture by its header, before memory is asked for.
pub(super) fn check_size(width: u32, height: u32, bytes: usize) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err("it has no pixels".to_string());
    }
    match width > MAX_SIDE || height > MAX_SIDE || bytes as u64 > MAX_BYTES {
        true => Err(too_large()),
        false => Ok(()),
    }
}
