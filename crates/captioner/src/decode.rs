use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::caption_model::CaptionModel;
use crate::config::CaptionerConfig;
use crate::draws::Draws;
use crate::error::CaptionerError;
use crate::model::Captioner;
use crate::sampling::sample;
use crate::vocab::END;

/// How captions are decoded: greedily, by sampling, or both in one batch.
///
/// Begin with [`greedy`](Self::greedy) or [`samples`](Self::samples) and change fields with `..`,
/// as in `Decoding { temperature: 0.8, ..Decoding::samples(5, 20) }`: there may be more fields one
/// day. Nothing is forbidden by default, so that samples follow the model's own distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoding {
    /// Decode one caption per image by always taking the most probable token.
    pub greedy: bool,
    /// Captions per image to sample.
    pub samples: usize,
    /// The longest caption in tokens, its end token included; at most the model's `max_len`.
    pub max_len: usize,
    /// Samples are drawn from `softmax(logits / temperature)`.
    pub temperature: f32,
    /// Sample only from this many most probable tokens.
    pub top_k: Option<usize>,
    /// Sample only from the most probable tokens that together have this share of the mass.
    pub top_p: Option<f32>,
    /// Never choose the unknown word; off by default, as in [`BeamSearch`](crate::BeamSearch).
    pub suppress_unknown: bool,
}

impl Decoding {
    /// One greedy caption per image, of at most `max_len` tokens.
    pub fn greedy(max_len: usize) -> Self {
        Self { greedy: true, ..Self::samples(0, max_len) }
    }

    /// `samples` captions per image, each of at most `max_len` tokens, drawn from the model's own
    /// distribution.
    pub fn samples(samples: usize, max_len: usize) -> Self {
        Self {
            greedy: false,
            samples,
            max_len,
            temperature: 1.0,
            top_k: None,
            top_p: None,
            suppress_unknown: false,
        }
    }

    /// Checks that `config`'s model can be decoded with these settings.
    ///
    /// # Errors
    /// [`CaptionerError::Decoding`], naming the first setting that is wrong.
    pub fn check(&self, config: &CaptionerConfig) -> Result<(), CaptionerError> {
        self.check_limit(config.max_len)
    }

    /// The same for a model whose longest caption has `max_len` tokens.
    fn check_limit(&self, max_len: usize) -> Result<(), CaptionerError> {
        let wrong = |field, rule: String, found: String| {
            Err(CaptionerError::Decoding { field, rule, found })
        };
        if !self.greedy && self.samples == 0 {
            return wrong("samples", "at least 1 when `greedy` is off".into(), "0".into());
        }
        if !(1..=max_len).contains(&self.max_len) {
            let rule = format!("from 1 to the model's max_len {max_len}");
            return wrong("max_len", rule, self.max_len.to_string());
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return wrong("temperature", "above 0".into(), self.temperature.to_string());
        }
        if self.top_k == Some(0) {
            return wrong("top_k", "at least 1".into(), "0".into());
        }
        if let Some(p) = self.top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return wrong("top_p", "above 0 and at most 1".into(), p.to_string());
        }
        Ok(())
    }

    fn rows(&self) -> usize {
        usize::from(self.greedy) + self.samples
    }
}

/// One decoded caption.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Caption {
    /// The words, without the end token.
    pub ids: Vec<u32>,
    /// Whether the model ended it; otherwise it was cut at the longest length.
    pub ended: bool,
    /// Log-probability of every token under the model (temperature 1, nothing filtered): one per
    /// word, and one for the end token if the caption ended.
    pub log_probs: Vec<f32>,
}

/// The decoded captions of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageCaptions {
    /// The greedy caption, if it was asked for.
    pub greedy: Option<Caption>,
    /// The sampled captions.
    pub samples: Vec<Caption>,
}

impl Captioner {
    /// Decodes captions for image features `[B, P, F]`, see
    /// [`CaptionModel::decode_features`].
    ///
    /// # Errors
    /// Those of [`CaptionModel::decode_features`].
    pub fn decode(
        &self,
        features: Tensor<3>,
        decoding: &Decoding,
        draws: &Draws,
    ) -> Result<Vec<ImageCaptions>, CaptionerError> {
        decode(self, features, decoding, draws)
    }
}

/// See [`CaptionModel::decode_features`].
pub(crate) fn decode<M: CaptionModel>(
    model: &M,
    features: Tensor<3>,
    decoding: &Decoding,
    draws: &Draws,
) -> Result<Vec<ImageCaptions>, CaptionerError> {
    decoding.check_limit(model.max_len())?;
    let [images, _, found] = features.dims();
    let expected = model.feature_dim();
    if found != expected {
        return Err(CaptionerError::Features { expected, found });
    }
    if model.device().is_autodiff() || features.device().is_autodiff() {
        return Err(CaptionerError::Autodiff);
    }
    if draws.images.len() != images {
        return Err(CaptionerError::ImageKeys { keys: draws.images.len(), images });
    }
    if images == 0 {
        return Ok(Vec::new());
    }
    let memory = model.encode(features);
    let captions = decode_rows(model, &memory, decoding, draws)?;

    let mut captions = captions.into_iter();
    Ok((0..images)
        .map(|_| ImageCaptions {
            greedy: if decoding.greedy { captions.next() } else { None },
            samples: captions.by_ref().take(decoding.samples).collect(),
        })
        .collect())
}

