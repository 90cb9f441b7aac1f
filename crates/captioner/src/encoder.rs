use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};

use crate::attention::Attention;
use crate::config::CaptionerConfig;
use crate::feed_forward::FeedForward;
use crate::norm::NormLayer;

/// One pre-norm encoder layer: `x + dropout(sublayer(norm(x)))`, twice.
#[derive(Module, Debug)]
pub(crate) struct EncoderLayer {
    norm_1: NormLayer,
    self_attn: Attention,
    norm_2: NormLayer,
    feed_forward: FeedForward,
    dropout: Dropout,
}

impl EncoderLayer {
    fn new(config: &CaptionerConfig, device: &Device) -> Self {
        let norm = || NormLayer::new(config.d_model, config.norm, device);
        Self {
            norm_1: norm(),
            self_attn: Attention::new(config, device),
            norm_2: norm(),
            feed_forward: FeedForward::new(config, device),
            dropout: DropoutConfig::new(config.dropout).init(),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let y = self.self_attn.forward(self.norm_1.forward(x.clone()), false);
        let x = x + self.dropout.forward(y);
        let y = self.feed_forward.forward(self.norm_2.forward(x.clone()));
        x + self.dropout.forward(y)
    }
}

/// A stack of pre-norm layers with a final norm. It adds no positions, so the order of the image
/// positions does not matter.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    layers: Vec<EncoderLayer>,
    norm: NormLayer,
}

impl Encoder {
    pub(crate) fn new(config: &CaptionerConfig, device: &Device) -> Self {
        Self {
            layers: (0..config.n_encoder_layers)
                .map(|_| EncoderLayer::new(config, device))
                .collect(),
            norm: NormLayer::new(config.d_model, config.norm, device),
        }
    }

    /// `[B, P, D]` -> `[B, P, D]`
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.layers.iter().fold(x, |x, layer| layer.forward(x));
        self.norm.forward(x)
    }
}
