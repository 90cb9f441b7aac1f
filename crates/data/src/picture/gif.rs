//! The first frame of GIF files, in the mode that Pillow opens it in.

use gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::load::{MAX_BYTES, check_size, damaged};
use super::{Picture, Pixels};

/// Decodes the first frame of a GIF file. Transparent pixels have the colour of their place in the
/// palette, as in Pillow's `convert("RGB")`.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    if let Some(limit) = std::num::NonZero::new(MAX_BYTES) {
        options.set_memory_limit(MemoryLimit::Bytes(limit));
    }
    let mut decoder = options.read_info(bytes).map_err(damaged)?;
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let (width, height) = (decoder.width(), decoder.height());
    let frame = decoder.next_frame_info().map_err(damaged)?.ok_or("it has no picture")?.clone();
    // A frame may be larger than what the header says.
    let width = u32::from(width).max(u32::from(frame.left) + u32::from(frame.width));
    let height = u32::from(height).max(u32::from(frame.top) + u32::from(frame.height));
    check_size(width, height, width as usize * height as usize * 3)?;
    let mut values = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut values).map_err(damaged)?;

    let across = width as usize;
    let mut canvas = vec![frame.transparent.unwrap_or(0); across * height as usize];
    let (left, columns) = (usize::from(frame.left), usize::from(frame.width));
    let lines = canvas.chunks_exact_mut(across).skip(frame.top.into());
    for (line, values) in lines.zip(values.chunks_exact(columns.max(1))) {
        line[left..left + columns].copy_from_slice(values);
    }

    let palette = frame.palette.as_ref().or(global.as_ref());
    let colours: &[[u8; 3]] = palette.map_or(&[], |palette| palette.as_chunks().0);
    let pixels = if is_grey(colours) {
        Pixels::Grey(canvas.into_iter().map(|value| [value]).collect())
    } else {
        let colour = |index: u8| colours.get(usize::from(index)).copied();
        let colours: Option<Vec<[u8; 3]>> = canvas.into_iter().map(colour).collect();
        Pixels::Indexed(colours.ok_or("its palette lacks colours that it uses")?)
    };
    Picture::new(width, height, pixels).ok_or_else(|| damaged("it lacks pixels"))
}

/// Whether the places in a palette are the levels of grey themselves; Pillow opens no palette then.
pub(super) fn is_grey(colours: &[[u8; 3]]) -> bool {
    colours
        .iter()
        .enumerate()
        .all(|(i, colour)| colour.iter().all(|&level| usize::from(level) == i))
}
