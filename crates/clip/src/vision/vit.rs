//! The vision Transformer.

use burn::module::{Module, Param};
use burn::nn::{Embedding, LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Int, Tensor, assert_shape};

use crate::config::VitConfig;
use crate::transformer::{Transformer, TransformerConfig, normal};

/// Vision Transformer as published with CLIP: class token first, layer norm before and after.
#[derive(Module, Debug)]
pub struct Vit {
    embeddings: VisionEmbeddings,
    // The released files spell it this way.
    pre_layrnorm: LayerNorm,
    encoder: Transformer,
    post_layernorm: LayerNorm,
    image_size: usize,
}

/// Class token, patches and positions.
#[derive(Module, Debug)]
struct VisionEmbeddings {
    class_embedding: Param<Tensor<1>>,
    patch_embedding: PatchEmbedding,
    position_embedding: Embedding,
}

/// The patch convolution: no bias, stride equal to the kernel.
#[derive(Module, Debug)]
struct PatchEmbedding {
    /// `[D, 3, patch, patch]`
    weight: Param<Tensor<4>>,
}

impl VitConfig {
    pub(crate) fn init(&self, device: &Device) -> Vit {
        let d = self.hidden_size;
        let std = (d as f64).powf(-0.5);
        let norm = || LayerNormConfig::new(d).with_epsilon(self.layer_norm_eps).init(device);
        let p = self.patch_size;
        Vit {
            embeddings: VisionEmbeddings {
                class_embedding: normal([d], std, device),
                patch_embedding: PatchEmbedding {
                    weight: normal([d, self.num_channels, p, p], 0.02, device),
                },
                position_embedding: Embedding {
                    weight: normal([self.patches() + 1, d], std, device),
                },
            },
            pre_layrnorm: norm(),
            encoder: TransformerConfig {
                width: d,
                mlp_width: self.intermediate_size,
                layers: self.num_hidden_layers,
                heads: self.num_attention_heads,
                activation: self.hidden_act,
                epsilon: self.layer_norm_eps,
                causal: false,
            }
            .init(device),
            post_layernorm: norm(),
            image_size: self.image_size,
        }
    }
}

impl Vit {
    /// Last hidden states, the class token's first.
    ///
    /// # Shapes
    /// - pixels: `[B, 3, S, S]`, normalised with the weights' mean and standard deviation
    /// - output: `[B, 1 + P, D]`
    ///
    /// # Panics
    /// For pixels of another shape.
    pub fn hidden_states(&self, pixels: Tensor<4>) -> Tensor<3> {
        assert_shape!(pixels, [_, 3, self.image_size, self.image_size]);
        let x = self.embeddings.forward(pixels);
        self.encoder.forward(self.pre_layrnorm.forward(x))
    }

    /// Normalises the class token's state.
    ///
    /// # Shapes
    /// - hidden: `[B, 1 + P, D]` -> `[B, D]`
    pub fn pool(&self, hidden: Tensor<3>) -> Tensor<2> {
        self.post_layernorm.forward(hidden.narrow(1, 0, 1).squeeze_dim::<2>(1))
    }
}

impl VisionEmbeddings {
    fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let [b, ..] = pixels.dims();
        let patches = self.patch_embedding.forward(pixels);
        let [_, n, d] = patches.dims();
        let class = self.class_embedding.val().reshape([1, 1, d]).expand([b, 1, d]);
        let positions = Tensor::<1, Int>::arange(0..(n + 1) as i64, &patches.device());
        let positions = self.position_embedding.forward(positions.unsqueeze());
        Tensor::cat(vec![class, patches], 1) + positions
    }
}

impl PatchEmbedding {
    /// The convolution as one matrix product over flattened patches.
    ///
    /// # Shapes
    /// - pixels: `[B, C, H, W]` -> `[B, P, D]`, patches row by row
    fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let [b, c, h, w] = pixels.dims();
        let weight = self.weight.val();
        let [d, _, p, _] = weight.dims();
        let (rows, columns) = (h / p, w / p);
        let patches = pixels
            .reshape([b, c, rows, p, columns, p])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([b * rows * columns, c * p * p]);
        let weight = weight.reshape([d, c * p * p]).transpose();
        patches.matmul(weight).reshape([b, rows * columns, d])
    }
}
