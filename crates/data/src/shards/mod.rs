//! Webdataset's shards: tar files of pictures with captions beside them.

mod braces;
mod sample;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use braces::expand;
use flate2::read::MultiGzDecoder;
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
    let length = file.metadata().map_err(DataError::io("read", shard))?.len();
    file.rewind().map_err(DataError::io("read", shard))?;
    let mut samples = Samples { shard: Arc::new(shard.to_path_buf()), sample: None };
    let damaged = |error| samples_damaged(shard, &error);
    if magic == [0x1f, 0x8b] {
        let mut archive = Archive::new(MultiGzDecoder::new(BufReader::new(file)));
        for entry in archive.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let Some(name) = member_name(&entry) else { continue };
            let is_text =
                [".txt", ".json"].iter().any(|end| name.to_ascii_lowercase().ends_with(end));
            let mut bytes = None;
            if is_text {
                let mut text = Vec::new();
                entry.by_ref().take(MAX_TEXT).read_to_end(&mut text).map_err(damaged)?;
                bytes = Some(text.into());
            }
            samples.add(name, 0, entry.size(), Some(bytes), &mut each)?;
        }
    } else {
        let mut archive = Archive::new(BufReader::new(file));
        for entry in archive.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let Some(name) = member_name(&entry) else { continue };
            let (start, size) = (entry.raw_file_position(), entry.size());
            if start.checked_add(size).is_none_or(|end| end > length) {
                return Err(DataError::file(
                    shard,
                    format!("is cut short in `{name}`: get it anew"),
                ));
            }
            samples.add(name, start, size, None, &mut each)?;
        }
    }
    samples.sample.map_or(Ok(()), each)
}

/// Longer texts in packed shards are no captions.
const MAX_TEXT: u64 = 1 << 20;

fn samples_damaged(shard: &Path, error: &std::io::Error) -> DataError {
    DataError::file(shard, format!("is no tar file, or damaged: {error}"))
}

/// The name of a file; `None` for folders and the like.
fn member_name<R: Read>(entry: &tar::Entry<R>) -> Option<String> {
    let is_file = matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous);
    is_file.then(|| String::from_utf8_lossy(&entry.path_bytes()).into_owned())
}

/// Members of one key after the other, put together.
struct Samples {
    shard: Arc<PathBuf>,
    sample: Option<Sample>,
}

impl Samples {
    fn add(
        &mut self,
        name: String,
        start: u64,
        length: u64,
        packed: Option<Option<Arc<[u8]>>>,
        each: &mut impl FnMut(Sample) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let Some((key, ending)) = split(&name) else { return Ok(()) };
        let ending = ending.to_ascii_lowercase();
        if self.sample.as_ref().is_none_or(|sample| sample.key != key)
            && let Some(done) = self.sample.replace(Sample::new(key))
        {
            each(done)?;
        }
        let shard = self.shard.clone();
        let member = Member { shard, name, start, length, packed };
        match &mut self.sample {
            Some(sample) => {
                sample.add(&ending, member).map_err(|problem| DataError::file(&self.shard, problem))
            }
            None => Ok(()),
        }
    }
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
