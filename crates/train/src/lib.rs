//! Training and evaluation of captioners with CLIP rewards.
//!
//! Three phases, each one visible loop: [`train_clip`], [`train_mle`], [`train_scst`]. Data goes
//! one way: a [`Dataset`] is encoded once into a [`FeatureStore`], the captioner reads features,
//! and rewards read captions.

mod checkpoint;
mod clip;
mod config;
mod data;
mod error;
mod eval;
mod features;
mod fingerprint;
mod gradients;
mod mle;
mod phase;
mod prefetch;
mod progress;
mod schedule;
mod scst;
mod seeds;

pub use checkpoint::{TrainState, write_folder};
pub use clip::train_clip;
pub use config::{
    CaptionerSettings, CheckpointSettings, ClipSettings, ClipTexts, Config, Export, MleSettings,
    RewardSettings, ScstSettings, TokenizerKind,
};
pub use data::{Dataset, ImageRecord, ImageSource, Split, epoch_order};
pub use error::TrainError;
pub use eval::{Captioned, Evaluation, evaluate, greedy_captions};
pub use features::FeatureStore;
pub use fingerprint::weights_fingerprint;
pub use gradients::clip_global_norm;
pub use mle::train_mle;
pub use progress::Progress;
pub use schedule::Schedule;
pub use scst::{build_reward, train_scst};
pub use seeds::{Purpose, number, stream};
