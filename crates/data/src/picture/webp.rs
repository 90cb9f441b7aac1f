//! WebP files as Pillow opens them: RGB, or RGBA where there is alpha.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::load::{MAX_BYTES, check_size, damaged, too_large};
use super::{Picture, Pixels};

/// Decodes a WebP file, of an animation the first frame.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let failed = |error| match error {
        DecodingError::MemoryLimitExceeded => too_large(),
        error => damaged(error),
    };
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(failed)?;
    decoder.set_memory_limit(MAX_BYTES as usize);
    let (width, height) = decoder.dimensions();
    let size = decoder.output_buffer_size().ok_or_else(too_large)?;
    check_size(width, height, size)?;
    let alpha = decoder.has_alpha();
    let mut data = vec![0; size];
    match decoder.is_animated() {
        true => decoder.read_frame(&mut data).map(drop).map_err(failed)?,
        false => decoder.read_image(&mut data).map_err(failed)?,
    }
    let pixels = match alpha {
        true => Pixels::Rgba(data.as_chunks().0.to_vec()),
        false => Pixels::Rgb(data.as_chunks().0.to_vec()),
    };
    Picture::new(width, height, pixels).ok_or_else(|| damaged("it lacks pixels"))
}
