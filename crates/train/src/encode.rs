//! Reading and preparing pictures while others are encoded.

use std::borrow::Borrow;
use std::num::NonZero;
use std::ops::Range;
use std::thread::available_parallelism;

use burn::tensor::{Device, Tensor, TensorData};
use finecap_clip::{Picture, PreprocessConfig};
use rayon::prelude::*;

use crate::TrainError;
use crate::prefetch::prefetch;

/// Pictures prepared and encoded together.
pub const PICTURE_BATCH: usize = 32;

/// Some successive pictures, prepared.
pub struct PixelBatch {
    /// All places of the batch.
    pub range: Range<usize>,
    /// Places of the pictures that could be read, in order.
    pub places: Vec<usize>,
    /// Their pixels, `[B, 3, S, S]`; `None` where there are none.
    pub pixels: Option<Tensor<4>>,
    /// Places of the others, and why.
    pub failed: Vec<(usize, TrainError)>,
}

impl PixelBatch {
    /// The pixels of all pictures, `[B, 3, S, S]`.
    ///
    /// # Errors
    /// That of the first picture that could not be read.
    pub fn all(mut self) -> Result<Tensor<4>, TrainError> {
        match (self.failed.is_empty(), self.pixels) {
            (true, Some(pixels)) => Ok(pixels),
            _ => Err(self.failed.swap_remove(0).1),
        }
    }
}

/// Reads and prepares the pictures of `range` on all cores, a little ahead, and hands them over in
/// order, at most [`PICTURE_BATCH`] at a time, so that memory does not grow with their number.
///
/// # Errors
/// Those of `each`, after which nothing more is handed over.
pub fn each_batch<I, E>(
    range: Range<usize>,
    preprocess: &PreprocessConfig,
    device: &Device,
    load: impl Fn(usize) -> Result<I, TrainError> + Sync + Send,
    mut each: impl FnMut(PixelBatch) -> Result<(), E>,
) -> Result<(), E>
where
    I: Borrow<Picture>,
{
    let Range { start, end } = range;
    let of_batch =
        |step: usize| start + step * PICTURE_BATCH..end.min(start + (step + 1) * PICTURE_BATCH);
    // A caller with a pool of fewer threads than cores gets as many for reading, which is done on a thread
    // outside of that pool.
    let threads = rayon::current_num_threads();
    let all = available_parallelism().map_or(1, NonZero::get);
    let each_thread = if threads < all { PICTURE_BATCH.div_ceil(threads) } else { 1 };
    let make = |step: usize| -> Vec<Result<Vec<f32>, TrainError>> {
        let pixels = |i: usize| Ok(preprocess.pixels(load(i)?.borrow())?);
        of_batch(step).into_par_iter().with_min_len(each_thread).map(pixels).collect()
    };
    let batches = end.saturating_sub(start).div_ceil(PICTURE_BATCH);
    let Some(last) = batches.checked_sub(1) else { return Ok(()) };
    prefetch(0..=last, make, |batches| {
        for (step, read) in batches {
            let range = of_batch(step);
            let (mut places, mut failed, mut values) = (Vec::new(), Vec::new(), Vec::new());
            for (place, pixels) in range.clone().zip(read) {
                match pixels {
                    Ok(pixels) => {
                        places.push(place);
                        values.extend(pixels);
                    }
                    Err(error) => failed.push((place, error)),
                }
            }
            let size = preprocess.size as usize;
            let data = TensorData::new(values, [places.len(), 3, size, size]);
            let pixels = (!places.is_empty()).then(|| Tensor::from_data(data, device));
            each(PixelBatch { range, places, pixels, failed })?;
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
            each_batch(range, &config, &device, load, |batch| {
                let (range, places) = (batch.range.clone(), batch.places.clone());
                let expected: Vec<usize> = range.filter(|&place| place != 80).collect();
                assert_eq!(places, expected);
                assert_eq!(batch.failed.len(), batch.range.len() - places.len());
                let pixels = batch.all()?;
                assert_eq!(pixels.dims(), [places.len(), 3, 2, 2]);
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
