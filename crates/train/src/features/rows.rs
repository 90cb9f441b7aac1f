//! The rows of a store while it is made.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use finecap_files::{Lock, write_json};
use half::f16;

use super::{GridType, Header};
use crate::TrainError;

/// The unfinished file of a store, to which rows are appended.
pub(super) struct Rows {
    file: File,
    part: PathBuf,
    path: PathBuf,
    /// Bytes of a row.
    row: usize,
    /// Rows that are there.
    done: usize,
    /// No other process makes this store.
    _lock: Lock,
}

impl Rows {
    /// Begins the store of `header` in `dir` or goes on with it; `None` where it is finished.
    ///
    /// # Errors
    /// A store that is not the one of `header`, or unfinished for other images.
    pub fn begin(dir: &Path, header: &Header) -> Result<Option<Self>, TrainError> {
        let json = Header::path(dir);
        header.check().map_err(|problem| TrainError::file(&json, problem))?;
        let path = header.grid_type.file(dir);
        let part = path.with_added_extension("part");
        if json.exists() {
            let found = Header::read(dir)?;
            found.refuse_other(header, dir)?;
            if path.exists() {
                return Ok(None);
            }
            found.refuse_other_images(header, dir)?;
        }
        // Only now, so that what is refused is left as it was.
        let lock = Lock::acquire(dir)?;
        if !json.exists() {
            // Rows without a header are of no one knows what.
            for stray in [&path, &part] {
                if stray.exists() {
                    fs::remove_file(stray).map_err(TrainError::io("remove", stray))?;
                }
            }
            write_json(&json, header)?;
        }
        let file = OpenOptions::new().create(true).read(true).append(true).open(&part);
        let file = file.map_err(TrainError::io("open", &part))?;
        let length = file.metadata().map_err(TrainError::io("read", &part))?.len();
        let row = header.row_bytes();
        // A kill or a full disk may have cut the last row short. More than all rows is nothing that
        // was ever written here: it is not believed.
        let done = if length > header.bytes() { 0 } else { length / row as u64 };
        file.set_len(done * row as u64).map_err(TrainError::io("write", &part))?;
        Ok(Some(Self { file, part, path, row, done: done as usize, _lock: lock }))
    }

    /// Number of rows that are there.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Drops rows at the end, so that a multiple of `batch` is left: the last bits of an embedding
    /// depend on what it is encoded with, and a store that was killed must end as any other.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn keep_batches(&mut self, batch: usize) -> Result<(), TrainError> {
        self.done -= self.done % batch;
        let length = (self.done * self.row) as u64;
        self.file.set_len(length).map_err(TrainError::io("write", &self.part))
    }

    /// The bytes of a row that is there.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn read(&mut self, row: usize) -> Result<Vec<u8>, TrainError> {
        let mut bytes = vec![0; self.row];
        let start = row as u64 * bytes.len() as u64;
        let read =
            self.file.seek(SeekFrom::Start(start)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(TrainError::io("read", &self.part))?;
        Ok(bytes)
    }

    /// Appends the row of the next image, from [`encode`].
    ///
    /// # Errors
    /// [`TrainError::Io`], as of a full disk.
    pub fn push(&mut self, row: &[u8]) -> Result<(), TrainError> {
        self.file.write_all(row).map_err(TrainError::io("write", &self.part))?;
        self.done += 1;
        Ok(())
    }

    /// Flushes the rows to disk and gives their file its name.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn finish(self) -> Result<(), TrainError> {
        self.file.sync_all().map_err(TrainError::io("flush", &self.part))?;
        fs::rename(&self.part, &self.path).map_err(TrainError::io("rename", &self.part))
    }
}

/// The bytes of the row of one image.
///
/// # Errors
/// Not as many numbers as `header` says, and numbers that cannot be kept, naming the image.
pub(super) fn encode(
    header: &Header,
    image: &str,
    grid: &[f32],
    embedding: &[f32],
) -> Result<Vec<u8>, String> {
    let [positions, width] = header.features.grid;
    let wanted = positions * width + header.embedding;
    let found = grid.len() + embedding.len();
    if found != wanted {
        return Err(format!("{image} has {found} numbers where {wanted} are needed"));
    }
    if let Some(odd) = grid.iter().chain(embedding).find(|value| !value.is_finite()) {
        return Err(format!("the features of {image} hold {odd}, which is no finite number"));
    }
    let mut bytes = Vec::with_capacity(header.row_bytes());
    match header.grid_type {
        GridType::F16 => {
            if let Some(large) = grid.iter().find(|value| !f16::from_f32(**value).is_finite()) {
                return Err(format!(
                    "the features of {image} hold {large}, which float16 cannot: use --type f32"
                ));
            }
            bytes.extend(grid.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()));
        }
        GridType::F32 => bytes.extend(grid.iter().flat_map(|value| value.to_le_bytes())),
    }
    bytes.extend(embedding.iter().flat_map(|value| value.to_le_bytes()));
    Ok(bytes)
}
