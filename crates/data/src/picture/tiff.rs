//! TIFF files in the mode that Pillow opens them in.

use std::io::Cursor;

use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::load::{MAX_BYTES, check_size, damaged, unsupported};
use super::{Picture, Pixels};

/// Decodes the first page of a TIFF file: grey of 8 or 16 bits, RGB, RGBA or CMYK of 8 bits, not
/// compressed or without loss.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_BYTES as usize;
    limits.intermediate_buffer_size = MAX_BYTES as usize;
    decoder = decoder.with_limits(limits);
    let (width, height) = decoder.dimensions().map_err(damaged)?;

    let mut one = |tag: Tag, default: u32| -> Result<u32, String> {
        Ok(decoder.find_tag_unsigned(tag).map_err(damaged)?.unwrap_or(default))
    };
    let compression = one(Tag::Compression, 1)?;
    let photometric = one(Tag::PhotometricInterpretation, 1)?;
    for (tag, right, what) in [
        (Tag::Orientation, 1, "an orientation"),
        (Tag::PlanarConfiguration, 1, "colours in planes of their own"),
        (Tag::FillOrder, 1, "bits in reversed order"),
    ] {
        if one(tag, right)? != right {
            return Err(unsupported(what));
        }
    }
    if ![1, 5, 8, 32_773, 32_946].contains(&compression) {
        return Err(unsupported(format!("compression of kind {compression}")));
    }
    let mut several = |tag: Tag| -> Result<Vec<u16>, String> {
        Ok(decoder.find_tag_unsigned_vec(tag).map_err(damaged)?.unwrap_or_default())
    };
    let bits = several(Tag::BitsPerSample)?;
    let extra = several(Tag::ExtraSamples)?;
    if several(Tag::SampleFormat)?.iter().any(|&format| format != 1) {
        return Err(unsupported("numbers that are no whole levels"));
    }
    check_size(width, height, width as usize * height as usize * bits.len().max(1) * 2)?;

    let little_endian = bytes.starts_with(b"II");
    let make: fn(Vec<u8>) -> Pixels = match (photometric, &bits[..], &extra[..]) {
        (1, [8], []) => |data| Pixels::Grey(data.as_chunks().0.to_vec()),
        (1, [16], []) if little_endian => |data| {
            let levels = data.as_chunks().0.iter().map(|level| u16::from_ne_bytes(*level));
            Pixels::Grey16(levels.collect())
        },
        (2, [8, 8, 8], []) => |data| Pixels::Rgb(data.as_chunks().0.to_vec()),
        (2, [8, 8, 8, 8], [2]) => |data| Pixels::Rgba(data.as_chunks().0.to_vec()),
        (5, [8, 8, 8, 8], []) => |data| Pixels::Cmyk(data.as_chunks().0.to_vec()),
        (3, ..) => return Err(unsupported("a palette")),
        _ => return Err(unsupported(format!("colours of kind {photometric} with {bits:?} bits"))),
    };
    let data = match decoder.read_image().map_err(damaged)? {
        DecodingResult::U8(data) => data,
        DecodingResult::U16(data) => data.into_iter().flat_map(u16::to_ne_bytes).collect(),
        _ => return Err(damaged("its colours are not those of its header")),
    };
    Picture::new(width, height, make(data)).ok_or_else(|| damaged("it lacks pixels"))
}
