//! A captioning data set that is generated on the spot, with an exact judge.
//!
//! Small pictures of coloured shapes come with references in the annotators' manner (short, true,
//! grammatical), alt texts in the web's manner (detailed, often ungrammatical), fine-grained
//! phrases, and [`judge`], which says of any caption whether it is a sentence and which of its
//! claims are true. It is the setting of Cho et al. (2022) in miniature: references that leave out
//! what tells pictures apart, and a CLIP that has read about it.
//!
//! ```
//! use finecap_scenes::{ScenesConfig, generate, judge};
//!
//! # fn main() -> Result<(), finecap_scenes::ScenesError> {
//! let config = ScenesConfig { train: 8, val: 0, test: 4, ..ScenesConfig::default() };
//! let records = generate(&config)?;
//! let verdict = judge(&records[0].references[0], &records[0].scene);
//! assert!(verdict.grammatical && verdict.claims.iter().all(|claim| claim.is_true));
//! # Ok(())
//! # }
//! ```

mod dataset;
mod error;
mod export;
mod judge;
mod render;
mod scene;
mod text;
mod words;

pub use dataset::{SceneRecord, ScenesConfig, Split, generate};
pub use error::ScenesError;
pub use export::export;
pub use judge::{Claim, Verdict, is_grammatical, judge};
pub use scene::{Background, Content, MAX_OBJECTS, Object, Scene};
pub use text::Phrases;
pub use words::{Colour, Ground, Relation, Shape, Size, Texture};
