//! Webdataset's shards: tar files of pictures with captions beside them.

mod braces;
mod sample;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use braces::expand;
pub use sample::{Member, Sample};
use tar::{Archive, EntryType};

use crate::DataError;

/// Whether `path` names shards: by its ending, with or without braces.
pub fn is_shards(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    [".tar", ".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending))
}

/// Reads the samples of a shard in order, stepping over pictures without reading them.
///
/// # Errors
/// [`DataError`] of a shard that can't be read, is none, or is cut short; those of `each`.
pub fn each_sample(
    shard: &Path,
    mut each: impl FnMut(Sample) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut file = File::open(shard).map_err(DataError::io("read", shard))?;
    let mut magic = Vec::with_capacity(2);
    file.by_ref().take(2).read_to_end(&mut magic).map_err(DataError::io("read", shard))?;
    if magic == [0x1f, 0x8b] {
        let problem =
            "is a packed shard, in which pictures can't be found again: unpack it with gunzip";
        return Err(DataError::file(shard, problem));
    }
    let length = file.metadata().map_err(DataError::io("read", shard))?.len();
    let file = File::open(shard).map_err(DataError::io("read", shard))?;
    let damaged = |error: std::io::Error| {
        DataError::file(shard, format!("is no tar file, or damaged: {error}"))
    };
    let path = Arc::new(shard.to_path_buf());
    let mut archive = Archive::new(BufReader::new(file));
    let mut sample: Option<Sample> = None;
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        if !matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some((key, ending)) = split(&name) else { continue };
        if sample.as_ref().is_none_or(|sample| sample.key != key)
            && let Some(done) = sample.replace(Sample::new(key))
        {
            each(done)?;
        }
        let (start, size) = (entry.raw_file_position(), entry.size());
        if start.checked_add(size).is_none_or(|end| end > length) {
            return Err(DataError::file(shard, format!("is cut short in `{name}`: get it anew")));
        }
        let ending = ending.to_ascii_lowercase();
        let member = Member { shard: path.clone(), name, start, length: size };
        if let Some(sample) = &mut sample {
            sample.add(&ending, member).map_err(|problem| DataError::file(shard, problem))?;
        }
    }
    sample.map_or(Ok(()), each)
}

/// A member's name up to the first point behind the last folder, and what is behind it. Hidden files
/// belong to no sample.
fn split(name: &str) -> Option<(&str, &str)> {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    let point = file + name[file..].find('.')?;
    (point > file).then(|| (&name[..point], &name[point + 1..]))
}

/// Shards in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shards {
    /// The files.
    pub paths: Vec<PathBuf>,
}

impl Shards {
    /// The shards that `pattern` stands for, all of which must be there.
    ///
    /// # Errors
    /// Braces that are not closed, are empty or count down; [`DataError::Io`] with the first that is missing.
    pub fn find(pattern: &Path) -> Result<Self, DataError> {
        let paths = expand(pattern)?;
        for path in &paths {
            File::open(path).map_err(DataError::io("read", path))?;
        }
        Ok(Self { paths })
    }
}
