//! Caption metrics that agree with coco-caption (BLEU, ROUGE-L, METEOR, CIDEr-D), and beside them plain
//! CIDEr, retrieval, FineCapEval and text statistics.
//!
//! Plain slices in, plain numbers out; no tensors, no files but METEOR's own data ([`Meteor`]).
//!
//! ```
//! # fn main() -> Result<(), finecap_metrics::MetricsError> {
//! let captions = ["a cat on a couch", "two dogs"];
//! let references =
//!     [vec!["a cat sitting on a red couch", "a cat is on the sofa"], vec!["two dogs play"]];
//! let scores = finecap_metrics::cider_d(&captions, &references)?;
//! assert!(scores.per_image[0] > 0.0);
//! # Ok(())
//! # }
//! ```

mod bleu;
mod bootstrap;
mod cider;
mod corpus;
mod error;
mod evaluation;
mod fine;
mod frequencies;
mod meteor;
mod ngram;
mod phrases;
mod porter;
mod ptb;
mod ranks;
mod retrieval;
mod rouge;
mod text;
mod word_ids;

pub use bleu::{BleuScores, bleu, sentence_bleu};
pub use bootstrap::{Interval, bootstrap};
pub use cider::{Cider, CiderScores, Ciders, PreparedReferences, cider_d, ciders};
pub use error::MetricsError;
pub use evaluation::{Evaluation, MetricScores};
pub use fine::{Match, fine_cell_is_missing, fine_phrases, fine_recall, nltk_tokens};
pub use frequencies::DocumentFrequencies;
pub use meteor::{Meteor, MeteorScores, MeteorStatistics};
pub use phrases::phrase_recall;
pub use porter::porter_stem;
pub use ptb::{ptb_tokenize, ptb_tokens};
pub use ranks::{Ranks, Ties};
pub use retrieval::{Retrieval, retrieval};
pub use rouge::{RougeScores, rouge_l, sentence_rouge_l};
pub use text::{TextStatistics, share_seen, words};
pub use word_ids::WordIds;
