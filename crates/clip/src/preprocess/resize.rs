//! Pillow's bicubic resize, bit for bit: a horizontal and a vertical pass, each with weights in
//! 22-bit fixed point and rounded to whole values, as in Pillow's `Resample.c`.

use std::ops::Range;

use image::RgbImage;

/// Fractional bits of a weight.
const BITS: u32 = 22;

/// The weights of one output position: the first input position, and the weights from there on.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

/// Resizes to `width` x `height` and cuts out the square of side `side` at `left`, `top`,
/// computing only what is kept. The picture has pixels, and the square lies inside.
///
/// Widths come first, unless the height shrinks by more than twice as many pixels as the width:
/// the rule of Pillow 13 (its older releases always begin with widths). The order shows in the
/// rounding, by one level here and there.
pub(super) fn resize_crop(
    picture: &RgbImage,
    (width, height): (u32, u32),
    (left, top): (u32, u32),
    side: u32,
) -> RgbImage {
    let mut columns = windows(picture.width(), width, left, side);
    let mut rows = windows(picture.height(), height, top, side);
    let (pixels, _) = picture.as_raw().as_chunks::<3>();
    let stride = picture.width() as usize;
    let lost = |before: u32, after: u32| i64::from(before) - i64::from(after);
    let lost_rows = lost(picture.height(), height);
    let size = side as usize;
    let out = if lost_rows > 0 && lost_rows > 2 * lost(picture.width(), width) {
        let used = shift(&mut columns);
        let low = vertical(pixels, stride, used.clone(), &rows);
        horizontal(&low, used.len(), 0..size, &columns)
    } else {
        let used = shift(&mut rows);
        let narrow = horizontal(pixels, stride, used, &columns);
        vertical(&narrow, size, 0..size, &rows)
    };
    RgbImage::from_raw(side, side, out.into_flattened()).unwrap_or_default()
}

/// The input positions that windows read; the windows then count from the first of them.
fn shift(windows: &mut [Window]) -> Range<usize> {
    let start = windows.iter().map(|window| window.first).min().unwrap_or(0);
    let end = windows.iter().map(|window| window.first + window.weights.len()).max().unwrap_or(0);
    for window in windows {
        window.first -= start;
    }
    start..end
}

/// Resizes each of the given lines of a picture `stride` pixels wide to `columns`.
fn horizontal(
    pixels: &[[u8; 3]],
    stride: usize,
    lines: Range<usize>,
    columns: &[Window],
) -> Vec<[u8; 3]> {
    let line = |at: usize| &pixels[at * stride..(at + 1) * stride];
    (lines.map(line))
        .flat_map(|line| columns.iter().map(|window| blend(&window.weights, &line[window.first..])))
        .collect()
}

/// Resizes the given columns of a picture `stride` pixels wide to `rows`.
fn vertical(
    pixels: &[[u8; 3]],
    stride: usize,
    columns: Range<usize>,
    rows: &[Window],
) -> Vec<[u8; 3]> {
    let mut out = Vec::with_capacity(rows.len() * columns.len());
    let mut sums = vec![[0; 3]; columns.len()];
    for row in rows {
        // Whole lines are added up at a time, which the compiler turns into wide instructions.
        sums.fill([1 << (BITS - 1); 3]);
        for (weight, line) in row.weights.iter().zip(pixels.chunks_exact(stride).skip(row.first)) {
            let values = line[columns.clone()].as_flattened();
            for (sum, value) in sums.as_flattened_mut().iter_mut().zip(values) {
                *sum += i32::from(*value) * weight;
            }
        }
        out.extend(sums.iter().map(|sums| sums.map(round)));
    }
    out
}

/// The weighted sum of pixels. No overflow: the weights of a window are at most 1.3 in sum of
/// absolute values, so a sum stays below 2^31.
fn blend(weights: &[i32], pixels: &[[u8; 3]]) -> [u8; 3] {
    let mut sums = [1 << (BITS - 1); 3];
    for (weight, pixel) in weights.iter().zip(pixels) {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += i32::from(*value) * weight;
        }
    }
    sums.map(round)
}

/// A fixed-point sum, which holds the half for rounding, as a pixel value.
fn round(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

/// The windows of the output positions `start..start + count` when `from` pixels become `to`.
fn windows(from: u32, to: u32, start: u32, count: u32) -> Vec<Window> {
    if from == to {
        // Pillow skips a pass that changes nothing; one whole weight does the same.
        let keep = |at: u32| Window { first: at as usize, weights: vec![1 << BITS] };
        return (start..start + count).map(keep).collect();
    }
    let scale = f64::from(from) / f64::from(to);
    // The filter is stretched over the input when a picture shrinks.
    let stretch = scale.max(1.0);
    let reach = 2.0 * stretch;
    let window = |at: u32| {
        let centre = (f64::from(at) + 0.5) * scale;
        // Both casts cut towards zero, as C's do.
        let first = ((centre - reach + 0.5) as i64).max(0) as usize;
        let end = ((centre + reach + 0.5) as i64).min(i64::from(from)) as usize;
        // Pillow multiplies by the reciprocal; dividing rounds differently.
        let shrink = 1.0 / stretch;
        let weights: Vec<f64> =
            (first..end).map(|x| bicubic((x as f64 - centre + 0.5) * shrink)).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: &f64| {
            let scaled = weight / sum * f64::from(1 << BITS);
            (scaled + 0.5f64.copysign(scaled)) as i32
        };
        Window { first, weights: weights.iter().map(fixed).collect() }
    };
    (start..start + count).map(window).collect()
}

/// Keys' cubic filter with a = -0.5, which reaches two pixels to each side.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn weights_add_up_to_one_inside_the_picture(from in 1u32..600, to in 1u32..600) {
            for window in windows(from, to, 0, to) {
                prop_assert!(window.first + window.weights.len() <= from as usize);
                let sum: i64 = window.weights.iter().map(|w| i64::from(*w)).sum();
                // Each weight is rounded on its own.
                prop_assert!((sum - (1 << BITS)).unsigned_abs() <= window.weights.len() as u64);
                let size: i64 = window.weights.iter().map(|w| i64::from(*w).abs()).sum();
                prop_assert!(255 * size + (1 << (BITS - 1)) <= i64::from(i32::MAX));
            }
        }

        #[test]
        fn a_crop_is_a_part_of_the_whole(
            (width, height) in (1u32..40, 1u32..40),
            to in 12u32..50,
            (left, top, side) in (0u32..6, 0u32..6, 1u32..7),
            seed in any::<u8>(),
        ) {
            let picture = RgbImage::from_fn(width, height, |x, y| {
                let value = (x * 37 + y * 91 + u32::from(seed)) as u8;
                image::Rgb([value, value.wrapping_mul(7), 255 - value])
            });
            let whole = resize_crop(&picture, (to, to), (0, 0), to);
            let part = resize_crop(&picture, (to, to), (left, top), side);
            prop_assert_eq!(part.dimensions(), (side, side));
            for (x, y, pixel) in part.enumerate_pixels() {
                prop_assert_eq!(pixel, whole.get_pixel(left + x, top + y));
            }
        }
    }
}
