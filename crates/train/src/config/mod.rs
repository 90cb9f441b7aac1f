//! Settings of a run, as TOML.
//!
//! Every key has a default, unknown keys are refused, and the resolved settings are written into
//! the run folder.

mod external;
mod file;
mod reward;

use finecap_captioner::Norm;
use finecap_reward::{AdvantageRule, Baseline};
use serde::{Deserialize, Serialize};

pub use external::{ExternalSettings, Words};
pub use reward::{RewardSettings, TermSettings, Tower};

use crate::TrainError;
use crate::schedule::Schedule;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seed of all randomness.
    pub seed: u64,
    /// The CLIP phase.
    pub clip: ClipSettings,
    /// Sizes of the captioner.
    pub captioner: CaptionerSettings,
    /// The MLE phase.
    pub mle: MleSettings,
    /// The grammar phase.
    pub grammar: GrammarSettings,
    /// The SCST phase.
    pub scst: ScstSettings,
    /// Checkpoints and validation.
    pub checkpoint: CheckpointSettings,
}

/// Where the CLIP tokenizer's vocabulary comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenizerKind {
    /// The words of the training texts.
    Words,
    /// OpenAI's byte pairs, 49,408 ids.
    Openai,
}

/// What the token embeddings of a model trained from scratch begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenEmbeddings {
    /// Random numbers, as in CLIP.
    Random,
    /// The words that stand beside each token in the training captions, in the grammar phase:
    /// a small tower learns from far fewer captions. Other phases begin at random.
    Neighbours,
}

/// Which texts the CLIP phase reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipTexts {
    /// `alt_texts` of the data set.
    AltTexts,
    /// Reference captions.
    Captions,
}

/// Contrastive training of a CLIP model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipSettings {
    /// Optimizer steps.
    pub steps: usize,
    /// Image-text pairs a step.
    pub batch_size: usize,
    /// Learning rate.
    pub schedule: Schedule,
    /// AdamW's decoupled weight decay.
    pub weight_decay: f32,
    /// Largest joint gradient norm; 0 for no clipping.
    pub clip_norm: f64,
    /// Texts to learn from.
    pub texts: ClipTexts,
    /// Put before every text, with a space between; may be empty.
    pub prompt: String,
    /// Tokenizer of a model trained from scratch.
    pub tokenizer: TokenizerKind,
    /// Token embeddings of a text tower trained from scratch by `train grammar`.
    pub token_embeddings: TokenEmbeddings,
    /// Side of the input in pixels, for a model trained from scratch.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Width of both towers; their MLPs are twice as wide.
    pub width: usize,
    /// Blocks of each tower.
    pub layers: usize,
    /// Attention heads of each tower.
    pub heads: usize,
    /// Width `E` of the embedding space.
    pub embed_dim: usize,
    /// Longest text in tokens, start and end included.
    pub context_length: usize,
}

impl Default for ClipSettings {
    fn default() -> Self {
        Self {
            steps: 600,
            batch_size: 64,
            schedule: Schedule::Cosine { lr: 1e-3, warmup: 50 },
            weight_decay: 0.05,
            clip_norm: 1.0,
            texts: ClipTexts::Captions,
            prompt: String::new(),
            tokenizer: TokenizerKind::Words,
            token_embeddings: TokenEmbeddings::Random,
            image_size: 48,
            patch_size: 8,
            width: 128,
            layers: 3,
            heads: 4,
            embed_dim: 128,
            context_length: 32,
        }
    }
}

/// Sizes of the captioner; the reference's are 512, 2048, 8, 6 and 6.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaptionerSettings {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Width inside the feed-forward layers.
    pub d_ff: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Encoder layers.
    pub n_encoder_layers: usize,
    /// Decoder layers.
    pub n_decoder_layers: usize,
    /// Dropout inside the Transformer.
    pub dropout: f64,
    /// Dropout on the embedded image features.
    pub feature_dropout: f64,
    /// Longest caption in words that is decoded.
    pub max_len: usize,
    /// Kind of layer norm.
    pub norm: Norm,
    /// A word enters the vocabulary when it occurs more often than this.
    pub count_threshold: usize,
    /// Training references are cut to this many words.
    pub max_reference_len: usize,
}

