//! Encoding pictures while the next ones are read.

use std::borrow::Borrow;
use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use finecap_clip::{Picture, PreprocessConfig};
use rayon::prelude::*;

use crate::TrainError;
use crate::prefetch::prefetch;

/// Pictures prepared and encoded together.
pub(crate) const BATCH: usize = 32;

/// Reads and prepares the pictures of `range` on all cores, a little ahead, and hands them over in
/// order as batches of pixels `[B, 3, S, S]`, so that memory does not grow with their number.
///
/// # Errors
/// The first of `load` or `each`, after which nothing more is handed over.
pub fn each_batch<I, E>(
    range: Range<usize>,
    preprocess: &PreprocessConfig,
    device: &Device,
    load: impl Fn(usize) -> Result<I, TrainError> + Sync + Send,
    mut each: impl FnMut(Range<usize>, Tensor<4>) -> Result<(), E>,
) -> Result<(), E>
where
    I: Borrow<Picture>,
    E: From<TrainError>,
{
    let Range { start, end } = range;
    let of_batch = |step: usize| start + step * BATCH..end.min(start + (step + 1) * BATCH);
    let make = |step: usize| -> Result<Vec<Vec<f32>>, TrainError> {
        let pixels = |i: usize| Ok(preprocess.pixels(load(i)?.borrow())?);
        of_batch(step).into_par_iter().map(pixels).collect()
    };
    let batches = end.saturating_sub(start).div_ceil(BATCH);
    let Some(last) = batches.checked_sub(1) else { return Ok(()) };
    prefetch(0..=last, make, |batches| {
        for (step, pixels) in batches {
            let pixels = pixels?;
            let size = preprocess.size as usize;
            let shape = [pixels.len(), 3, size, size];
            let pixels = TensorData::new(pixels.concat(), shape);
            each(of_batch(step), Tensor::from_data(pixels, device))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn every_picture_comes_once_in_order_until_one_is_bad() {
        let config = PreprocessConfig::openai(2);
        let load = |i: usize| match i {
            80 => Err(TrainError::setting("x", "is bad")),
            i => Ok(Picture::from(RgbImage::from_pixel(3, 3, Rgb([i as u8, 0, 0])))),
        };
        let device = Device::flex();
        let mut seen = Vec::new();
        let mut run = |range: Range<usize>| {
            each_batch(range, &config, &device, load, |range, pixels| {
                assert_eq!(pixels.dims(), [range.len(), 3, 2, 2]);
                let red = pixels.narrow(1, 0, 1).narrow(2, 0, 1).narrow(3, 0, 1).into_data();
                let level = |x: f32| ((x * config.std[0] + config.mean[0]) * 255.0).round();
                seen.extend(red.iter::<f32>().map(level));
                Ok::<(), TrainError>(())
            })
        };
        run(3..70).unwrap();
        run(0..0).unwrap();
        assert!(run(64..90).is_err());
        let expected: Vec<f32> = (3..70).map(|i| i as f32).collect();
        assert_eq!(seen, expected);
    }
}
