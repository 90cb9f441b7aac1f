//! Properties of the whole model, and its agreement with PyTorch.

mod beam;
mod cached;
mod decoding;
mod reference;
mod training;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Shape, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{Captioner, CaptionerConfig, Norm};

/// Draws random tensors that do not depend on the device's generator, which all tests share.
struct Random(ChaCha8Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Numbers from `-bound` to `bound`.
    fn tensor<const D: usize>(&mut self, shape: Shape, bound: f32, device: &Device) -> Tensor<D> {
        let values: Vec<f32> = (0..shape.num_elements())
            .map(|_| (self.0.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0) * bound)
            .collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

impl ModuleMapper for Random {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let bound = if D == 1 { 0.3 } else { 0.6 };
            let random = self.tensor(old.shape(), bound, &old.device());
            // Rounding leaves the norms' scales at 1 and takes what was drawn off the shifts.
            let new = if D == 1 { old.round() + random } else { random };
            if new.is_autodiff() { new.detach().require_grad() } else { new }
        })
    }
}

/// A small model with random weights, each seed its own; odd seeds give the standard norm.
fn tiny(seed: u64, device: &Device) -> Captioner {
    let norm = if seed.is_multiple_of(2) { Norm::Reference } else { Norm::Standard };
    let config = CaptionerConfig {
        d_model: 16,
        d_ff: 24,
        n_heads: 2,
        n_encoder_layers: 1,
        n_decoder_layers: 2,
        max_len: 8,
        norm,
        ..CaptionerConfig::new(6, 11)
    };
    config.init(device).unwrap().map(&mut Random::new(seed))
}

/// Random features `[images, 5, 6]`.
fn features(images: usize, seed: u64, device: &Device) -> Tensor<3> {
    Random::new(seed + 1).tensor([images, 5, 6].into(), 3.0, device)
}

fn ids(ids: Vec<i32>, shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(ids, shape), device)
}

/// The largest absolute difference of two tensors.
fn distance<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar()
}
