use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Int, Tensor};

use crate::attention::KeyValues;
use crate::config::CaptionerConfig;
use crate::decoder::{Decoder, DecoderState};
use crate::encoder::Encoder;
use crate::error::CaptionerError;
use crate::init::xavier_linear;
use crate::linear::of_tokens;

/// The encoder-decoder captioner.
#[derive(Module, Debug)]
pub struct Captioner {
    feature_embed: Linear,
    feature_dropout: Dropout,
    encoder: Encoder,
    decoder: Decoder,
    output: Linear,
    #[module(skip)]
    config: CaptionerConfig,
}

/// What the decoder reads of `B` images: keys and values `[B, H, P, D/H]` for each of its
/// layers, shared by all captions of an image.
#[derive(Debug, Clone)]
pub struct Memory {
    layers: Vec<KeyValues>,
    images: usize,
}

impl Memory {
    /// Number of images `B`.
    pub fn images(&self) -> usize {
        self.images
    }
}

impl Captioner {
    pub(crate) fn new(config: &CaptionerConfig, device: &Device) -> Self {
        Self {
            // The reference leaves this one layer at PyTorch's initialisation, Burn's default.
            feature_embed: LinearConfig::new(config.feature_dim, config.d_model).init(device),
            feature_dropout: DropoutConfig::new(config.feature_dropout).init(),
            encoder: Encoder::new(config, device),
            decoder: Decoder::new(config, device),
            output: xavier_linear(config.d_model, config.vocab_size, device),
            config: config.clone(),
        }
    }

    /// The config this model was built from.
    pub fn config(&self) -> &CaptionerConfig {
        &self.config
    }

    /// The device the weights are on; it says whether they record gradients.
    pub fn device(&self) -> Device {
        self.output.weight.val().device()
    }

    /// Checks that features `[B, P, F]` have the width this model reads.
    ///
    /// # Errors
    /// [`CaptionerError::Features`] for any other width.
    pub fn check_features(&self, features: &Tensor<3>) -> Result<(), CaptionerError> {
        let [_, _, found] = features.dims();
        let expected = self.config.feature_dim;
        if found == expected { Ok(()) } else { Err(CaptionerError::Features { expected, found }) }
    }

    /// Encodes image features `[B, P, F]`.
    ///
    /// # Panics
    /// If the features are not `feature_dim` wide; see [`check_features`](Self::check_features).
    pub fn encode(&self, features: Tensor<3>) -> Memory {
        let [images, ..] = features.dims();
        let x = self.feature_dropout.forward(relu(of_tokens(&self.feature_embed, features)));
        Memory { layers: self.decoder.memory(self.encoder.forward(x)), images }
    }

    /// Teacher-forced logits: inputs `[N, T]` (see [`Teacher`](crate::Teacher)) ->
    /// `[N, T, V]`. Rows are image-major and every image has the same number of them.
    ///
    /// # Panics
    /// If `N` is not a multiple of the number of images.
    pub fn logits(&self, memory: &Memory, inputs: Tensor<2, Int>) -> Tensor<3> {
        let [rows, _] = inputs.dims();
        assert!(
            rows.is_multiple_of(memory.images),
            "{rows} captions cannot be shared evenly by {} images",
            memory.images
        );
        of_tokens(&self.output, self.decoder.forward(inputs, &memory.layers))
    }

    /// An empty state for `rows_per_image` captions of every image in `memory`.
    pub fn begin(&self, memory: &Memory, rows_per_image: usize) -> DecoderState {
        self.decoder.begin(memory.images * rows_per_image, &self.device())
    }

    /// Reads the next token of every caption, `[N, 1]`, and returns the logits of the one after
    /// it, `[N, V]`. The first token is [`END`](crate::END).
    ///
    /// # Panics
    /// After `max_len` tokens.
    pub fn step(
        &self,
        memory: &Memory,
        state: &mut DecoderState,
        inputs: Tensor<2, Int>,
    ) -> Tensor<2> {
        let states = self.decoder.step(inputs, &memory.layers, state);
        self.output.forward(states.squeeze_dim::<2>(1))
    }
}

/// Log-probabilities `[N, T]` of the target tokens `[N, T]` under `logits` `[N, T, V]`.
pub fn token_log_probs(logits: Tensor<3>, targets: Tensor<2, Int>) -> Tensor<2> {
    log_softmax(logits, 2).gather(2, targets.unsqueeze_dim(2)).squeeze_dim(2)
}
