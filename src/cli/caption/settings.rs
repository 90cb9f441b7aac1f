//! How captions are decoded, as options of the command.

use anyhow::Result;
use burn::tensor::Tensor;
use clap::Args;
use finecap::captioner::{BeamSearch, Caption, Captioner, Decoding, Draws, Hypothesis, Vocab};
use serde::Serialize;

#[derive(Args)]
pub struct Settings {
    /// Width of the beam search; 1 is greedy decoding.
    #[arg(long, value_name = "WIDTH", default_value_t = 1)]
    beam: usize,
    /// Compare captions of T tokens by log P / ((5 + T)/6)^A (Wu et al. 2016): more for longer
    /// captions.
    #[arg(long, value_name = "A", default_value_t = 0.0, allow_negative_numbers = true)]
    length_penalty: f32,
    /// Never say the same three words in a row twice.
    #[arg(long)]
    block_trigrams: bool,
    /// Never say the unknown word.
    #[arg(long)]
    no_unknown: bool,
    /// Never end with a word such as "a", "with" or "is".
    #[arg(long)]
    no_bad_endings: bool,
    /// Give this many captions of every picture, best first; at most the beam's width.
    #[arg(long, value_name = "N", default_value_t = 1)]
    n_best: usize,
    /// Draw this many captions of every picture instead of searching for the best.
    #[arg(long, value_name = "K", conflicts_with_all = [
        "beam", "length_penalty", "block_trigrams", "no_bad_endings", "n_best"
    ])]
    samples: Option<usize>,
    /// Draw from softmax(logits / T).
    #[arg(long, value_name = "T", default_value_t = 1.0, requires = "samples")]
    temperature: f32,
    /// Draw from the K most probable words only.
    #[arg(long, value_name = "K", requires = "samples")]
    top_k: Option<usize>,
    /// Draw from the most probable words that together have this share of the probability.
    #[arg(long, value_name = "P", requires = "samples")]
    top_p: Option<f32>,
    /// Other seeds draw other captions; a picture's depend on it and on its place in the list.
    #[arg(long, default_value_t = 0, requires = "samples")]
    seed: u64,
    /// The longest caption in tokens, its end included; the model's own limit by default.
    #[arg(long, value_name = "TOKENS")]
    max_len: Option<usize>,
}

/// How a captioner's captions are decoded.
pub enum Method {
    Search(BeamSearch),
    Sample(Decoding, u64),
}

impl Settings {
    /// # Errors
    /// For settings that the model can't be decoded with.
    pub fn method(&self, captioner: &Captioner, vocab: &Vocab) -> Result<Method> {
        let config = captioner.config();
        let max_len = self.max_len.unwrap_or(config.max_len);
        if let Some(samples) = self.samples {
            let decoding = Decoding {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                suppress_unknown: self.no_unknown,
                ..Decoding::samples(samples, max_len)
            };
            decoding.check(config)?;
            return Ok(Method::Sample(decoding, self.seed));
        }
        let search = BeamSearch {
            n_best: self.n_best,
            length_penalty: self.length_penalty,
            block_trigrams: self.block_trigrams,
            suppress_unknown: self.no_unknown,
            bad_endings: if self.no_bad_endings { vocab.bad_endings() } else { Vec::new() },
            ..BeamSearch::new(self.beam, max_len)
        };
        search.check(config)?;
        Ok(Method::Search(search))
    }
}

impl Method {
    /// Captions of image features `[B, P, F]`, at least one of each image, best first or as they
    /// were drawn; `places` are the images' places in the list of all.
    pub fn decode(
        &self,
        captioner: &Captioner,
        grid: Tensor<3>,
        places: &[u64],
    ) -> Result<Vec<Vec<Hypothesis>>> {
        match self {
            Self::Search(search) => Ok(captioner.beam_search(grid, search)?),
            Self::Sample(decoding, seed) => {
                let draws = Draws { seed: *seed, step: 0, images: places };
                let drawn = |caption: Caption| Hypothesis {
                    score: caption.log_probs.iter().sum(),
                    caption,
                };
                let images = captioner.decode(grid, decoding, &draws)?.into_iter();
                Ok(images.map(|image| image.samples.into_iter().map(drawn).collect()).collect())
            }
        }
    }

    /// The settings, for programs.
    pub fn describe(&self) -> Described {
        match self {
            Self::Search(search) => Described::Search {
                beam: search.width,
                length_penalty: search.length_penalty,
                block_trigrams: search.block_trigrams,
                no_unknown: search.suppress_unknown,
                no_bad_endings: !search.bad_endings.is_empty(),
                max_len: search.max_len,
            },
            Self::Sample(decoding, seed) => Described::Sample {
                temperature: decoding.temperature,
                top_k: decoding.top_k,
                top_p: decoding.top_p,
                no_unknown: decoding.suppress_unknown,
                seed: *seed,
                max_len: decoding.max_len,
            },
        }
    }
}

/// A method as it stands in JSON, under the names of the options.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Described {
    Search {
        beam: usize,
        length_penalty: f32,
        block_trigrams: bool,
        no_unknown: bool,
        no_bad_endings: bool,
        max_len: usize,
    },
    Sample {
        temperature: f32,
        top_k: Option<usize>,
        top_p: Option<f32>,
        no_unknown: bool,
        seed: u64,
        max_len: usize,
    },
}