/// Captions of all rows, image-major, the greedy row of an image before its samples.
fn decode_rows<M: CaptionModel>(
    model: &M,
    memory: &M::Memory,
    decoding: &Decoding,
    draws: &Draws,
) -> Result<Vec<Caption>, CaptionerError> {
    let device = model.device();
    let rows = draws.images.len() * decoding.rows();
    let chooser = Chooser::new(model.vocab_size(), decoding, draws, &device);
    let mut state = model.begin(memory, decoding.rows());
    let mut ids = Tensor::<2, Int>::full([rows, 1], END as i32, &device);
    let mut captions = vec![Caption::default(); rows];
    let mut log_probs = Vec::new();
    for step in 0..decoding.max_len {
        let logits = model.step(memory, &mut state, ids);
        ids = chooser.choose(logits.clone(), step);
        log_probs.push(log_softmax(logits, 1).gather(1, ids.clone()));
        // The one read of a step: which token each caption got.
        let chosen: Vec<i64> = read(&ids)?;
        for (caption, id) in captions.iter_mut().zip(chosen) {
            if !caption.ended {
                caption.ended = id == i64::from(END);
                if !caption.ended {
                    caption.ids.push(id as u32);
                }
            }
        }
        if captions.iter().all(|caption| caption.ended) {
            break;
        }
    }

    let steps = log_probs.len();
    let log_probs = read_floats(&Tensor::cat(log_probs, 1))?;
    for (row, (caption, log_probs)) in
        captions.iter_mut().zip(log_probs.chunks_exact(steps)).enumerate()
    {
        let tokens = caption.ids.len() + usize::from(caption.ended);
        caption.log_probs = log_probs[..tokens].to_vec();
        if caption.log_probs.iter().any(|log_prob| !log_prob.is_finite()) {
            return Err(CaptionerError::NonFinite { row });
        }
    }
    Ok(captions)
}

/// Chooses the next token of every row.
struct Chooser<'a> {
    decoding: &'a Decoding,
    /// Uniform draws `[steps, B·samples]`, all uploaded at once.
    uniforms: Option<Tensor<2>>,
    /// `[1, V]`: minus infinity on the unknown word, 0 elsewhere.
    suppress: Option<Tensor<2>>,
}

impl<'a> Chooser<'a> {
    fn new(vocab_size: usize, decoding: &'a Decoding, draws: &Draws, device: &Device) -> Self {
        let uniforms = (decoding.samples > 0).then(|| {
            let uniforms = draws.uniforms(decoding.samples, decoding.max_len);
            let shape = [decoding.max_len, draws.images.len() * decoding.samples];
            Tensor::from_data(TensorData::new(uniforms, shape), device)
        });
        let suppress = decoding.suppress_unknown.then(|| {
            let mut bias = vec![0.0; vocab_size];
            bias[vocab_size - 1] = f32::NEG_INFINITY;
            Tensor::from_data(TensorData::new(bias, [1, vocab_size]), device)
        });
        Self { decoding, uniforms, suppress }
    }

    /// Logits `[N, V]` -> ids `[N, 1]`.
    fn choose(&self, logits: Tensor<2>, step: usize) -> Tensor<2, Int> {
        let logits = match &self.suppress {
            Some(bias) => logits + bias.clone(),
            None => logits,
        };
        let Some(uniforms) = &self.uniforms else {
            return logits.argmax(1);
        };
        let [rows, vocab] = logits.dims();
        let (greedy, samples) = (usize::from(self.decoding.greedy), self.decoding.samples);
        let images = rows / (greedy + samples);
        let drawn = images * samples;
        let uniforms = uniforms.clone().narrow(0, step, 1).reshape([drawn, 1]);
        if greedy == 0 {
            return sample(logits, uniforms, self.decoding);
        }
        let logits = logits.reshape([images, 1 + samples, vocab]);
        let greedy = logits.clone().narrow(1, 0, 1).argmax(2).reshape([images, 1]);
        let sampled = logits.narrow(1, 1, samples).reshape([drawn, vocab]);
        let sampled = sample(sampled, uniforms, self.decoding).reshape([images, samples]);
        Tensor::cat(vec![greedy, sampled], 1).reshape([rows, 1])
    }
}

fn read(ids: &Tensor<2, Int>) -> Result<Vec<i64>, CaptionerError> {
    ids.try_to_vec_as().map_err(|error| CaptionerError::Device(error.to_string()))
}

pub(crate) fn read_floats(values: &Tensor<2>) -> Result<Vec<f32>, CaptionerError> {
    values.try_to_vec_as().map_err(|error| CaptionerError::Device(error.to_string()))
}
