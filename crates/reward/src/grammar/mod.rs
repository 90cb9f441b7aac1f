//! Grammar without annotation: a head on CLIP's text tower that was trained to tell captions from
//! corrupted ones (Cho et al. 2022).

mod checkpoint;
mod folder;
mod head;
mod negatives;
mod reward;

pub use folder::GrammarScorer;
pub use head::{GrammarHead, GrammarHeadConfig};
pub use negatives::{Corruption, Negative, Negatives};
pub use reward::GrammarReward;
