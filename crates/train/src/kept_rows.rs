//! Rows of numbers that survive a stop.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use finecap_files::write_json;
use serde::Serialize;
use serde_json::Value;

use crate::TrainError;
use crate::npy::try_write_npy;

/// Rows of float32 for a file that is not finished: `FILE.part`, and in `FILE.part.json` what they
/// are of, so that another process goes on with the same work and nothing else.
#[derive(Debug)]
pub struct KeptRows {
    file: File,
    part: PathBuf,
    description: PathBuf,
    width: usize,
    rows: usize,
}

impl KeptRows {
    /// Begins rows of `width` numbers for `output`, or with `resume` goes on with those that are
    /// there. `what` describes the work: inputs, model, settings.
    ///
    /// Of rows that are there a multiple of `batch` is kept, because the last bits of a result
    /// depend on what it is computed together with.
    ///
    /// # Errors
    /// [`TrainError::File`] for rows of other work; [`TrainError::Io`].
    pub fn begin(
        output: &Path,
        what: &impl Serialize,
        width: usize,
        batch: usize,
        resume: bool,
    ) -> Result<Self, TrainError> {
        let part = output.with_added_extension("part");
        let description = output.with_added_extension("part.json");
        let wrong = |error: serde_json::Error| TrainError::file(&description, error.to_string());
        let what = serde_json::to_value(what).map_err(wrong)?;
        if let Some(folder) = output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::read_dir(folder).map_err(TrainError::io("write", folder))?;
        }
        let goes_on = resume && part.exists();
        if goes_on {
            let text = fs::read_to_string(&description);
            let text = text.map_err(TrainError::io("read", &description))?;
            if serde_json::from_str::<Value>(&text).ok().as_ref() != Some(&what) {
                let problem = "holds the beginning of other work (other inputs, model or \
                               settings): leave --resume out to begin anew";
                return Err(TrainError::file(&part, problem));
            }
        } else {
            // The description comes first: rows without one are of no one knows what.
            remove(&part)?;
            write_json(&description, &what)?;
        }
        let file = OpenOptions::new().create(true).read(true).append(true).open(&part);
        let file = file.map_err(TrainError::io("open", &part))?;
        let length = file.metadata().map_err(TrainError::io("read", &part))?.len() as usize;
        let rows = length / (4 * width.max(1)) / batch.max(1) * batch.max(1);
        file.set_len((rows * 4 * width) as u64).map_err(TrainError::io("write", &part))?;
        Ok(Self { file, part, description, width, rows })
    }

    /// Number of rows that are there.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends whole rows.
    ///
    /// # Errors
    /// [`TrainError::Io`], as of a full disk.
    pub fn push(&mut self, values: &[f32]) -> Result<(), TrainError> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(TrainError::io("write", &self.part))?;
        self.rows += values.len() / self.width.max(1);
        Ok(())
    }

    /// All rows, one by one.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn each(&mut self) -> Result<impl Iterator<Item = std::io::Result<Vec<f32>>>, TrainError> {
        self.file.seek(SeekFrom::Start(0)).map_err(TrainError::io("read", &self.part))?;
        let mut reader = BufReader::new(&mut self.file);
        let width = self.width;
        Ok((0..self.rows).map(move |_| {
            let mut bytes = vec![0; 4 * width];
            reader.read_exact(&mut bytes)?;
            Ok(bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
        }))
    }

    /// Writes the rows that `keep` wants, by their places, as a `.npy` file.
    ///
    /// # Errors
    /// [`TrainError::Io`], as of a full disk.
    pub fn write_npy(
        &mut self,
        output: &Path,
        keep: impl Fn(usize) -> bool,
    ) -> Result<(), TrainError> {
        let count = (0..self.rows).filter(|&row| keep(row)).count();
        let width = self.width;
        let kept = self.each()?.enumerate().filter(|(row, _)| keep(*row));
        let values = kept.flat_map(|(_, row)| match row {
            Ok(row) => row.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        try_write_npy(output, count, &[width], values)
    }

    /// Removes the files, once what they were for is written.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn remove(self) -> Result<(), TrainError> {
        remove(&self.part)?;
        remove(&self.description)
    }
}

/// What was never begun leaves nothing behind.
impl Drop for KeptRows {
    fn drop(&mut self) {
        if self.rows == 0 {
            let _ = remove(&self.part).and_then(|()| remove(&self.description));
        }
    }
}

fn remove(path: &Path) -> Result<(), TrainError> {
    if !path.exists() {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NpyReader;

    #[test]
    fn rows_go_on_where_they_stopped_and_only_with_the_same_work() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("a.npy");
        let begin = |what: &str, resume| KeptRows::begin(&output, &what, 2, 2, resume);
        let mut rows = begin("x", false).unwrap();
        rows.push(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        rows.push(&[5.0, 6.0]).unwrap();
        drop(rows);
        // A cut row, and one that is no whole batch, are computed again.
        fs::OpenOptions::new()
            .append(true)
            .open(output.with_added_extension("part"))
            .unwrap()
            .write_all(&[1, 2, 3])
            .unwrap();
        let error = begin("y", true).unwrap_err().to_string();
        assert!(error.contains("a.npy.part") && error.contains("other work"), "{error}");
        let mut rows = begin("x", true).unwrap();
        assert_eq!(rows.rows(), 2);
        rows.push(&[7.0, f32::NAN]).unwrap();
        assert_eq!(rows.rows(), 3);
        let values: Vec<f32> = rows.each().unwrap().flat_map(Result::unwrap).collect();
        assert_eq!(values[..5], [1.0, 2.0, 3.0, 4.0, 7.0]);
        assert!(values[5].is_nan());
        rows.write_npy(&output, |row| row != 1).unwrap();
        rows.remove().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(NpyReader::open(&output).unwrap().read_rows(1).unwrap(), [1.0, 2.0]);
        assert_eq!(begin("y", true).unwrap().rows(), 0);
    }
}
