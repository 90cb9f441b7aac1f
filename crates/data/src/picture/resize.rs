//! Pillow's bicubic resize, bit for bit: a horizontal and a vertical pass, each with weights in
//! 22-bit fixed point and rounded to whole values, as in Pillow's `Resample.c`.

use std::ops::Range;

/// Fractional bits of a weight.
const BITS: u32 = 22;

/// The weights of one output position: the first input position, and the weights from there on.
struct Window<W> {
    first: usize,
    weights: Vec<W>,
}

/// What a picture is resized to, and the square that is cut out of that, which lies inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Width and height before the cut.
    pub size: (u32, u32),
    /// Left and top margin of the square.
    pub margins: (u32, u32),
    /// Side of the square.
    pub side: u32,
}

/// Resizes a picture of size `from`, which has pixels, computing only what is kept.
pub(super) fn resize_crop<const N: usize>(
    pixels: &[[u8; N]],
    from: (u32, u32),
    target: &Target,
) -> Vec<[u8; N]> {
    let (mut columns, mut rows) = fixed(from, target);
    let (stride, size) = (from.0 as usize, target.side as usize);
    if rows_first(from, target.size) {
        let used = shift(&mut columns);
        let low = vertical(pixels, stride, used.clone(), &rows);
        horizontal(&low, used.len(), 0..size, &columns)
    } else {
        let used = shift(&mut rows);
        let narrow = horizontal(pixels, stride, used, &columns);
        vertical(&narrow, size, 0..size, &rows)
    }
}

/// The same for 16-bit values, which Pillow adds up as floats.
pub(super) fn resize_crop_16(pixels: &[u16], from: (u32, u32), target: &Target) -> Vec<u16> {
    let side = target.side;
    let mut columns = windows(from.0, target.size.0, target.margins.0, side);
    let mut rows = windows(from.1, target.size.1, target.margins.1, side);
    let (stride, size) = (from.0 as usize, side as usize);
    // Each pass gives its value for an output position of a line of values a step apart.
    let pass = |pixels: &[u16], start: usize, step: usize, window: &Window<f64>| {
        let values = pixels[start + window.first * step..].iter().step_by(step);
        round_16(window.weights.iter().zip(values).map(|(w, v)| f64::from(*v) * w).sum())
    };
    let across = |pixels: &[u16], stride: usize, lines: Range<usize>, columns: &[Window<f64>]| {
        let line = |y| columns.iter().map(move |window| pass(pixels, y * stride, 1, window));
        lines.flat_map(line).collect::<Vec<u16>>()
    };
    let down = |pixels: &[u16], stride: usize, used: Range<usize>, rows: &[Window<f64>]| {
        let line = |window| used.clone().map(move |x| pass(pixels, x, stride, window));
        rows.iter().flat_map(line).collect::<Vec<u16>>()
    };
    if rows_first(from, target.size) {
        let used = shift(&mut columns);
        let low = down(pixels, stride, used.clone(), &rows);
        across(&low, used.len(), 0..size, &columns)
    } else {
        let used = shift(&mut rows);
        let narrow = across(pixels, stride, used, &columns);
        down(&narrow, size, 0..size, &rows)
    }
}

/// The nearest pixels, as Pillow takes them of palettes.
pub(super) fn nearest(pixels: &[[u8; 3]], from: (u32, u32), target: &Target) -> Vec<[u8; 3]> {
    let places = |from: u32, to: u32, margin: u32| -> Vec<usize> {
        let step = f64::from(from) / f64::from(to);
        // Added up as Pillow does, rounding included.
        let mut at = step * 0.5;
        let place = |_| {
            let place = (at as usize).min(from as usize - 1);
            at += step;
            place
        };
        let places: Vec<usize> = (0..margin + target.side).map(place).collect();
        places[margin as usize..].to_vec()
    };
    let columns = places(from.0, target.size.0, target.margins.0);
    let line = |y: usize| {
        let row = &pixels[y * from.0 as usize..];
        columns.iter().map(move |&x| row[x])
    };
    places(from.1, target.size.1, target.margins.1).into_iter().flat_map(line).collect()
}

/// Widths come first, unless the height shrinks by more than twice as many pixels as the width:
/// the rule of Pillow 13 (its older releases always begin with widths). The order shows in the
/// rounding, by one level here and there.
fn rows_first(from: (u32, u32), to: (u32, u32)) -> bool {
    let lost = |before: u32, after: u32| i64::from(before) - i64::from(after);
    let rows = lost(from.1, to.1);
    rows > 0 && rows > 2 * lost(from.0, to.0)
}