impl Default for CaptionerSettings {
    fn default() -> Self {
        Self {
            d_model: 128,
            d_ff: 256,
            n_heads: 4,
            n_encoder_layers: 2,
            n_decoder_layers: 2,
            dropout: 0.1,
            feature_dropout: 0.1,
            max_len: 20,
            norm: Norm::Standard,
            count_threshold: 0,
            max_reference_len: 16,
        }
    }
}

/// Training on reference captions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MleSettings {
    /// Optimizer steps.
    pub steps: usize,
    /// Images a step.
    pub batch_size: usize,
    /// Captions of each image a step.
    pub captions_per_image: usize,
    /// Learning rate.
    pub schedule: Schedule,
    /// Largest joint gradient norm; 0 for no clipping.
    pub clip_norm: f64,
}

impl Default for MleSettings {
    fn default() -> Self {
        Self {
            steps: 600,
            batch_size: 32,
            captions_per_image: 5,
            schedule: Schedule::Cosine { lr: 1e-3, warmup: 50 },
            clip_norm: 1.0,
        }
    }
}

/// Which weights AdamW's decay leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayGroups {
    /// Biases only: the reference code's pattern for norms matches nothing.
    Reference,
    /// Biases, norms and the logit scale, as is usual.
    Standard,
}

/// What takes the steps of grammar tuning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrammarOptimizer {
    /// AdamW for every weight, as in the paper.
    Adamw,
    /// Muon (Jordan 2024) for the matrices of the Transformer's blocks and AdamW for the rest. It
    /// needs fewer steps to train a tower from scratch; its steps are scaled to the size of
    /// AdamW's, so that one learning rate serves both.
    Muon,
}

/// Tuning of a CLIP text tower with a grammar head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrammarSettings {
    /// Optimizer steps.
    pub steps: usize,
    /// Images a step, each with one caption and one broken version of it.
    pub batch_size: usize,
    /// Take the captions of an image one after the other instead of at random, so that all have
    /// been seen before any is seen again.
    pub captions_in_turn: bool,
    /// Optimizer.
    pub optimizer: GrammarOptimizer,
    /// Learning rate.
    pub schedule: Schedule,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// What is decayed.
    pub decay_groups: DecayGroups,
    /// Largest joint gradient norm; 0 for no clipping.
    pub clip_norm: f64,
    /// Weight of matching captions to their images; 0 needs no images.
    pub contrastive_weight: f32,
    /// Weight of telling captions from broken ones.
    pub grammar_weight: f32,
    /// Weight of telling at every token whether the caption was whole so far; 0 as in the paper.
    /// A caption then teaches as many lessons as it has words.
    pub prefix_weight: f32,
    /// Weight of the next-word loss (a softmax over the batch's words and some random ones); 0 as
    /// in the paper.
    pub next_word_weight: f32,
    /// Width of the head's hidden layer; 0 for that of the text tower.
    pub hidden: usize,
    /// Put before every caption, with a space between; may be empty. Saved with the head, which
    /// is asked with the same one unless `scst.reward.grammar_prompt` says otherwise.
    pub prompt: String,
    /// Parts of a batch that are computed at the same time, each on a thread of its own: as many
    /// as there are cores is best on a CPU. More than 1 needs `contrastive_weight = 0`, which
    /// compares all captions of a batch.
    pub threads: usize,
    /// Share of the pictures that is held out where captions come as plain text.
    pub holdout: f64,
}

