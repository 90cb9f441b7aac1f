//! Pillow's bicubic resize, bit for bit: two passes with weights in 22-bit fixed point, rounded
//! to whole numbers after each.

use image::{Rgb, RgbImage};

/// Fractional bits of a weight.
const BITS: u32 = 22;

/// The weights of one output position: the first input position and the weights from there on.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

/// Resizes to `(width, height)` and cuts out the square of side `side` at `(left, top)`, computing
/// only what is kept.
pub(crate) fn resize(
    image: &RgbImage,
    (width, height): (u32, u32),
    (left, top): (u32, u32),
    side: u32,
) -> RgbImage {
    let columns = windows(image.width(), width, left, side);
    let rows = windows(image.height(), height, top, side);
    // Input rows that the second pass reads.
    let first = rows.iter().map(|w| w.first).min().unwrap_or(0);
    let last = rows.iter().map(|w| w.first + w.weights.len()).max().unwrap_or(0);
    let narrow = RgbImage::from_fn(side, (last - first) as u32, |x, y| {
        let window = &columns[x as usize];
        blend(window, |i| image.get_pixel((window.first + i) as u32, y + first as u32))
    });
    RgbImage::from_fn(side, side, |x, y| {
        let window = &rows[y as usize];
        blend(window, |i| narrow.get_pixel(x, (window.first - first + i) as u32))
    })
}

fn blend<'a>(window: &Window, pixel: impl Fn(usize) -> &'a Rgb<u8>) -> Rgb<u8> {
    let mut sums = [1 << (BITS - 1); 3];
    for (i, weight) in window.weights.iter().enumerate() {
        for (sum, value) in sums.iter_mut().zip(pixel(i).0) {
            *sum += i32::from(value) * weight;
        }
    }
    Rgb(sums.map(|sum: i32| (sum >> BITS).clamp(0, 255) as u8))
}

/// Windows of the output positions `start..start + count` when `from` pixels become `to`.
fn windows(from: u32, to: u32, start: u32, count: u32) -> Vec<Window> {
    if from == to {
        // Pillow skips a pass that changes nothing.
        let keep = |i: u32| Window { first: i as usize, weights: vec![1 << BITS] };
        return (start..start + count).map(keep).collect();
    }
    let scale = f64::from(from) / f64::from(to);
    let stretch = scale.max(1.0);
    let support = 2.0 * stretch;
    (start..start + count)
        .map(|i| {
            let centre = (f64::from(i) + 0.5) * scale;
            // Truncation towards zero, as a C cast does.
            let first = ((centre - support + 0.5) as i64).max(0) as usize;
            let end = ((centre + support + 0.5) as i64).min(i64::from(from)) as usize;
            let weights: Vec<f64> =
                (first..end).map(|x| bicubic((x as f64 - centre + 0.5) / stretch)).collect();
            let sum: f64 = weights.iter().sum();
            let fixed = |w: &f64| {
                let scaled = w / sum * f64::from(1 << BITS);
                (scaled + 0.5f64.copysign(scaled)) as i32
            };
            Window { first, weights: weights.iter().map(fixed).collect() }
        })
        .collect()
}

/// Keys' cubic filter with a = -0.5.
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
