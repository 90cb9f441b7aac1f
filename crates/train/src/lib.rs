//! Training and evaluation of captioners with CLIP rewards.
//!
//! Four phases, each one visible loop: [`train_clip`], [`train_mle`], [`train_grammar`],
//! [`train_scst`]. Data goes
//! one way: a [`Dataset`] is encoded once into a [`FeatureStore`], the captioner reads features,
//! and rewards read captions.

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
    GrammarOptimizer, GrammarSettings, MleSettings, Reduction, RewardSettings, ScstSettings,
    TermSettings, TokenEmbeddings, TokenizerKind, Tower,
};
pub use data::{Dataset, ImageRecord, ImageSource, Split, caption_words, epoch_order};
pub use encode::{PICTURE_BATCH, PixelBatch, each_batch};
pub use error::TrainError;
pub use eval::{Captioned, Evaluation, EvaluationFile, Evaluator, ScoredCaption, greedy_captions};
pub use features::{Extraction, FeatureStore, GridType, clip_features, preprocess_for};
pub use finecap_data::PictureFolder;
pub use fingerprint::text_tower_fingerprint;
pub use gradients::clip_global_norm;
pub use grammar::train_grammar;
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
