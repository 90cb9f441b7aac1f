use burn::module::{Initializer, Module, ModuleVisitor, Param};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

/// Glorot's uniform initialisation: `U(±√(6/(fan_in + fan_out)))`.
const XAVIER: Initializer = Initializer::XavierUniform { gain: 1.0 };

/// A linear layer whose matrix is drawn by Glorot's rule and whose bias is `U(±1/√fan_in)`,
/// PyTorch's default, as in the reference implementation.
pub(crate) fn xavier_linear(d_input: usize, d_output: usize, device: &Device) -> Linear {
    let mut linear = LinearConfig::new(d_input, d_output).init(device);
    linear.weight = XAVIER.init_with([d_input, d_output], Some(d_input), Some(d_output), device);
    linear
}

/// An embedding table `[n, d]` drawn by Glorot's rule, as in the reference implementation.
pub(crate) fn xavier_embedding(n: usize, d: usize, device: &Device) -> Embedding {
    let mut embedding = EmbeddingConfig::new(n, d).init(device);
    embedding.weight = XAVIER.init_with([n, d], Some(d), Some(n), device);
    embedding
}

/// Draws every weight that has not been drawn yet, in the order of the module's fields.
///
/// Burn draws a weight when it is first read, so without this the order of the forward pass
/// would decide which random numbers a weight gets.
pub(crate) fn materialise<M: Module>(module: &M) {
    struct Touch;
    impl ModuleVisitor for Touch {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            param.val();
        }
    }
    module.visit(&mut Touch);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest<const D: usize>(tensor: Tensor<D>) -> f32 {
        tensor.abs().max().into_scalar()
    }

    #[test]
    fn bounds_are_glorots_and_pytorchs() {
        let device = Device::flex();
        let linear = xavier_linear(30, 50, &device);
        let bound = (6.0f32 / 80.0).sqrt();
        let weight = largest(linear.weight.val());
        assert!(weight <= bound && weight > 0.95 * bound, "{weight} of {bound}");
        let bound = 1.0 / 30f32.sqrt();
        let bias = largest(linear.bias.unwrap().val());
        assert!(bias <= bound && bias > 0.7 * bound, "{bias} of {bound}");

        let bound = (6.0f32 / 100.0).sqrt();
        let table = largest(xavier_embedding(60, 40, &device).weight.val());
        assert!(table <= bound && table > 0.95 * bound, "{table} of {bound}");
    }
}
