//! The grammar probability as a reward.

use burn::tensor::Tensor;

use super::{GrammarHead, GrammarScorer};
use crate::{Candidate, Reward, RewardError, TextEncoder};

/// The probability that a caption is a sentence, by a [`GrammarScorer`]; no picture is looked at.
pub struct GrammarReward {
    encoder: TextEncoder,
    head: GrammarHead,
    prompt: String,
}

impl GrammarReward {
    /// A reward that asks as the scorer was trained, through `encoder`, which holds the scorer's
    /// own CLIP and may be shared with other rewards.
    pub fn new(scorer: &GrammarScorer, encoder: TextEncoder) -> Self {
        Self { encoder, head: scorer.head.clone(), prompt: scorer.prompt.clone() }
    }
}

impl Reward for GrammarReward {
    fn name(&self) -> &str {
        "grammar"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        let texts: Vec<&str> = candidates.iter().map(|c| c.text).collect();
        let states = self.encoder.states(&self.prompt, &texts)?;
        probabilities(&self.head, states, &texts)
    }
}

/// What the head says of captions whose states are `states`, `[N, D]`.
pub(super) fn probabilities<S: AsRef<str>>(
    head: &GrammarHead,
    states: Tensor<2>,
    captions: &[S],
) -> Result<Vec<f32>, RewardError> {
    let scores: Vec<f32> = head.probability(states).into_data().iter::<f32>().collect();
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(scores),
        Some(row) => Err(RewardError::NotFinite {
            reward: "grammar".into(),
            caption: captions[row].as_ref().into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use finecap_clip::{ClipConfig, ClipPipeline, ClipTokenizer, PreprocessConfig};

    use super::*;
    use crate::GrammarHeadConfig;

    fn scorer(device: &Device) -> GrammarScorer {
        let tokenizer = ClipTokenizer::from_words(["a", "photo", "of", "red", "star"]).unwrap();
        let config =
            ClipConfig::tiny(tokenizer.vocab_size(), tokenizer.bos_id(), tokenizer.eos_id());
        device.seed(1);
        let model = config.init(device).unwrap();
        let width = config.text_config.hidden_size;
        let head = GrammarHeadConfig { width, hidden: width };
        let preprocess = PreprocessConfig::openai(48);
        let pipeline = ClipPipeline::new(config, model, tokenizer, preprocess).unwrap();
        GrammarScorer::new(pipeline, head.clone(), head.init(device), String::new()).unwrap()
    }

    #[test]
    fn the_prompt_stands_before_the_caption() {
        let device = Device::flex();
        let bare = scorer(&device);
        let prompted = GrammarScorer { prompt: "a photo of".into(), ..bare.clone() };
        let encoder = TextEncoder::new(bare.pipeline.clone(), &device);
        let score = |scorer: &GrammarScorer, text: &str| {
            let mut reward = GrammarReward::new(scorer, encoder.clone());
            reward.score(&[Candidate::new(0, text)]).unwrap()[0]
        };
        assert_eq!(score(&prompted, "a star"), score(&bare, "a photo of a star"));
        assert_ne!(score(&prompted, "a star"), score(&bare, "a star"));
        let reported = prompted.probabilities(&["a star"], &device).unwrap();
        assert_eq!(reported, [score(&prompted, "a star")], "the command says what the reward says");
    }

    #[test]
    fn a_head_for_another_width_is_refused() {
        let device = Device::flex();
        let GrammarScorer { pipeline, prompt, .. } = scorer(&device);
        let head = GrammarHeadConfig { width: 3, hidden: 3 };
        let wrong = GrammarScorer::new(pipeline, head.clone(), head.init(&device), prompt);
        let message = wrong.err().unwrap().to_string();
        assert!(message.contains("width 3"), "{message}");
    }

    #[test]
    fn a_probability_must_be_a_number() {
        let device = Device::flex();
        let head = scorer(&device).head;
        let states = Tensor::full([1, scorer(&device).config.width], f32::NAN, &device);
        let message = probabilities(&head, states, &["a star"]).unwrap_err().to_string();
        assert!(message.contains("\"a star\"") && message.contains("grammar"), "{message}");
    }
}
