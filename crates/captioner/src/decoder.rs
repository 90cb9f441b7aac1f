use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Embedding};
use burn::tensor::{Device, Int, Tensor};

use crate::attention::{Attention, KeyValues};
use crate::cache::KvCache;
use crate::config::CaptionerConfig;
use crate::feed_forward::FeedForward;
use crate::init::xavier_embedding;
use crate::norm::NormLayer;
use crate::positions::sinusoidal;

/// One pre-norm decoder layer: causal self-attention, attention to the image, feed-forward.
#[derive(Module, Debug)]
pub(crate) struct DecoderLayer {
    norm_1: NormLayer,
    self_attn: Attention,
    norm_2: NormLayer,
    cross_attn: Attention,
    norm_3: NormLayer,
    feed_forward: FeedForward,
    dropout: Dropout,
}

impl DecoderLayer {
    fn new(config: &CaptionerConfig, device: &Device) -> Self {
        let norm = || NormLayer::new(config.d_model, config.norm, device);
        Self {
            norm_1: norm(),
            self_attn: Attention::new(config, device),
            norm_2: norm(),
            cross_attn: Attention::new(config, device),
            norm_3: norm(),
            feed_forward: FeedForward::new(config, device),
            dropout: DropoutConfig::new(config.dropout).init(),
        }
    }

    /// Whole captions without a cache, or the next token of each with one: `[N, T, D]` both.
    fn forward(&self, x: Tensor<3>, memory: &KeyValues, cache: Option<&mut KvCache>) -> Tensor<3> {
        let y = self.norm_1.forward(x.clone());
        let y = match cache {
            Some(cache) => self.self_attn.step(y, cache),
            None => self.self_attn.forward(y, true),
        };
        let x = x + self.dropout.forward(y);
        let y = self.cross_attn.cross(self.norm_2.forward(x.clone()), memory);
        let x = x + self.dropout.forward(y);
        let y = self.feed_forward.forward(self.norm_3.forward(x.clone()));
        x + self.dropout.forward(y)
    }
}

/// Scaled embeddings plus sinusoidal positions, a stack of pre-norm layers, a final norm.
#[derive(Module, Debug)]
pub(crate) struct Decoder {
    embedding: Embedding,
    dropout: Dropout,
    layers: Vec<DecoderLayer>,
    norm: NormLayer,
    n_heads: usize,
    max_len: usize,
}

/// What the decoder remembers between the tokens of `N` captions that grow together.
#[derive(Debug, Clone)]
pub struct DecoderState {
    caches: Vec<KvCache>,
    /// Positions `[max_len, D]`.
    positions: Tensor<2>,
    /// Tokens read so far.
    len: usize,
}

impl DecoderState {
    /// Keeps the given rows, in the given order and as often as they are named (`rows`: `[n]`).
    ///
    /// Rows stay image-major: every image must keep the same number of rows, its own.
    pub fn select(&mut self, rows: Tensor<1, Int>) {
        for cache in &mut self.caches {
            cache.select(rows.clone());
        }
    }
}

impl Decoder {
    pub(crate) fn new(config: &CaptionerConfig, device: &Device) -> Self {
        Self {
            embedding: xavier_embedding(config.vocab_size, config.d_model, device),
            dropout: DropoutConfig::new(config.dropout).init(),
            layers: (0..config.n_decoder_layers)
                .map(|_| DecoderLayer::new(config, device))
                .collect(),
            norm: NormLayer::new(config.d_model, config.norm, device),
            n_heads: config.n_heads,
            max_len: config.max_len,
        }
    }

    /// Keys and values of the encoded image, `[B, P, D]`, for every layer.
    pub(crate) fn memory(&self, encoded: Tensor<3>) -> Vec<KeyValues> {
        self.layers.iter().map(|layer| layer.cross_attn.key_values(encoded.clone())).collect()
    }

    /// Whole captions: `[N, T]` -> `[N, T, D]`.
    pub(crate) fn forward(&self, inputs: Tensor<2, Int>, memory: &[KeyValues]) -> Tensor<3> {
        let [_, tokens] = inputs.dims();
        let positions = sinusoidal(tokens, self.width(), &inputs.device());
        let mut x = self.embed(inputs, positions);
        for (layer, memory) in self.layers.iter().zip(memory) {
            x = layer.forward(x, memory, None);
        }
        self.norm.forward(x)
    }

    /// An empty state for `rows` captions.
    pub(crate) fn begin(&self, rows: usize, device: &Device) -> DecoderState {
        let shape = [rows, self.n_heads, self.max_len, self.width() / self.n_heads];
        DecoderState {
            caches: self.layers.iter().map(|_| KvCache::new(shape, device)).collect(),
            positions: sinusoidal(self.max_len, self.width(), device),
            len: 0,
        }
    }

    /// The next token of each caption: `[N, 1]` -> `[N, 1, D]`.
    pub(crate) fn step(
        &self,
        inputs: Tensor<2, Int>,
        memory: &[KeyValues],
        state: &mut DecoderState,
    ) -> Tensor<3> {
        let position = state.positions.clone().narrow(0, state.len, 1);
        state.len += 1;
        let mut x = self.embed(inputs, position);
        for ((layer, memory), cache) in self.layers.iter().zip(memory).zip(&mut state.caches) {
            x = layer.forward(x, memory, Some(cache));
        }
        self.norm.forward(x)
    }

    /// `[N, T]` with positions `[T, D]` -> `[N, T, D]`.
    fn embed(&self, inputs: Tensor<2, Int>, positions: Tensor<2>) -> Tensor<3> {
        let scale = (self.width() as f64).sqrt();
        self.dropout.forward(self.embedding.forward(inputs) * scale + positions.unsqueeze())
    }

    fn width(&self) -> usize {
        self.embedding.weight.shape()[1]
    }
}
