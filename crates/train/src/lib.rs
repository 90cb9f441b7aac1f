//! Training and evaluation of captioners with CLIP rewards, with rewards of one's own, and with
//! captioners of one's own.
//!
//! A reward is a type with a name that scores captions. This trains a captioner to say more different
//! words; `examples/own_reward.rs` has the whole program.
//!
//! ```no_run
//! use finecap_reward::{Candidate, Reward, RewardError, Term, WeightedSum};
//! use finecap_train::{
//!     Config, Dataset, FeatureStore, Job, fresh_captioner, train_clip, train_mle, train_scst,
//! };
//!
//! struct Variety;
//!
//! impl Reward for Variety {
//!     fn name(&self) -> &str {
//!         "variety"
//!     }
//!
//!     fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
//!         let words = |text: &str| text.split(' ').collect::<std::collections::BTreeSet<_>>().len();
//!         Ok(candidates.iter().map(|candidate| words(candidate.text) as f32).collect())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let device = burn::tensor::Device::default();
//! let dataset = Dataset::karpathy("dataset_coco.json".as_ref(), Some("pictures".as_ref()))?;
//! let config = Config::read(Some("settings.toml".as_ref()), &[])?;
//! let job = Job::new("runs/variety".as_ref(), &config, &dataset, &device);
//! let clip = train_clip(&job, None)?;
//! let features = FeatureStore::open_or_build("runs/features".as_ref(), &dataset, &clip, &device)?;
//! let start = train_mle(&job, &features, fresh_captioner(&job, &features)?)?;
//! let mut reward = WeightedSum::new(vec![Term::new(1.0, Variety)])?;
//! let trained = train_scst(&job, &features, &mut reward, start)?;
//! # Ok(())
//! # }
//! ```
//!
//! Four phases, each one visible loop: [`train_clip`], [`train_mle`], [`train_grammar`],
//! [`train_scst`]. Data goes one way: a [`Dataset`] is encoded once into a [`FeatureStore`], the
//! captioner reads features, and rewards read captions. [`RewardModels::build`] makes the reward that
//! settings describe; rewards of other programs are [`ExternalSettings`].
//!
//! Programs that train need `#![recursion_limit = "256"]`: the types of Burn's autodiff over its
//! backends nest deeper than the compiler looks by default. Libraries don't.
//!
//! Nothing is printed: [`show_progress`] takes a callback. [`stop_flag`] ends training at its next step.

mod caption_columns;
mod captioner_setup;
mod checkpoint;
mod clip;
mod clip_scores;
mod config;
mod data;
mod encode;
mod error;
mod eval;
mod features;
mod fingerprint;
mod gradients;
mod grammar;
mod job;
mod kept_rows;
mod memory;
mod mle;
mod neighbours;
mod npy;
mod pairs;
mod phase;
mod policy;
mod prefetch;
mod progress;
mod rewards;
mod run_folder;
mod scenes_scores;
mod schedule;
mod scst;
mod seeds;
mod shard_pairs;
mod stop;
mod table;
mod threads;
mod validation;

pub use caption_columns::{CaptionColumn, caption_columns, recall_columns};
pub use captioner_setup::{captioner_vocab, fresh_captioner};
pub use checkpoint::TrainState;
pub use clip::{train_clip, train_clip_on_shards};
pub use clip_scores::{CaptionedPicture, ClipScores, clip_scores};
pub use config::{
    CaptionerSettings, CheckpointSettings, ClipSettings, ClipTexts, Config, DecayGroups, Export,
    ExternalSettings, GrammarOptimizer, GrammarSettings, MleSettings, Reduction, RewardSettings,
    ScstSettings, TermSettings, TokenEmbeddings, TokenizerKind, Tower, Words,
};
pub use data::{Dataset, ImageRecord, ImageSource, Split, caption_words, epoch_order};
pub use encode::{PICTURE_BATCH, PixelBatch, each_batch};
pub use error::TrainError;
pub use eval::{Captioned, Evaluation, EvaluationFile, Evaluator, ScoredCaption, greedy_captions};
pub use features::{Extraction, FeatureStore, GridType, clip_features, preprocess_for};
pub use finecap_data::PictureFolder;
pub use fingerprint::text_tower_fingerprint;
pub use gradients::clip_global_norm;
pub use grammar::{grammar_probabilities, train_grammar};
pub use job::{Job, Resume};
pub use kept_rows::KeptRows;
pub use mle::train_mle;
pub use npy::{NpyReader, write_npy};
pub use prefetch::prefetch;
pub use progress::{Progress, ProgressEvent, show_progress};
pub use rewards::{RewardModels, cider_table};
pub use run_folder::{RunFolder, clip_of, relative};
pub use scenes_scores::{SceneScores, evaluate_scenes};
pub use schedule::Schedule;
pub use scst::train_scst;
pub use seeds::{Purpose, number, stream};
pub use stop::stop_flag;
pub use table::{COLUMNS, Scores, TableRow, heading, table};
