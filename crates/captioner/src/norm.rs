use burn::module::{Initializer, Module, Param};
use burn::tensor::module::layer_norm;
use burn::tensor::{Device, Tensor};

use crate::config::Norm;

/// Epsilon of [`Norm::Reference`], added to the standard deviation.
const REFERENCE_EPSILON: f64 = 1e-6;
/// Epsilon of [`Norm::Standard`], added to the variance.
const STANDARD_EPSILON: f64 = 1e-5;
/// Keeps the gradient of the square root finite on a row of equal values. Far below what `f32`
/// can tell apart from any variance that matters.
const TINY: f64 = 1e-20;

/// Layer normalisation over the last axis, of either kind.
#[derive(Module, Debug)]
pub(crate) struct NormLayer {
    /// Scale `a`, `[D]`.
    weight: Param<Tensor<1>>,
    /// Shift `b`, `[D]`.
    bias: Param<Tensor<1>>,
    #[module(skip)]
    kind: Norm,
}

impl NormLayer {
    pub(crate) fn new(d_model: usize, kind: Norm, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([d_model], device),
            bias: Initializer::Zeros.init([d_model], device),
            kind,
        }
    }

    /// `[N, T, D]` -> `[N, T, D]`
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        match self.kind {
            Norm::Standard => layer_norm(x, weight, Some(bias), STANDARD_EPSILON),
            Norm::Reference => {
                let [_, _, width] = x.dims();
                let centred = x.clone() - x.mean_dim(2);
                // One value has no unbiased deviation; widths are even, so `width - 1 > 0`.
                let variance = centred.clone().square().sum_dim(2) / (width - 1) as f64;
                let deviation = (variance + TINY).sqrt() + REFERENCE_EPSILON;
                centred / deviation * weight.unsqueeze() + bias.unsqueeze()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{TensorData, Tolerance};

    fn normalise(kind: Norm, row: [f32; 4]) -> TensorData {
        let device = Device::flex();
        let x = Tensor::<3>::from_data([[row]], &device);
        NormLayer::new(4, kind, &device).forward(x).into_data()
    }

    #[test]
    fn formulas_by_hand() {
        // mean 3, deviations -2 -1 0 3: biased variance 3.5, unbiased 14/3.
        let row = [1.0, 2.0, 3.0, 6.0];
        let by =
            |d: f64| TensorData::from([[[-2.0 / d, -1.0 / d, 0.0, 3.0 / d].map(|v| v as f32)]]);
        let tolerance = Tolerance::<f32>::absolute(1e-6);
        let reference = (14.0f64 / 3.0).sqrt() + 1e-6;
        normalise(Norm::Reference, row).assert_approx_eq(&by(reference), tolerance);
        let standard = (3.5f64 + 1e-5).sqrt();
        normalise(Norm::Standard, row).assert_approx_eq(&by(standard), tolerance);
    }

    #[test]
    fn a_constant_row_has_a_finite_gradient() {
        let device = Device::flex().autodiff();
        for kind in [Norm::Reference, Norm::Standard] {
            let x = Tensor::<3>::full([1, 1, 4], 0.5, &device).require_grad();
            let layer = NormLayer::new(4, kind, &device);
            let y = layer.forward(x.clone());
            let target = Tensor::<3>::from_data([[[1.0, -2.0, 3.0, 4.0]]], &device);
            let grads = (y * target).sum().backward();
            let grad: Vec<f32> = x.grad(&grads).unwrap().try_into_vec_as().unwrap();
            assert!(grad.iter().all(|g| g.is_finite()), "{kind:?}: {grad:?}");
        }
    }
}
