//! Rewards for captions: CLIP-S, RefCLIP-S, grammar, CIDEr-D, BLEU, weighted sums of them, and
//! the advantages that policy-gradient training needs.
//!
//! ```
//! use finecap_reward::{Baseline, Candidate, CiderReward, Reward};
//!
//! # fn main() -> Result<(), finecap_reward::RewardError> {
//! let references = vec![vec!["a red dog", "the red dog runs"], vec!["a blue cat"]];
//! let mut cider = CiderReward::new(&references)?;
//! let samples = [Candidate::new(0, "a red dog"), Candidate::new(0, "a blue dog")];
//! let rewards = cider.score(&samples)?;
//! let advantages = Baseline::LeaveOneOut.advantages(&rewards, &[], 2)?;
//! assert!(advantages[0] > 0.0 && advantages[1] < 0.0);
//! # Ok(())
//! # }
//! ```

mod advantage;
mod bleu;
mod cider;
mod clip_s;
mod contrastive;
mod error;
mod external;
mod grammar;
mod mix;
mod ref_clip_s;
mod reward;
#[cfg(test)]
mod testing;
mod text_encoder;

pub use advantage::{AdvantageRule, Baseline, split_greedy};
pub use bleu::BleuReward;
pub use cider::{CiderReward, CiderTable};
pub use clip_s::{ClipScore, ClipScoreConfig};
pub use contrastive::ContrastiveReward;
pub use error::RewardError;
pub use external::{Endpoint, ExternalImage, ExternalReward};
pub use grammar::{
    Corruption, GrammarHead, GrammarHeadConfig, GrammarReward, GrammarScorer, Negative, Negatives,
};
pub use mix::{Scores, Term, TermScores, WeightedSum};
pub use ref_clip_s::{RefClipDefinition, RefClipScore};
pub use reward::{Candidate, Reward};
pub use text_encoder::TextEncoder;
