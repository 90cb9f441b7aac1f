//! Named tensors from the files that released models come in.
//!
//! [`WeightFile::open`] looks at a file's content, not its name, and reads
//!
//! - **safetensors**, also split over several files with a `*.index.json`;
//! - **PyTorch** files of `torch.save`: state dictionaries, whole modules, and checkpoints of
//!   training frameworks such as Lightning, in the zip format since 1.6 and the older stream;
//! - **TorchScript** archives, in which OpenAI published CLIP.
//!
//! ```no_run
//! use finecap_weights::WeightFile;
//!
//! let file = WeightFile::open("ViT-B-32.pt".as_ref())?;
//! for tensor in file.tensors() {
//!     println!("{} {} {:?}", tensor.name, tensor.dtype, tensor.shape);
//! }
//! let weight: Vec<f32> = file.read_f32("visual.conv1.weight")?;
//! # Ok::<(), finecap_weights::WeightsError>(())
//! ```
//!
//! # Which tensors
//!
//! A checkpoint's weights are those under the first of `state_dict`, `model_state_dict`, `model`
//! and `module` that holds any, else all that it holds. Names are the path below that key, with
//! points between: what `state_dict()` would say. Everything else (settings, vocabularies,
//! optimizer state) is in [`WeightFile::values`], where tensors show as their type and shape.
//!
//! # Files are not trusted
//!
//! PyTorch files are pickles, which are programs. Here a small interpreter builds containers,
//! plain values and tensors, and nothing else: whatever class or function a pickle names is kept
//! as its name, never looked up. Every size is checked against the file before memory is taken,
//! and a file that breaks a rule is a [`WeightsError`]. Files are mapped into memory and tensors
//! read one at a time, so that reading a model needs little more than its parameters.

mod archive;
mod bytes;
mod convert;
mod dtype;
mod error;
mod file;
mod legacy;
mod names;
mod pickle;
mod pickled;
mod plain;
mod shards;
mod stored;
mod tensor;
mod torch;
mod value;

pub use dtype::DType;
pub use error::WeightsError;
pub use file::{Format, WeightFile};
pub use shards::WEIGHT_FILES;
pub use tensor::TensorInfo;
pub use value::Value;
