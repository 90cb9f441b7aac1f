use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::config::CaptionerConfig;
use crate::init::xavier_linear;
use crate::linear::of_tokens;

/// Two linear layers with ReLU and dropout between them.
#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    linear_1: Linear,
    linear_2: Linear,
    dropout: Dropout,
}

impl FeedForward {
    pub(crate) fn new(config: &CaptionerConfig, device: &Device) -> Self {
        Self {
            linear_1: xavier_linear(config.d_model, config.d_ff, device),
            linear_2: xavier_linear(config.d_ff, config.d_model, device),
            dropout: DropoutConfig::new(config.dropout).init(),
        }
    }

    /// `[N, T, D]` -> `[N, T, D]`
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = relu(of_tokens(&self.linear_1, x));
        of_tokens(&self.linear_2, self.dropout.forward(hidden))
    }
}
