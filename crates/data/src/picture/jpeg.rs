//! JPEG files in the mode that Pillow opens them in.

use jpeg_decoder as inks;
use libjpeg_turbo_rs::{ComponentInfo, DecodeLimits, Decoder, JpegError, PixelFormat};

use super::load::{MAX_BYTES, MAX_SIDE, check_size, damaged, too_large};
use super::{Picture, Pixels};

/// Decodes a JPEG file. A rotation noted in EXIF is not applied.
///
/// The values are libjpeg-turbo's, which are Pillow's, bit for bit. Only four inks of different
/// resolutions, which the first crate cannot decode, come from `jpeg-decoder` and may be 2 off.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    // What is missing would be filled with grey.
    if !ends(bytes) {
        return Err("it is cut short: the JPEG has no end".to_string());
    }
    let side = MAX_SIDE as usize;
    let limits = DecodeLimits {
        max_width: side,
        max_height: side,
        max_memory: Some(MAX_BYTES),
        ..DecodeLimits::default()
    };
    let mut decoder = Decoder::new_with_limits(bytes, limits).map_err(failed)?;
    let header = decoder.header();
    let (width, height) = (u32::from(header.width), u32::from(header.height));
    let channels = header.components.len();
    check_size(width, height, width as usize * height as usize * channels)?;
    decoder.set_output_format(match channels {
        1 => PixelFormat::Grayscale,
        3 => PixelFormat::Rgb,
        4 if header.components.iter().all(|part| sampling(part) == (1, 1)) => PixelFormat::Cmyk,
        4 => return four_inks(bytes),
        n => return Err(format!("it has {n} colours, only 1, 3 and 4 are known")),
    });
    let data = decoder.decode_image().map_err(failed)?.data;
    let pixels = match channels {
        1 => Pixels::Grey(data.as_chunks().0.to_vec()),
        4 => {
            let inks = data.as_chunks::<4>().0.iter();
            Pixels::Cmyk(inks.map(|inks| inks.map(|ink| 255 - ink)).collect())
        }
        _ => Pixels::Rgb(data.as_chunks().0.to_vec()),
    };
    Ok(Picture { width, height, pixels })
}

fn sampling(part: &ComponentInfo) -> (u8, u8) {
    (part.horizontal_sampling, part.vertical_sampling)
}

fn failed(error: JpegError) -> String {
    match error {
        JpegError::LimitExceeded { .. } => too_large(),
        error => damaged(error),
    }
}

/// As above, inks are taken to be stored inverted, as Adobe's programs do; so does Pillow.
fn four_inks(bytes: &[u8]) -> Result<Picture, String> {
    let mut decoder = inks::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MAX_BYTES as usize);
    let data = decoder.decode().map_err(damaged)?;
    match decoder.info() {
        Some(info) if info.pixel_format == inks::PixelFormat::CMYK32 => Ok(Picture {
            width: info.width.into(),
            height: info.height.into(),
            pixels: Pixels::Cmyk(data.as_chunks().0.to_vec()),
        }),
        _ => Err(damaged("its colours are not those of its header")),
    }
}

/// Whether the picture data is closed by an end marker. Segments are stepped over, so that the end
/// of a thumbnail inside one does not count.
fn ends(bytes: &[u8]) -> bool {
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