impl Default for GrammarSettings {
    fn default() -> Self {
        Self {
            steps: 600,
            batch_size: 64,
            captions_in_turn: false,
            optimizer: GrammarOptimizer::Adamw,
            schedule: Schedule::Constant { lr: 1e-4, warmup: 0 },
            weight_decay: 0.01,
            decay_groups: DecayGroups::Standard,
            clip_norm: 0.0,
            contrastive_weight: 1.0,
            grammar_weight: 1.0,
            prefix_weight: 0.0,
            next_word_weight: 0.0,
            hidden: 0,
            prompt: String::new(),
            threads: 1,
            holdout: 0.05,
        }
    }
}

/// How the policy-gradient loss is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Over all tokens of the batch, as in the reference: a token of a long caption counts as
    /// much as one of a short caption.
    Token,
    /// Summed over each caption, then averaged over captions: the gradient of the expected reward.
    Sequence,
}

/// Self-critical sequence training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScstSettings {
    /// Optimizer steps.
    pub steps: usize,
    /// Images a step.
    pub batch_size: usize,
    /// Samples of each image.
    pub samples: usize,
    /// What a sample's reward is compared with, for the terms that don't bring their own.
    pub baseline: Baseline,
    /// Divide an image's advantages by the standard deviation of its samples' rewards.
    pub divide_by_spread: bool,
    /// Average of the loss.
    pub reduction: Reduction,
    /// Weight of the Kullback-Leibler divergence from the captioner that training started from.
    pub kl_beta: f32,
    /// Weight of the entropy of the next word, which is made larger.
    pub entropy_bonus: f32,
    /// Sampling temperature.
    pub temperature: f32,
    /// Dropout while the samples' log-probabilities are computed; samples are always drawn
    /// without, so anything above 0 is slightly off policy.
    pub dropout: f64,
    /// Learning rate.
    pub schedule: Schedule,
    /// Largest joint gradient norm; 0 for no clipping.
    pub clip_norm: f64,
    /// What is rewarded.
    pub reward: RewardSettings,
}

impl Default for ScstSettings {
    fn default() -> Self {
        Self {
            steps: 200,
            batch_size: 16,
            samples: 5,
            baseline: Baseline::Greedy,
            divide_by_spread: false,
            reduction: Reduction::Token,
            kl_beta: 0.0,
            entropy_bonus: 0.0,
            temperature: 1.0,
            dropout: 0.0,
            schedule: Schedule::Constant { lr: 1e-4, warmup: 0 },
            clip_norm: 1.0,
            reward: RewardSettings::default(),
        }
    }
}

impl ScstSettings {
    /// How scores become advantages.
    pub fn advantage_rule(&self) -> AdvantageRule {
        AdvantageRule { baseline: self.baseline, divide_by_spread: self.divide_by_spread }
    }
}

/// Checkpoints, validation and logging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointSettings {
    /// Steps between checkpoints, each with a validation; one is always made at the end.
    pub every: usize,
    /// Newest checkpoints that are kept, besides the best.
    pub keep: usize,
    /// Images that validation looks at, at most.
    pub validate_images: usize,
    /// Whether the model that is kept in the end is the best or the last.
    pub export: Export,
}

/// Which weights a finished phase hands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Export {
    /// Those with the best validation score.
    Best,
    /// Those of the last step.
    Last,
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        Self { every: 200, keep: 2, validate_images: 200, export: Export::Last }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            clip: ClipSettings::default(),
            captioner: CaptionerSettings::default(),
            mle: MleSettings::default(),
            grammar: GrammarSettings::default(),
            scst: ScstSettings::default(),
            checkpoint: CheckpointSettings::default(),
        }
    }
}

