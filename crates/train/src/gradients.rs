//! Global-norm gradient clipping.
//!
//! Burn clips each tensor by its own norm; the published recipes clip all gradients together.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Scales all gradients so that their joint Euclidean norm is at most `max_norm`, and returns the
/// norm before scaling (not finite where any gradient isn't; then nothing is scaled).
///
/// `max_norm` of 0 only measures. The factor is `max / (norm + 1e-6)`, as in PyTorch.
pub fn clip_global_norm<M: Module>(
    module: &M,
    gradients: &mut GradientsParams,
    max_norm: f64,
) -> f64 {
    let mut squares = Squares { gradients, sum: None };
    module.visit(&mut squares);
    let norm = match squares.sum {
        Some(sum) => f64::from(sum.sqrt().into_scalar::<f32>()),
        None => 0.0,
    };
    if max_norm > 0.0 && norm.is_finite() && norm > max_norm {
        module.visit(&mut Scale { gradients, factor: max_norm / (norm + 1e-6) });
    }
    norm
}

/// Adds the squares up on the device, so that only one number is read back.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = gradient.powf_scalar(2.0).sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient * self.factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Initializer;
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct Two {
        a: Param<Tensor<1>>,
        b: Param<Tensor<2>>,
    }

    #[test]
    fn all_tensors_are_scaled_together() {
        let device = Device::flex().autodiff();
        let module = Two {
            a: Initializer::Ones.init([1], &device),
            b: Initializer::Ones.init([1, 2], &device),
        };
        // The gradient is (3, 0, 4): its norm is 5, although each tensor's own is smaller.
        let weights = Tensor::<2>::from_data([[0.0, 4.0]], &device);
        let loss = module.a.val().sum() * 3.0 + (module.b.val() * weights).sum();
        let mut gradients = GradientsParams::from_grads(loss.backward(), &module);
        let norm = clip_global_norm(&module, &mut gradients, 1.0);
        assert!((norm - 5.0).abs() < 1e-6);
        let a = gradients.get::<1>(module.a.id).unwrap().into_scalar::<f32>();
        let b = gradients.get::<2>(module.b.id).unwrap().into_data();
        assert!((a - 0.6).abs() < 1e-5);
        assert!((b.iter::<f32>().nth(1).unwrap() - 0.8).abs() < 1e-5);
    }

    #[test]
    fn a_small_gradient_is_left_alone() {
        let device = Device::flex().autodiff();
        let module = Two {
            a: Initializer::Ones.init([1], &device),
            b: Initializer::Ones.init([1, 2], &device),
        };
        let loss = module.a.val().sum() * 0.5;
        let mut gradients = GradientsParams::from_grads(loss.backward(), &module);
        assert_eq!(clip_global_norm(&module, &mut gradients, 1.0), 0.5);
        assert_eq!(gradients.get::<1>(module.a.id).unwrap().into_scalar::<f32>(), 0.5);
    }
}
