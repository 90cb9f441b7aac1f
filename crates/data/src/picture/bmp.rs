//! BMP files in the mode that Pillow opens them in.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};

use super::gif::is_grey;
use super::load::{MAX_BYTES, MAX_SIDE, check_size, damaged, unsupported};
use super::{Picture, Pixels};

const RAW: u32 = 0;
const BIT_FIELDS: u32 = 3;

/// Decodes a BMP file of 1, 4, 8, 24 or 32 bits a pixel.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let header = Header::read(bytes).ok_or_else(|| damaged("its header is cut short"))?;
    let alpha = match (header.bits, header.compression) {
        (1 | 4 | 8 | 24 | 32, RAW) => false,
        (32, BIT_FIELDS) if header.masks == [0xff_0000, 0xff00, 0xff, 0] => false,
        (32, BIT_FIELDS) if header.masks == [0xff_0000, 0xff00, 0xff, 0xff00_0000] => true,
        (bits, RAW) => return Err(unsupported(format!("{bits} bits a pixel"))),
        (_, BIT_FIELDS) => return Err(unsupported("an unusual order of colours")),
        (_, kind) => return Err(unsupported(format!("compression of kind {kind}"))),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Bmp);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let image = reader.decode().map_err(damaged)?;
    let (width, height) = (image.width(), image.height());
    check_size(width, height, width as usize * height as usize * 4)?;
    let pixels = match alpha {
        true => Pixels::Rgba(image.into_rgba8().into_raw().as_chunks().0.to_vec()),
        false => {
            let rgb = image.into_rgb8().into_raw();
            let rgb: Vec<[u8; 3]> = rgb.as_chunks().0.to_vec();
            match header.bits {
                24 | 32 => Pixels::Rgb(rgb),
                _ if header.colours.len() > 2 && is_grey(&header.colours) => {
                    Pixels::Grey(rgb.into_iter().map(|[grey, ..]| [grey]).collect())
                }
                _ => Pixels::Indexed(rgb),
            }
        }
    };
    Picture::new(width, height, pixels).ok_or_else(|| damaged("it lacks pixels"))
}

struct Header {
    bits: u16,
    compression: u32,
    /// Of red, green, blue and alpha, where the compression is by bit fields.
    masks: [u32; 4],
    /// Of files with at most 8 bits a pixel.
    colours: Vec<[u8; 3]>,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let u16_at = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let u32_at = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let size = u32_at(14)?;
        if size == 12 {
            let bits = u16_at(24)?;
            let colours = colours(bytes, 26, bits, 0, 3);
            return Some(Self { bits, compression: RAW, masks: [0; 4], colours });
        }
        let bits = u16_at(28)?;
        let compression = u32_at(30)?;
        let mut masks = [0; 4];
        if compression == BIT_FIELDS {
            // A fourth mask only belongs to longer headers.
            let there = if size >= 56 { 4 } else { 3 };
            for (i, mask) in masks.iter_mut().take(there).enumerate() {
                *mask = u32_at(54 + 4 * i)?;
            }
        }
        let colours = colours(bytes, 14 + size as usize, bits, u32_at(46)?, 4);
        Some(Self { bits, compression, masks, colours })
    }
}

/// The palette, `step` bytes for each colour from blue to red.
fn colours(bytes: &[u8], start: usize, bits: u16, count: u32, step: usize) -> Vec<[u8; 3]> {
    if bits > 8 {
        return Vec::new();
    }
    let count = if count == 0 { 1 << bits } else { count.min(1 << 16) as usize };
    let palette = bytes.get(start..).unwrap_or_default().chunks_exact(step).take(count);
    palette.map(|colour| [colour[2], colour[1], colour[0]]).collect()
}
