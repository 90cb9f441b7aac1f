//! Text tower: a causal Transformer that pools at the end token.

use burn::module::{Module, Param};
use burn::nn::{Embedding, LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Int, Tensor};

use crate::config::TextConfig;
use crate::transformer::{Transformer, TransformerConfig, normal};

/// Causal Transformer over token ids.
#[derive(Module, Debug)]
pub struct TextTower {
    embeddings: TextEmbeddings,
    encoder: Transformer,
    final_layer_norm: LayerNorm,
}

/// Token and position embeddings.
#[derive(Module, Debug)]
struct TextEmbeddings {
    token_embedding: Embedding,
    position_embedding: Embedding,
}

impl TextConfig {
    pub(crate) fn init(&self, device: &Device) -> TextTower {
        let d = self.hidden_size;
        TextTower {
            embeddings: TextEmbeddings {
                token_embedding: Embedding { weight: normal([self.vocab_size, d], 0.02, device) },
                position_embedding: Embedding {
                    weight: normal([self.max_position_embeddings, d], 0.01, device),
                },
            },
            encoder: TransformerConfig {
                width: d,
                mlp_width: self.intermediate_size,
                layers: self.num_hidden_layers,
                heads: self.num_attention_heads,
                activation: self.hidden_act,
                epsilon: self.layer_norm_eps,
                causal: true,
            }
            .init(device),
            final_layer_norm: LayerNormConfig::new(d)
                .with_epsilon(self.layer_norm_eps)
                .init(device),
        }
    }
}

impl TextTower {
    /// States of the end token after the final layer norm, before the projection.
    ///
    /// What stands after the end token never matters, since attention is causal: padding may be
    /// anything, and rows may be cut to the longest caption of the batch.
    ///
    /// # Shapes
    /// - ids: `[N, T]`, `T` at most the context length
    /// - ends: `[N]`, the position of each row's end token
    /// - output: `[N, D]`
    pub fn forward(&self, ids: Tensor<2, Int>, ends: Tensor<1, Int>) -> Tensor<2> {
        let x = self.hidden_states(ids);
        let [n, _, d] = x.dims();
        let ends = ends.reshape([n, 1, 1]).expand([n, 1, d]);
        self.final_layer_norm.forward(x.gather(1, ends).squeeze_dim::<2>(1))
    }

    /// States of every token after the final layer norm. Attention is causal, so the state of a
    /// token knows what stands before it and nothing else.
    ///
    /// # Shapes
    /// - ids: `[N, T]`; output: `[N, T, D]`
    pub fn token_states(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.final_layer_norm.forward(self.hidden_states(ids))
    }

    pub(crate) fn token_embeddings(&self) -> &Param<Tensor<2>> {
        &self.embeddings.token_embedding.weight
    }

    /// Keeps that the parameter is trained, which one made of a plain tensor would not be.
    pub(crate) fn set_token_embeddings(&mut self, rows: Tensor<2>) {
        let weight = &mut self.embeddings.token_embedding.weight;
        *weight = weight.clone().map(|_| rows);
    }

    fn hidden_states(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, t] = ids.dims();
        let positions = Tensor::<1, Int>::arange(0..t as i64, &ids.device()).unsqueeze();
        let x = self.embeddings.token_embedding.forward(ids)
            + self.embeddings.position_embedding.forward(positions);
        self.encoder.forward(x)
    }
}
