use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

use crate::config::CaptionerConfig;
use crate::decode::{Caption, read_floats};
use crate::error::CaptionerError;
use crate::model::Captioner;
use crate::vocab::END;

/// How captions are searched for: the `width` most probable beginnings of an image's caption are
/// kept at every token.
///
/// Beginnings compete by the sum of their tokens' log-probabilities; one that ends leaves its
/// place to others and is remembered; at `max_len` tokens all end; the best of everything that
/// ended are the result. What a rule forbids is passed over; the probabilities of the rest are not
/// raised for it.
///
/// Begin with [`new`](Self::new), which forbids nothing, and change fields with `..`: there may be
/// more fields one day. The reference's search is
/// `BeamSearch { suppress_unknown: true, ..BeamSearch::new(width, max_len) }`.
#[derive(Debug, Clone, PartialEq)]
pub struct BeamSearch {
    /// Beginnings kept of every image; 1 is greedy.
    pub width: usize,
    /// Captions returned of every image, at most `width`.
    pub n_best: usize,
    /// The longest caption in tokens, its end token included; at most the model's `max_len`.
    pub max_len: usize,
    /// `α` of the length normalisation of Wu et al. 2016 (arXiv 1609.08144, equation 14): captions
    /// that ended are compared by `log P / ((5 + T)/6)^α`, where `T` counts the end token. 0, the
    /// reference's default, compares by `log P`; more favours longer captions.
    pub length_penalty: f32,
    /// Never say the same three words in a row twice (Paulus et al. 2017, arXiv 1705.04304,
    /// section 2.5).
    pub block_trigrams: bool,
    /// Never choose the unknown word; off by default. The reference's search never does.
    pub suppress_unknown: bool,
    /// Words after which no caption may end (it may still be cut there), by id: the reference's
    /// are [`Vocab::bad_endings`](crate::Vocab::bad_endings).
    pub bad_endings: Vec<u32>,
}

impl BeamSearch {
    /// The best caption of `width` beams, of at most `max_len` tokens, by the sum of
    /// log-probabilities.
    pub fn new(width: usize, max_len: usize) -> Self {
        Self {
            width,
            n_best: 1,
            max_len,
            length_penalty: 0.0,
            block_trigrams: false,
            suppress_unknown: false,
            bad_endings: Vec::new(),
        }
    }

    /// Checks that `config`'s model can be searched with these settings.
    ///
    /// # Errors
    /// [`CaptionerError::Decoding`], naming the first setting that is wrong.
    pub fn check(&self, config: &CaptionerConfig) -> Result<(), CaptionerError> {
        let wrong = |field, rule: String, found: String| {
            Err(CaptionerError::Decoding { field, rule, found })
        };
        if !(1..=config.vocab_size).contains(&self.width) {
            let rule = format!("from 1 to the vocabulary's {} ids", config.vocab_size);
            return wrong("width", rule, self.width.to_string());
        }
        if !(1..=self.width).contains(&self.n_best) {
            let rule = format!("from 1 to the beam's width {}", self.width);
            return wrong("n_best", rule, self.n_best.to_string());
        }
        if !(1..=config.max_len).contains(&self.max_len) {
            let rule = format!("from 1 to the model's max_len {}", config.max_len);
            return wrong("max_len", rule, self.max_len.to_string());
        }
        if !self.length_penalty.is_finite() {
            return wrong("length_penalty", "a number".into(), self.length_penalty.to_string());
        }
        Ok(())
    }

    /// What captions of `tokens` tokens are compared by.
    fn score(&self, log_prob: f32, tokens: usize) -> f32 {
        log_prob / ((5 + tokens) as f32 / 6.0).powf(self.length_penalty)
    }
}

/// A caption that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// The caption.
    pub caption: Caption,
    /// The sum of its tokens' log-probabilities, divided as
    /// [`length_penalty`](BeamSearch::length_penalty) says: what captions are compared by.
    pub score: f32,
}

impl Captioner {
    /// Searches for the best captions of image features `[B, P, F]`: for every image its
    /// [`n_best`](BeamSearch::n_best), best first (fewer only where rules forbid so much that
    /// fewer are left).
    ///
    /// All beams of all images are rows of one cached batch, and the beams of an image share its
    /// keys and values. What is found does not depend on the other images, up to near-ties that
    /// rounding decides.
    ///
    /// # Errors
    /// For wrong settings or features, for a model or features that record gradients, and for
    /// weights that give no finite numbers.
    pub fn beam_search(
        &self,
        features: Tensor<3>,
        search: &BeamSearch,
    ) -> Result<Vec<Vec<Hypothesis>>, CaptionerError> {
        search.check(self.config())?;
        self.check_features(&features)?;
        if self.device().is_autodiff() || features.device().is_autodiff() {
            return Err(CaptionerError::Autodiff);
        }
        let [images, ..] = features.dims();
        if images == 0 {
            return Ok(Vec::new());
        }
        let device = self.device();
        let vocab = self.config().vocab_size;
        let memory = self.encode(features);
        let mut beams = vec![Beams::new(); images];

        // All beams of an image begin alike, so one row of each is enough for the first token.
        let mut width = 1;
        let mut state = self.begin(&memory, width);
        let mut ids = vec![END as i32; images];
        for _ in 0..search.max_len {
            let inputs = TensorData::new(std::mem::take(&mut ids), [images * width, 1]);
            let inputs = Tensor::<2, Int>::from_data(inputs, &device);
            // Which tokens follow is decided on the host: rules differ from beam to beam, and
            // sorting is no faster on the devices.
            let log_probs = log_softmax(self.step(&memory, &mut state, inputs), 1);
            let log_probs = read_floats(&log_probs)?;
            let mut rows = Vec::with_capacity(images * search.width);
            for (image, beams) in beams.iter_mut().enumerate() {
                let first = image * width;
                let own = &log_probs[first * vocab..(first + width) * vocab];
                if !beams.finished(search) {
                    beams.grow(own, vocab, search).map_err(|row| CaptionerError::NonFinite {
                        row: image * search.width + row,
                    })?;
                }
                for place in 0..search.width {
                    // Places without a beam are computed and not looked at.
                    let (row, id) = match beams.live.get(place) {
                        Some(beam) => (beam.row, beam.last()),
                        None => (0, END),
                    };
                    rows.push((first + row) as i32);
                    ids.push(id as i32);
                }
            }
            if beams.iter().all(|beams| beams.finished(search)) {
                break;
            }
            let stay = width == search.width && rows.iter().zip(0..).all(|(&row, i)| row == i);
            if !stay {
                let count = rows.len();
                state.select(Tensor::from_data(TensorData::new(rows, [count]), &device));
            }
            width = search.width;
        }
        Ok(beams.into_iter().map(|beams| beams.ended).collect())
    }
}

