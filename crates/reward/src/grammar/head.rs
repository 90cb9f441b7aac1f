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
    fc1: Linear,
    fc2: Linear,
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
