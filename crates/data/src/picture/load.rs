//! Decoding image files from anywhere, with limits.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::{Picture, bmp, gif, jpeg, png, tiff, webp};
use crate::DataError;

/// The longest side that is decoded, in pixels.
pub(super) const MAX_SIDE: u32 = 16_384;
/// The largest file that is read and the most memory that a decoder may ask for, in bytes.
pub(super) const MAX_BYTES: u64 = 512 << 20;

/// How files begin that show pictures but are not read.
const OTHER: [(&[u8], &str); 5] = [
    (b"8BPS", "a Photoshop file"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
];

/// Reads a PNG, JPEG, WebP, GIF (the first frame), BMP or TIFF file, told apart by content and not
/// by name. The values are Pillow's; a file of which they would not be is refused.
///
/// Sides up to 16,384 pixels and 512 MiB decoded are accepted. A rotation noted in EXIF is not
/// applied, as Pillow's `Image.open` does not either.
///
/// # Errors
/// [`DataError::Image`] with the path, for a file that is missing, not an image, of a kind that is
/// not read, damaged, cut short, empty or too large.
pub fn load_image(path: &Path) -> Result<Picture, DataError> {
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
    read().map_err(|reason| DataError::Image { what: path.display().to_string(), reason })
}

/// Decodes the bytes of a picture file, as [`load_image`] does.
///
/// # Errors
/// [`DataError::Image`], with `what` to name the picture.
pub fn decode_image(bytes: &[u8], what: &str) -> Result<Picture, DataError> {
    decode(bytes).map_err(|reason| DataError::Image { what: what.to_string(), reason })
}

/// Whether a file that begins so is a picture of a kind that is read.
pub(crate) fn is_picture(head: &[u8]) -> bool {
    Kind::of(head).is_some()
}

enum Kind {
    Png,
    Jpeg,
    Gif,
    Bmp,
    Webp,
    Tiff,
}

impl Kind {
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            // The rest of the header keeps texts that begin with "BM" out.
            [b'B', b'M', _, _, _, _, _, _, _, _, _, _, 0, 0, 12..=124, 0, 0, 0, ..] => {
                Some(Self::Bmp)
            }
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Self::Tiff),
            _ => None,
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Picture, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("the file is larger than {} MiB", MAX_BYTES >> 20));
    }
    if bytes.is_empty() {
        return Err("the file is empty".to_string());
    }
    match Kind::of(bytes) {
        Some(Kind::Png) => png::decode(bytes),
        Some(Kind::Jpeg) => jpeg::decode(bytes),
        Some(Kind::Gif) => gif::decode(bytes),
        Some(Kind::Bmp) => bmp::decode(bytes),
        Some(Kind::Webp) => webp::decode(bytes),
        Some(Kind::Tiff) => tiff::decode(bytes),
        None => Err(unknown(bytes)),
    }
}

/// What is said of a file that is not read.
fn unknown(bytes: &[u8]) -> String {
    let brand = bytes.get(4..12).unwrap_or_default();
    let what = match OTHER.iter().find(|(start, _)| bytes.starts_with(start)) {
        Some((_, what)) => what,
        None if matches!(brand, b"ftypavif" | b"ftypavis") => "an AVIF picture",
        None if matches!(brand, b"ftypheic" | b"ftypheix" | b"ftypmif1" | b"ftypmsf1") => {
            "a HEIC picture"
        }
        None if bytes.trim_ascii_start().starts_with(b"<") => "a web page or a drawing",
        None => return format!("this is no picture of a kind that is read ({KINDS})"),
    };
    format!("this is {what}, which is not read: convert it to PNG or JPEG")
}

const KINDS: &str = "PNG, JPEG, WebP, GIF, BMP, TIFF";

/// What is said of a picture that other programs read.
pub(super) fn unsupported(what: impl Display) -> String {
    format!("it has {what}, which is not read as Pillow reads it: convert it to PNG or JPEG")
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
