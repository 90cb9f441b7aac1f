//! The pre-norm Transformer that both towers are built from.
//!
//! Field names follow Hugging Face's CLIP, so that a module path is also the tensor's name in a
//! released file and no renaming table is needed.

use burn::module::{Initializer, Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::{gelu, sigmoid};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor};

use crate::config::Activation;

/// Sizes of one tower's Transformer.
pub(crate) struct TransformerConfig {
    pub width: usize,
    pub mlp_width: usize,
    pub layers: usize,
    pub heads: usize,
    pub activation: Activation,
    pub epsilon: f64,
    /// Hides later positions (text tower).
    pub causal: bool,
}

/// A stack of pre-norm blocks.
#[derive(Module, Debug)]
pub struct Transformer {
    layers: Vec<Block>,
}

/// `x + attn(ln(x))`, then `x + mlp(ln(x))`.
#[derive(Module, Debug)]
pub struct Block {
    layer_norm1: LayerNorm,
    self_attn: Attention,
    layer_norm2: LayerNorm,
    mlp: Mlp,
}

/// Multi-head self-attention.
#[derive(Module, Debug)]
pub struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    n_heads: usize,
    causal: bool,
}

/// Two linear layers around the activation.
#[derive(Module, Debug)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    activation: Activation,
}

impl TransformerConfig {
    /// Start values of Radford et al. (2021): output projections are shrunk with the depth.
    pub(crate) fn init(&self, device: &Device) -> Transformer {
        let d = self.width as f64;
        let attn_std = d.powf(-0.5);
        let proj_std = attn_std * (2.0 * self.layers as f64).powf(-0.5);
        let fc_std = (2.0 * d).powf(-0.5);
        let norm = || LayerNormConfig::new(self.width).with_epsilon(self.epsilon).init(device);
        let block = || Block {
            layer_norm1: norm(),
            self_attn: Attention {
                q_proj: linear(self.width, self.width, attn_std, true, device),
                k_proj: linear(self.width, self.width, attn_std, true, device),
                v_proj: linear(self.width, self.width, attn_std, true, device),
                out_proj: linear(self.width, self.width, proj_std, true, device),
                n_heads: self.heads,
                causal: self.causal,
            },
            layer_norm2: norm(),
            mlp: Mlp {
                fc1: linear(self.width, self.mlp_width, fc_std, true, device),
                fc2: linear(self.mlp_width, self.width, proj_std, true, device),
                activation: self.activation,
            },
        };
        Transformer { layers: (0..self.layers).map(|_| block()).collect() }
    }
}

impl Transformer {
    /// # Shapes
    /// - x: `[N, T, D]` -> `[N, T, D]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, t, d] = x.dims();
        // All tokens are rows of one matrix: a product for every sequence of its own would be
        // slower, and would make a gradient of the weights for each of them before their sum.
        let rows = x.reshape([n * t, d]);
        let rows = self.layers.iter().fold(rows, |rows, block| block.forward(rows, n));
        rows.reshape([n, t, d])
    }
}

impl Block {
    /// # Shapes
    /// - x: `[N * T, D]` -> `[N * T, D]`, with `sequences` = `N`
    fn forward(&self, x: Tensor<2>, sequences: usize) -> Tensor<2> {
        let x = x.clone() + self.self_attn.forward(self.layer_norm1.forward(x), sequences);
        x.clone() + self.mlp.forward(self.layer_norm2.forward(x))
    }
}

impl Attention {
    fn forward(&self, x: Tensor<2>, sequences: usize) -> Tensor<2> {
        let [rows, d] = x.dims();
        let split = |y: Tensor<2>| {
            let shape = [sequences, rows / sequences, self.n_heads, d / self.n_heads];
            y.reshape(shape).swap_dims(1, 2)
        };
        let context = attention(
            split(self.q_proj.forward(x.clone())),
            split(self.k_proj.forward(x.clone())),
            split(self.v_proj.forward(x)),
            None,
            None,
            AttentionModuleOptions { is_causal: self.causal, ..Default::default() },
        );
        self.out_proj.forward(context.swap_dims(1, 2).reshape([rows, d]))
    }
}

impl Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.fc1.forward(x);
        let x = match self.activation {
            Activation::QuickGelu => x.clone() * sigmoid(x * 1.702),
            Activation::Gelu => gelu(x),
        };
        self.fc2.forward(x)
    }
}

/// A linear layer with normal weights and zero biases.
pub(crate) fn linear(
    d_input: usize,
    d_output: usize,
    std: f64,
    bias: bool,
    device: &Device,
) -> Linear {
    Linear {
        weight: normal([d_input, d_output], std, device),
        bias: bias.then(|| Initializer::Zeros.init([d_output], device)),
    }
}

/// A parameter drawn from a normal distribution around zero.
pub(crate) fn normal<const R: usize>(
    shape: [usize; R],
    std: f64,
    device: &Device,
) -> Param<Tensor<R>> {
    Initializer::Normal { mean: 0.0, std }.init(shape, device)
}