/// A caption that has not ended.
#[derive(Debug, Clone, Default)]
struct Beam {
    caption: Caption,
    /// Sum of the log-probabilities.
    log_prob: f32,
    /// The row that holds its state, counted from the image's first.
    row: usize,
}

impl Beam {
    fn last(&self) -> u32 {
        self.caption.ids.last().copied().unwrap_or(END)
    }

    /// Whether a rule forbids `id` as the next token.
    fn forbids(&self, id: u32, vocab: usize, search: &BeamSearch) -> bool {
        let ids = &self.caption.ids[..];
        if id == END {
            return !ids.is_empty() && search.bad_endings.contains(&self.last());
        }
        if search.suppress_unknown && id as usize == vocab - 1 {
            return true;
        }
        match ids {
            [.., a, b] if search.block_trigrams => ids.windows(3).any(|w| w == [*a, *b, id]),
            _ => false,
        }
    }
}

/// One way to go on: a beam, a token, and the sum of log-probabilities it leads to.
#[derive(Clone, Copy)]
struct Step {
    beam: usize,
    id: u32,
    log_prob: f32,
}

/// The search of one image.
#[derive(Debug, Clone)]
struct Beams {
    /// Best first.
    live: Vec<Beam>,
    /// Best first, at most `n_best`.
    ended: Vec<Hypothesis>,
    tokens: usize,
}

impl Beams {
    fn new() -> Self {
        Self { live: vec![Beam::default()], ended: Vec::new(), tokens: 0 }
    }

    /// Reads one more token of every beam; `log_probs` are `[rows, vocab]` as the state's rows lie.
    ///
    /// # Errors
    /// The place of the first beam whose log-probabilities are not numbers.
    fn grow(&mut self, log_probs: &[f32], vocab: usize, search: &BeamSearch) -> Result<(), usize> {
        self.tokens += 1;
        let mut best: Vec<Step> = Vec::with_capacity(search.width + 1);
        for (place, beam) in self.live.iter().enumerate() {
            let row = if self.tokens == 1 { 0 } else { place };
            for (id, &log_prob) in (0..).zip(&log_probs[row * vocab..(row + 1) * vocab]) {
                if log_prob.is_nan() {
                    return Err(place);
                }
                let step = Step { beam: place, id, log_prob: beam.log_prob + log_prob };
                let full = best.len() == search.width;
                if full && best.last().is_none_or(|worst| step.log_prob <= worst.log_prob)
                    || step.log_prob == f32::NEG_INFINITY
                    || beam.forbids(id, vocab, search)
                {
                    continue;
                }
                // Of equals the earlier stays in front.
                let rank = best.partition_point(|other| other.log_prob >= step.log_prob);
                best.insert(rank, step);
                best.truncate(search.width);
            }
        }

        let mut live = Vec::with_capacity(search.width);
        for step in best {
            let parent = &self.live[step.beam];
            let row = if self.tokens == 1 { 0 } else { step.beam };
            let mut caption = parent.caption.clone();
            caption.log_probs.push(log_probs[row * vocab + step.id as usize]);
            caption.ended = step.id == END;
            if !caption.ended {
                caption.ids.push(step.id);
            }
            if caption.ended || self.tokens == search.max_len {
                let score = search.score(step.log_prob, self.tokens);
                let rank = self.ended.partition_point(|other| other.score >= score);
                self.ended.insert(rank, Hypothesis { caption, score });
                self.ended.truncate(search.n_best);
            } else {
                live.push(Beam { caption, log_prob: step.log_prob, row });
            }
        }
        self.live = live;
        Ok(())
    }

    /// Whether nothing that the beams may become can change the result: log-probabilities only
    /// fall, and the length's part lies between the next length's and the longest's.
    fn finished(&self, search: &BeamSearch) -> bool {
        let Some(best) = self.live.first() else { return true };
        let Some(worst) = self.ended.get(search.n_best - 1) else { return false };
        let reach = |tokens| search.score(best.log_prob, tokens);
        worst.score >= reach(self.tokens + 1).max(reach(search.max_len))
    }
}
