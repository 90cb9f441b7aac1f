//! PNG files in the mode that Pillow opens them in.

use std::io::Cursor;

use png::{ColorType, Decoder, DecodingError, Limits, Transformations};

use super::load::{MAX_BYTES, check_size, damaged, too_large};
use super::{Picture, Pixels};

/// Decodes a PNG file. Of 16-bit channels only the high byte is kept, as Pillow does, but for grey.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let failed = |error| match error {
        DecodingError::LimitsExceeded => too_large(),
        error => damaged(error),
    };
    let limits = Limits { bytes: MAX_BYTES as usize };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::IDENTITY);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(failed)?;
    let info = reader.info();
    let (width, height) = info.size();
    let size = reader.output_buffer_size().ok_or_else(too_large)?;
    check_size(width, height, size)?;
    let (colour, depth) = (info.color_type, info.bit_depth as usize);
    let palette: Vec<[u8; 3]> =
        info.palette.as_deref().unwrap_or_default().as_chunks::<3>().0.to_vec();
    let mut data = vec![0; size];
    reader.next_frame(&mut data).map_err(failed)?;

    let columns = width as usize * colour.samples();
    let row = (columns * depth).div_ceil(8);
    if data.len() < row * height as usize {
        return Err(damaged("its first frame is smaller than the picture"));
    }
    let values: Vec<u8> = match depth {
        8 => data,
        16 if colour == ColorType::Grayscale => {
            let values = data.as_chunks().0.iter().map(|value| u16::from_be_bytes(*value));
            return Ok(Picture { width, height, pixels: Pixels::Grey16(values.collect()) });
        }
        16 => data.into_iter().step_by(2).collect(),
        depth => {
            let rows = data.chunks_exact(row);
            rows.flat_map(|row| (0..columns).map(move |i| narrow(row, i, depth))).collect()
        }
    };
    let pixels = match colour {
        ColorType::Grayscale if depth == 1 => {
            Pixels::Indexed(values.into_iter().map(|value| [value * 255; 3]).collect())
        }
        ColorType::Grayscale => {
            let scale = (255 / ((1u32 << depth.min(8)) - 1)) as u8;
            Pixels::Grey(values.into_iter().map(|value| [value * scale]).collect())
        }
        ColorType::Indexed => {
            // What the palette lacks is black.
            let colour = |index: u8| palette.get(usize::from(index)).copied().unwrap_or_default();
            Pixels::Indexed(values.into_iter().map(colour).collect())
        }
        ColorType::Rgb => Pixels::Rgb(values.as_chunks().0.to_vec()),
        ColorType::Rgba => Pixels::Rgba(values.as_chunks().0.to_vec()),
        // Pillow has no 16-bit mode of this kind, and takes the next larger one.
        ColorType::GrayscaleAlpha if depth == 16 => {
            let pixels = values.as_chunks().0.iter();
            Pixels::Rgba(pixels.map(|&[grey, alpha]| [grey, grey, grey, alpha]).collect())
        }
        ColorType::GrayscaleAlpha => Pixels::GreyAlpha(values.as_chunks().0.to_vec()),
    };
    Ok(Picture { width, height, pixels })
}

/// The value of `depth` bits at place `i` of a row, high bits first.
fn narrow(row: &[u8], i: usize, depth: usize) -> u8 {
    let shift = 8 - depth - i * depth % 8;
    (row[i * depth / 8] >> shift) & ((1 << depth) - 1)
}
