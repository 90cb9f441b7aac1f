use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::activation::softmax;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, Tensor};

use crate::cache::KvCache;
use crate::config::CaptionerConfig;
use crate::init::xavier_linear;
use crate::linear::of_tokens;

/// Projected keys and values of one sequence per row, each `[rows, H, T, D/H]`.
#[derive(Debug, Clone)]
pub(crate) struct KeyValues {
    pub(crate) keys: Tensor<4>,
    pub(crate) values: Tensor<4>,
}

/// Multi-head attention (Vaswani et al. 2017) with dropout on the attention weights.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    dropout: Dropout,
    n_heads: usize,
}

impl Attention {
    pub(crate) fn new(config: &CaptionerConfig, device: &Device) -> Self {
        let linear = || xavier_linear(config.d_model, config.d_model, device);
        Self {
            q: linear(),
            k: linear(),
            v: linear(),
            out: linear(),
            dropout: DropoutConfig::new(config.dropout).init(),
            n_heads: config.n_heads,
        }
    }

    /// Keys and values of `x`: `[rows, T, D]` -> `[rows, H, T, D/H]`.
    pub(crate) fn key_values(&self, x: Tensor<3>) -> KeyValues {
        KeyValues {
            keys: self.split(of_tokens(&self.k, x.clone())),
            values: self.split(of_tokens(&self.v, x)),
        }
    }

    /// Self-attention of whole sequences, `[rows, T, D]` -> `[rows, T, D]`; with `causal` a
    /// token sees itself and earlier ones only.
    pub(crate) fn forward(&self, x: Tensor<3>, causal: bool) -> Tensor<3> {
        let key_values = self.key_values(x.clone());
        self.attend(x, &key_values, causal)
    }

    /// Self-attention of the next tokens `[N, 1, D]` to themselves and everything in `cache`.
    pub(crate) fn step(&self, x: Tensor<3>, cache: &mut KvCache) -> Tensor<3> {
        let key_values = cache.push(self.key_values(x.clone()));
        self.attend(x, &key_values, false)
    }

    /// Attention of captions to their images: `x` is `[B·K, T, D]` image-major, `memory` holds
    /// one row per image.
    ///
    /// The `K` captions of an image are read as `K·T` query positions of that image, so its keys
    /// and values are used where they lie and never copied per caption.
    pub(crate) fn cross(&self, x: Tensor<3>, memory: &KeyValues) -> Tensor<3> {
        let [rows, tokens, width] = x.dims();
        let [images, ..] = memory.keys.dims();
        let queries = x.reshape([images, rows / images * tokens, width]);
        self.attend(queries, memory, false).reshape([rows, tokens, width])
    }

    fn attend(&self, x: Tensor<3>, key_values: &KeyValues, causal: bool) -> Tensor<3> {
        let [rows, tokens, width] = x.dims();
        let queries = self.split(of_tokens(&self.q, x));
        let KeyValues { keys, values } = key_values.clone();
        let heads = if queries.device().is_autodiff() {
            self.composed(queries, keys, values, causal)
        } else {
            let options = AttentionModuleOptions { is_causal: causal, ..Default::default() };
            attention(queries, keys, values, None, None, options)
        };
        of_tokens(&self.out, heads.swap_dims(1, 2).reshape([rows, tokens, width]))
    }

    /// The same from single operations, for training: Burn's fused kernel has no dropout and no
    /// backward pass of its own.
    fn composed(
        &self,
        queries: Tensor<4>,
        keys: Tensor<4>,
        values: Tensor<4>,
        causal: bool,
    ) -> Tensor<4> {
        let [_, _, tokens, head_width] = queries.dims();
        let scale = 1.0 / (head_width as f64).sqrt();
        let mut scores = (queries * scale).matmul(keys.transpose());
        if causal {
            // True above the diagonal, where the future is.
            let future = Tensor::<2, Bool>::tril_mask([tokens, tokens], 0, &scores.device());
            scores = scores.mask_fill(future.unsqueeze(), f32::NEG_INFINITY);
        }
        self.dropout.forward(softmax(scores, 3)).matmul(values)
    }

    /// `[rows, T, D]` -> `[rows, H, T, D/H]`
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [rows, tokens, width] = x.dims();
        x.reshape([rows, tokens, self.n_heads, width / self.n_heads]).swap_dims(1, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    fn tiny() -> (Attention, Tensor<3>, Tensor<3>) {
        let device = Device::flex();
        device.seed(7);
        let config =
            CaptionerConfig { d_model: 8, n_heads: 2, dropout: 0.0, ..CaptionerConfig::new(4, 5) };
        let normal = Distribution::Normal(0.0, 1.0);
        let captions = Tensor::random([6, 4, 8], normal, &device);
        let images = Tensor::random([2, 5, 8], normal, &device);
        (Attention::new(&config, &device), captions, images)
    }

    #[test]
    fn fused_and_composed_agree() {
        let (attention, x, _) = tiny();
        let y = attention.key_values(x.clone());
        for causal in [false, true] {
            let fused = attention.forward(x.clone(), causal);
            let queries = attention.split(attention.q.forward(x.clone()));
            let composed = attention
                .composed(queries, y.keys.clone(), y.values.clone(), causal)
                .swap_dims(1, 2)
                .reshape([6, 4, 8]);
            let composed = attention.out.forward(composed);
            fused
                .into_data()
                .assert_approx_eq(&composed.into_data(), Tolerance::<f32>::absolute(1e-5));
        }
    }

    #[test]
    fn shared_memory_equals_copied_memory() {
        let (attention, x, images) = tiny();
        let shared = attention.cross(x.clone(), &attention.key_values(images.clone()));
        let copied = images.unsqueeze_dim::<4>(1).repeat_dim(1, 3).reshape([6, 5, 8]);
        let copied = attention.cross(x, &attention.key_values(copied));
        shared.into_data().assert_approx_eq(&copied.into_data(), Tolerance::<f32>::absolute(1e-5));
    }
}