/// The input positions that windows read; the windows then count from the first of them.
fn shift<W>(windows: &mut [Window<W>]) -> Range<usize> {
    let start = windows.iter().map(|window| window.first).min().unwrap_or(0);
    let end = windows.iter().map(|window| window.first + window.weights.len()).max().unwrap_or(0);
    for window in windows {
        window.first -= start;
    }
    start..end
}

/// Resizes each of the given lines of a picture `stride` pixels wide to `columns`.
fn horizontal<const N: usize>(
    pixels: &[[u8; N]],
    stride: usize,
    lines: Range<usize>,
    columns: &[Window<i32>],
) -> Vec<[u8; N]> {
    let line = |at: usize| &pixels[at * stride..(at + 1) * stride];
    (lines.map(line))
        .flat_map(|line| columns.iter().map(|window| blend(&window.weights, &line[window.first..])))
        .collect()
}

/// Resizes the given columns of a picture `stride` pixels wide to `rows`.
fn vertical<const N: usize>(
    pixels: &[[u8; N]],
    stride: usize,
    columns: Range<usize>,
    rows: &[Window<i32>],
) -> Vec<[u8; N]> {
    let mut out = Vec::with_capacity(rows.len() * columns.len());
    let mut sums = vec![[0; N]; columns.len()];
    for row in rows {
        // Whole lines are added up at a time, which the compiler turns into wide instructions.
        sums.fill([1 << (BITS - 1); N]);
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
fn blend<const N: usize>(weights: &[i32], pixels: &[[u8; N]]) -> [u8; N] {
    let mut sums = [1 << (BITS - 1); N];
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

/// A 16-bit sum as a value. Pillow stores its two bytes one by one, each cut off on its own.
fn round_16(sum: f64) -> u16 {
    let whole = (sum.abs() + 0.5).floor().copysign(sum) as i32;
    let [low, high] = [whole % 256, whole >> 8].map(|byte| byte.clamp(0, 255) as u16);
    high << 8 | low
}

/// The windows of columns and rows in fixed point.
fn fixed(from: (u32, u32), target: &Target) -> (Vec<Window<i32>>, Vec<Window<i32>>) {
    let of_axis = |from, to, margin| {
        let fix = |weight: f64| {
            let scaled = weight * f64::from(1 << BITS);
            (scaled + 0.5f64.copysign(scaled)) as i32
        };
        let windows = windows(from, to, margin, target.side).into_iter();
        let fix = |window: Window<f64>| Window {
            first: window.first,
            weights: window.weights.into_iter().map(fix).collect(),
        };
        windows.map(fix).collect()
    };
    (
        of_axis(from.0, target.size.0, target.margins.0),
        of_axis(from.1, target.size.1, target.margins.1),
    )
}

/// The windows of the output positions `start..start + count` when `from` pixels become `to`.
fn windows(from: u32, to: u32, start: u32, count: u32) -> Vec<Window<f64>> {
    if from == to {
        // Pillow skips a pass that changes nothing; one whole weight does the same.
        let keep = |at: u32| Window { first: at as usize, weights: vec![1.0] };
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
        Window { first, weights: weights.iter().map(|weight| weight / sum).collect() }
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
            let target = Target { size: (to, to), margins: (0, 0), side: to };
            for window in fixed((from, from), &target).0 {
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
            let pixels: Vec<[u8; 2]> = (0..width * height)
                .map(|i| [(i * 37 + u32::from(seed)) as u8, (i * 91) as u8])
                .collect();
            let deep: Vec<u16> = pixels.iter().map(|pixel| u16::from_be_bytes(*pixel)).collect();
            let palette: Vec<[u8; 3]> = pixels.iter().map(|[a, b]| [*a, *b, 7]).collect();
            let whole = Target { size: (to, to), margins: (0, 0), side: to };
            let part = Target { margins: (left, top), side, ..whole };
            let from = (width, height);
            let inside = |i: usize| {
                let (x, y) = (i as u32 % side, i as u32 / side);
                ((y + top) * to + x + left) as usize
            };
            let all = resize_crop(&pixels, from, &whole);
            for (i, pixel) in resize_crop(&pixels, from, &part).iter().enumerate() {
                prop_assert_eq!(*pixel, all[inside(i)]);
            }
            let all = resize_crop_16(&deep, from, &whole);
            for (i, pixel) in resize_crop_16(&deep, from, &part).iter().enumerate() {
                prop_assert_eq!(*pixel, all[inside(i)]);
            }
            let all = nearest(&palette, from, &whole);
            for (i, pixel) in nearest(&palette, from, &part).iter().enumerate() {
                prop_assert_eq!(*pixel, all[inside(i)]);
            }
        }
    }
}
