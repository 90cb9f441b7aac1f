use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::vocab::END;

/// A batch of captions laid out for teacher forcing.
#[derive(Debug, Clone)]
pub struct Teacher {
    /// What the decoder reads, `[N, T]`: [`END`], then the words, then padding.
    pub inputs: Tensor<2, Int>,
    /// What it should answer, `[N, T]`: the words, then [`END`].
    pub targets: Tensor<2, Int>,
    /// 1 on the words and on the end token where there is one, 0 on padding, `[N, T]`.
    pub mask: Tensor<2>,
    /// Tokens that count in each caption: the row sums of `mask`.
    pub lengths: Vec<usize>,
}

impl Teacher {
    /// Lay out captions given as word ids. A caption of `max_len` words or more was cut: it keeps
    /// `max_len` words and has no end token; a shorter one ends with [`END`].
    ///
    /// `T` is the largest number of counted tokens, at most `max_len`, which must be at least 1.
    pub fn new<C: AsRef<[u32]>>(captions: &[C], max_len: usize, device: &Device) -> Self {
        let lengths: Vec<usize> =
            captions.iter().map(|caption| (caption.as_ref().len() + 1).min(max_len)).collect();
        let width = lengths.iter().copied().max().unwrap_or(1);
        let size = captions.len() * width;
        let mut inputs = vec![END as i32; size];
        let mut targets = vec![END as i32; size];
        let mut mask = vec![0f32; size];
        for (row, (caption, &length)) in captions.iter().zip(&lengths).enumerate() {
            let start = row * width;
            mask[start..start + length].fill(1.0);
            for (place, &word) in caption.as_ref().iter().take(max_len).enumerate() {
                targets[start + place] = word as i32;
                if place + 1 < length {
                    inputs[start + place + 1] = word as i32;
                }
            }
        }
        let shape = [captions.len(), width];
        let ids = |ids| Tensor::from_data(TensorData::new(ids, shape), device);
        Self {
            inputs: ids(inputs),
            targets: ids(targets),
            mask: Tensor::from_data(TensorData::new(mask, shape), device),
            lengths,
        }
    }

    /// Number of counted tokens in the batch.
    pub fn tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Mean number of counted tokens of a caption, its end token included.
    pub fn mean_length(&self) -> f64 {
        self.tokens() as f64 / self.lengths.len().max(1) as f64
    }

    /// Mean of `values` over the counted tokens.
    ///
    /// # Shapes
    /// - values: `[N, T]`; output: `[1]`
    pub fn mean(&self, values: Tensor<2>) -> Tensor<1> {
        (values * self.mask.clone()).sum() / self.mask.clone().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lays_out_ended_cut_and_empty_captions() {
        let captions: [&[u32]; 4] = [&[5, 6], &[1, 2, 3, 4], &[], &[7, 8, 9]];
        let batch = Teacher::new(&captions, 4, &Device::flex());
        let ints = |t: Tensor<2, Int>| t.try_into_vec_as::<i64>().unwrap();
        assert_eq!(ints(batch.inputs.clone()), [0, 5, 6, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 7, 8, 9]);
        assert_eq!(ints(batch.targets.clone()), [5, 6, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 7, 8, 9, 0]);
        let mask = batch.mask.clone().try_into_vec_as::<f32>().unwrap();
        assert_eq!(mask, [1., 1., 1., 0., 1., 1., 1., 1., 1., 0., 0., 0., 1., 1., 1., 1.]);
        assert_eq!(batch.lengths, [3, 4, 1, 4]);
        assert_eq!((batch.tokens(), batch.mean_length()), (12, 3.0));
        let places = Tensor::from_data(
            [[1., 1., 1., 9.], [1.; 4], [1., 9., 9., 9.], [7.; 4]],
            &Device::flex(),
        );
        assert_eq!(batch.mean(places).into_scalar::<f32>(), (3. + 4. + 1. + 28.) / 12.);
    }

    #[test]
    fn longer_captions_are_cut() {
        let batch = Teacher::new(&[[1, 2, 3, 4, 5]], 3, &Device::flex());
        assert_eq!(batch.inputs.try_into_vec_as::<i64>().unwrap(), [0, 1, 2]);
        assert_eq!(batch.targets.try_into_vec_as::<i64>().unwrap(), [1, 2, 3]);
    }
}