impl Config {
    /// Checks every value that a type alone does not.
    ///
    /// # Errors
    /// [`TrainError::Setting`] naming the first wrong one.
    pub fn check(&self) -> Result<(), TrainError> {
        let at_least_one = [
            ("clip.steps", self.clip.steps),
            ("clip.batch_size", self.clip.batch_size),
            ("mle.steps", self.mle.steps),
            ("mle.batch_size", self.mle.batch_size),
            ("mle.captions_per_image", self.mle.captions_per_image),
            ("grammar.steps", self.grammar.steps),
            ("grammar.batch_size", self.grammar.batch_size),
            ("grammar.threads", self.grammar.threads),
            ("scst.steps", self.scst.steps),
            ("scst.batch_size", self.scst.batch_size),
            ("scst.samples", self.scst.samples),
            ("captioner.max_len", self.captioner.max_len),
            ("captioner.max_reference_len", self.captioner.max_reference_len),
            ("checkpoint.every", self.checkpoint.every),
            ("checkpoint.keep", self.checkpoint.keep),
            ("checkpoint.validate_images", self.checkpoint.validate_images),
        ];
        for (field, value) in at_least_one {
            if value == 0 {
                return Err(TrainError::setting(field, "is 0: it must be at least 1"));
            }
        }
        if self.clip.batch_size < 2 {
            return Err(TrainError::setting(
                "clip.batch_size",
                "must be at least 2: the loss compares pairs",
            ));
        }
        if self.grammar.threads > 1 && self.grammar.contrastive_weight > 0.0 {
            return Err(TrainError::setting(
                "grammar.threads",
                "is above 1, which needs grammar.contrastive_weight = 0: that loss compares all \
                 captions of a batch",
            ));
        }
        let scst = &self.scst;
        let others = scst.divide_by_spread
            || scst.baseline == Baseline::LeaveOneOut
            || scst.reward.terms().any(|(_, term)| term.baseline == Some(Baseline::LeaveOneOut));
        if others && scst.samples < 2 {
            return Err(TrainError::setting(
                "scst.samples",
                "must be at least 2 for the leave-one-out baseline and for `divide_by_spread`",
            ));
        }
        for (field, value) in [
            ("captioner.dropout", self.captioner.dropout),
            ("captioner.feature_dropout", self.captioner.feature_dropout),
            ("scst.dropout", self.scst.dropout),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(TrainError::setting(
                    field,
                    format!("is {value}: it must be from 0 to below 1"),
                ));
            }
        }
        for (field, value) in [
            ("clip.clip_norm", self.clip.clip_norm),
            ("mle.clip_norm", self.mle.clip_norm),
            ("scst.clip_norm", self.scst.clip_norm),
            ("grammar.clip_norm", self.grammar.clip_norm),
            ("clip.weight_decay", f64::from(self.clip.weight_decay)),
            ("grammar.weight_decay", f64::from(self.grammar.weight_decay)),
            ("scst.kl_beta", f64::from(scst.kl_beta)),
            ("scst.entropy_bonus", f64::from(scst.entropy_bonus)),
            ("grammar.contrastive_weight", f64::from(self.grammar.contrastive_weight)),
            ("grammar.grammar_weight", f64::from(self.grammar.grammar_weight)),
            ("grammar.prefix_weight", f64::from(self.grammar.prefix_weight)),
            ("grammar.next_word_weight", f64::from(self.grammar.next_word_weight)),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(TrainError::setting(
                    field,
                    format!("is {value}: it must be 0 or above"),
                ));
            }
        }
        if !(self.grammar.holdout > 0.0 && self.grammar.holdout <= 0.5) {
            let problem =
                format!("is {}: it must be above 0 and at most 0.5", self.grammar.holdout);
            return Err(TrainError::setting("grammar.holdout", problem));
        }
        if !(self.scst.temperature.is_finite() && self.scst.temperature > 0.0) {
            return Err(TrainError::setting("scst.temperature", "must be above 0"));
        }
        scst.reward.check()?;
        self.clip.schedule.check("clip.schedule")?;
        self.mle.schedule.check("mle.schedule")?;
        self.grammar.schedule.check("grammar.schedule")?;
        self.scst.schedule.check("scst.schedule")
    }
}
