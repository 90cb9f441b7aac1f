use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::decode::decode;
use crate::{
    Captioner, CaptionerConfig, CaptionerError, DecoderState, Decoding, Draws, FeatureSpec,
    ImageCaptions, Memory, Vocab,
};

/// What training and decoding need of a captioner: features in, a token at a time or teacher-forced
/// logits out. [`Captioner`] is one; another architecture that implements this is trained by the same
/// loops.
///
/// The trait is generic at compile time only. Burn's modules can be cloned and visited with generic
/// methods, and so there is no `dyn CaptionModel`: a program names the architectures it can load. What
/// Burn asks of a module is `#[derive(Module, Debug)]`; backends are chosen at run time, by the device.
///
/// Letters in shapes: `B` images, `N` captions (rows are image-major, as many for each image), `T`
/// tokens, `P` positions, `F` feature width, `V` vocabulary.
pub trait CaptionModel: Module {
    /// What the decoder reads of `B` images.
    type Memory;
    /// What a caption is remembered by between tokens.
    type State;

    /// The width `F` of the features that it reads.
    fn feature_dim(&self) -> usize;

    /// Number of token ids `V`; the last one is the unknown word.
    fn vocab_size(&self) -> usize;

    /// The longest caption in tokens, its end included.
    fn max_len(&self) -> usize;

    /// The width that Noam's learning rate is scaled by.
    fn width(&self) -> usize;

    /// Where the weights are; it says whether they record gradients.
    fn device(&self) -> Device;

    /// Encodes image features `[B, P, F]`.
    fn encode(&self, features: Tensor<3>) -> Self::Memory;

    /// Teacher-forced logits: inputs `[N, T]` (see [`Teacher`](crate::Teacher)) -> `[N, T, V]`.
    fn logits(&self, memory: &Self::Memory, inputs: Tensor<2, Int>) -> Tensor<3>;

    /// An empty state for `rows_per_image` captions of every image.
    fn begin(&self, memory: &Self::Memory, rows_per_image: usize) -> Self::State;

    /// Reads the next token of every caption, `[N, 1]`, and returns the logits of the one after it,
    /// `[N, V]`. The first token is [`END`](crate::END).
    fn step(
        &self,
        memory: &Self::Memory,
        state: &mut Self::State,
        inputs: Tensor<2, Int>,
    ) -> Tensor<2>;

    /// Writes a folder from which the model can be loaded, with its vocabulary.
    ///
    /// # Errors
    /// What the system refuses.
    fn save(&self, dir: &Path, vocab: &Vocab) -> Result<(), CaptionerError>;

    /// Makes sure that features of this kind may be given to the model.
    ///
    /// # Errors
    /// [`CaptionerError::Features`] for another width, and whatever else the model knows of what it was
    /// trained on.
    fn check_spec(&self, spec: &FeatureSpec) -> Result<(), CaptionerError> {
        let [_, found] = spec.grid;
        let expected = self.feature_dim();
        if found == expected { Ok(()) } else { Err(CaptionerError::Features { expected, found }) }
    }

    /// Dropout of the model and of the features it reads; SCST trains with its own. A model without
    /// dropout has none.
    fn dropout(&self) -> [f64; 2] {
        [0.0; 2]
    }

    /// The same weights with this dropout on `device`, trained on features of the kind `seen` from now
    /// on. By default dropout and features are not part of the model.
    ///
    /// # Errors
    /// Weights that can't be moved.
    fn rebuilt(
        &self,
        dropout: [f64; 2],
        seen: &FeatureSpec,
        device: &Device,
    ) -> Result<Self, CaptionerError> {
        let _ = (dropout, seen);
        let moved = self.clone().fork(device);
        Ok(if device.is_autodiff() { moved.train() } else { moved })
    }

    /// Decodes captions for image features `[B, P, F]`, all captions of all images in one batch.
    ///
    /// The same draws give the same captions, up to near-ties that rounding decides. Decoding
    /// never records gradients: call it on [`valid()`](burn::module::Module::valid).
    ///
    /// # Errors
    /// For wrong settings, features or image keys, for a model or features that record
    /// gradients, and for weights that give no finite numbers.
    fn decode_features(
        &self,
        features: Tensor<3>,
        decoding: &Decoding,
        draws: &Draws,
    ) -> Result<Vec<ImageCaptions>, CaptionerError> {
        decode(self, features, decoding, draws)
    }
}

impl CaptionModel for Captioner {
    type Memory = Memory;
    type State = DecoderState;

    fn feature_dim(&self) -> usize {
        self.config().feature_dim
    }

    fn vocab_size(&self) -> usize {
        self.config().vocab_size
    }

    fn max_len(&self) -> usize {
        self.config().max_len
    }

    fn width(&self) -> usize {
        self.config().d_model
    }

    fn device(&self) -> Device {
        Captioner::device(self)
    }

    fn encode(&self, features: Tensor<3>) -> Memory {
        Captioner::encode(self, features)
    }

    fn logits(&self, memory: &Memory, inputs: Tensor<2, Int>) -> Tensor<3> {
        Captioner::logits(self, memory, inputs)
    }

    fn begin(&self, memory: &Memory, rows_per_image: usize) -> DecoderState {
        Captioner::begin(self, memory, rows_per_image)
    }

    fn step(&self, memory: &Memory, state: &mut DecoderState, inputs: Tensor<2, Int>) -> Tensor<2> {
        Captioner::step(self, memory, state, inputs)
    }

    fn save(&self, dir: &Path, vocab: &Vocab) -> Result<(), CaptionerError> {
        Captioner::save(self, dir, vocab)
    }

    fn check_spec(&self, spec: &FeatureSpec) -> Result<(), CaptionerError> {
        self.config().check_spec(spec).map(|_| ())
    }

    fn dropout(&self) -> [f64; 2] {
        [self.config().dropout, self.config().feature_dropout]
    }

    fn rebuilt(
        &self,
        [dropout, feature_dropout]: [f64; 2],
        seen: &FeatureSpec,
        device: &Device,
    ) -> Result<Self, CaptionerError> {
        // What it is trained on now may be known better than what it was trained on before.
        let before = self.config().features.clone();
        let features = Some(before.map_or(seen.clone(), |before| before.or(seen)));
        let config =
            CaptionerConfig { dropout, feature_dropout, features, ..self.config().clone() };
        let again = config.init(device)?.try_load_record(self.clone().into_record());
        again.map_err(|error| CaptionerError::Device(error.to_string()))
    }
}
