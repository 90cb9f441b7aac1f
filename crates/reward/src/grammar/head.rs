//! The head that tells sentences from corrupted ones.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Sizes of a grammar head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrammarHeadConfig {
    /// Width `D` of the text tower's states.
    pub width: usize,
    /// Width of the hidden layer; the reference's is `D`.
    pub hidden: usize,
}

impl GrammarHeadConfig {
    /// A head with fresh weights.
    pub fn init(&self, device: &Device) -> GrammarHead {
        let linear =
            |from: usize, to: usize| LinearConfig::new(from, to).with_bias(false).init(device);
        GrammarHead { fc1: linear(self.width, self.hidden), fc2: linear(self.hidden, 2) }
    }
}

/// Linear, ReLU, Linear without biases, on the text tower's state at the end token, before the
/// projection (Cho et al. 2022).
#[derive(Module, Debug)]
pub struct GrammarHead {
    pub(super) fc1: Linear,
    pub(super) fc2: Linear,
}

impl GrammarHead {
    /// # Shapes
    /// - states: `[N, D]`
    /// - output: `[N, 2]`, logits of "broken" and "a sentence"
    pub fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        self.fc2.forward(relu(self.fc1.forward(states)))
    }

    /// Probability that a caption is a sentence: softmax, class 1.
    ///
    /// # Shapes
    /// - states: `[N, D]`; output: `[N]`
    pub fn probability(&self, states: Tensor<2>) -> Tensor<1> {
        softmax(self.forward(states), 1).narrow(1, 1, 1).squeeze_dim(1)
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;

    use super::*;

    #[test]
    fn the_probability_is_the_softmax_of_two_layers_by_hand() {
        let device = Device::flex();
        let mut head = GrammarHeadConfig { width: 2, hidden: 2 }.init(&device);
        assert!(head.fc1.bias.is_none() && head.fc2.bias.is_none());
        let weights = |rows: [[f32; 2]; 2]| {
            let rows = Tensor::<2>::from_data(rows, &device);
            Param::initialized(burn::module::ParamId::new(), rows)
        };
        head.fc1.weight = weights([[1.0, -1.0], [2.0, 0.25]]);
        head.fc2.weight = weights([[0.1, 0.3], [9.0, -9.0]]);
        // Hidden [5, -0.5] becomes [5, 0], logits are [0.5, 1.5].
        let states = Tensor::<2>::from_data([[1.0, 2.0]], &device);
        let logits: Vec<f32> = head.forward(states.clone()).into_data().iter::<f32>().collect();
        assert!((logits[0] - 0.5).abs() < 1e-6 && (logits[1] - 1.5).abs() < 1e-6, "{logits:?}");
        let probability: f32 = head.probability(states).into_scalar();
        assert!((f64::from(probability) - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-6);
    }
}
