//! finecap trains image captioners with CLIP rewards instead of reference captions
//! (Cho et al. 2022), in pure Rust on Burn.
//!
//! This crate re-exports the parts, each of which can be used alone, and chooses devices:
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`clip`] | CLIP encoders, tokenizer, image preprocessing |
//! | [`captioner`] | encoder-decoder Transformer with cached decoding |
//! | [`reward`] | CLIP-S, CIDEr-D, weighted sums, advantages |
//! | [`metrics`] | caption metrics |
//! | [`scenes`] | a generated data set with an exact judge |
//! | [`weights`] | tensors from safetensors, PyTorch and TorchScript files |
//! | [`train`] | data, training phases, checkpoints, evaluation |
//! | [`report`] | an HTML page on trained captioners |
//! | [`data`] | captions, images and their names, from the files that people have |
//! | [`files`] | files and folders that are written whole or not at all |
//! | [`device`] | choosing a compute device by name |
//! | [`cli`] | the `finecap` command |
//! | [`memory`] | an allocator setting for programs that train |
//! | [`terminal`] | progress on stderr |

#![recursion_limit = "256"]

// The command says where things come from, as programs outside do.
extern crate self as finecap;

pub mod cli;
pub mod device;
pub mod memory;
pub mod report;
pub mod terminal;

pub use finecap_captioner as captioner;
pub use finecap_clip as clip;
pub use finecap_data as data;
pub use finecap_files as files;
pub use finecap_metrics as metrics;
pub use finecap_reward as reward;
pub use finecap_scenes as scenes;
pub use finecap_train as train;
pub use finecap_weights as weights;

/// The programs in `docs/rust-engineer.md` compile.
#[cfg(doctest)]
#[doc = include_str!("../docs/rust-engineer.md")]
struct RustEngineer;
