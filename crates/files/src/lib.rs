//! Files and folders that are written whole or not at all, and locks on folders.
//!
//! Everything that finecap leaves on disk under its final name goes through this crate. A file or
//! folder is made under a temporary name beside its target, flushed to disk, and moved to the
//! target in one step, so that a killed program, a full disk or a power cut leaves what was there
//! before or what is new, never a mixture.
//!
//! ```
//! # fn main() -> Result<(), finecap_files::FilesError> {
//! # let dir = std::env::temp_dir().join(format!("finecap-files-{}", std::process::id()));
//! finecap_files::write_folder(&dir.join("model"), |dir| {
//!     finecap_files::write_text(&dir.join("words.txt"), "a dog\n")
//! })?;
//! assert!(dir.join("model/words.txt").is_file());
//! # std::fs::remove_dir_all(dir).unwrap();
//! # Ok(())
//! # }
//! ```
//!
//! Temporary names begin with a point and hold the process's number: `.model.part-4711-0`. What a
//! killed process has left there is removed by the next one that writes the same target.

mod error;
#[doc(hidden)]
pub mod fault;
mod file;
mod folder;
mod lock;
mod system;
mod temporary;

pub use error::FilesError;
pub use file::{NewFile, write_file, write_json, write_text};
pub use folder::{recover, write_folder};
pub use lock::Lock;
