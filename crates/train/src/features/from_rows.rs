//! Stores of features that the caller has, from anywhere.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use finecap_captioner::FeatureSpec;
use finecap_files::{write_folder, write_json};

use super::rows::encode;
use super::{Bytes, FeatureStore, GridType, Header};
use crate::TrainError;

impl FeatureStore {
    /// Writes a store of rows `(name, values)` to the folder `dir`: the name of an image and the
    /// `P · D` values of its grid, position by position. The folder appears whole or not at all,
    /// and rows are not kept in memory.
    ///
    /// `spec` says what the features are, and is compared with that of every captioner that is to
    /// read them; [`FeatureSpec::unknown`] says nothing but the shape `[P, D]`.
    ///
    /// # Errors
    /// The first error of `rows`; a folder that is there already, two rows of one name, a row of
    /// another length or with numbers that are not finite or too large for `grid_type`, a full
    /// disk.
    ///
    /// # Examples
    /// ```
    /// use finecap_captioner::{FeatureSource, FeatureSpec};
    /// use finecap_train::{FeatureStore, GridType, TrainError};
    ///
    /// # fn main() -> Result<(), TrainError> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let dir = dir.path().join("features");
    /// let spec = FeatureSpec {
    ///     weights: Some("my-encoder-3".into()),
    ///     ..FeatureSpec::unknown(FeatureSource::Program, [2, 3])
    /// };
    /// let rows = (0..5).map(|i| Ok::<_, TrainError>((format!("{i}.jpg"), vec![i as f32; 6])));
    /// let store = FeatureStore::from_rows(&dir, spec, GridType::F16, rows)?;
    /// assert_eq!((store.len(), store.grid()), (5, [2, 3]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_rows<E: From<TrainError>>(
        dir: &Path,
        spec: FeatureSpec,
        grid_type: GridType,
        rows: impl IntoIterator<Item = Result<(String, Vec<f32>), E>>,
    ) -> Result<Self, E> {
        if dir.exists() {
            let problem = "exists already: open it as a store, or name another folder";
            return Err(TrainError::file(dir, problem).into());
        }
        let mut header = Header { features: spec, embedding: 0, grid_type, images: Vec::new() };
        // The error of `rows`, which a folder's writer cannot carry.
        let mut of_rows = None;
        let written = write_folder(dir, |new| {
            let path = grid_type.file(new);
            let file = File::create(&path).map_err(TrainError::io("create", &path))?;
            let mut file = BufWriter::new(file);
            for row in rows {
                let (name, values) = match row {
                    Ok(row) => row,
                    Err(error) => {
                        of_rows = Some(error);
                        return Err(TrainError::file(dir, "was not finished"));
                    }
                };
                let bytes = encode(&header, &name, &values, &[])
                    .map_err(|problem| TrainError::file(dir, problem))?;
                file.write_all(&bytes).map_err(TrainError::io("write", &path))?;
                header.images.push(name);
            }
            file.flush().map_err(TrainError::io("write", &path))?;
            check(&header).map_err(|problem| TrainError::file(dir, problem))?;
            Ok(write_json(&Header::path(new), &header)?)
        });
        match (of_rows, written) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(())) => Ok(Self::open_all(dir)?),
        }
    }

    /// The same in memory, as float32.
    ///
    /// # Errors
    /// Those of [`from_rows`](Self::from_rows), but for folders and disks.
    pub fn in_memory<E: From<TrainError>>(
        spec: FeatureSpec,
        rows: impl IntoIterator<Item = Result<(String, Vec<f32>), E>>,
    ) -> Result<Self, E> {
        let grid_type = GridType::F32;
        let mut header = Header { features: spec, embedding: 0, grid_type, images: Vec::new() };
        let mut bytes = Vec::new();
        let wrong = |problem: String| TrainError::setting("features", problem);
        for row in rows {
            let (name, values) = row?;
            bytes.extend(encode(&header, &name, &values, &[]).map_err(wrong)?);
            header.images.push(name);
        }
        check(&header).map_err(wrong)?;
        Ok(Self::of_all(header, Bytes::Memory(bytes)))
    }
}

fn check(header: &Header) -> Result<(), String> {
    if header.images.is_empty() {
        return Err("there are no rows of features".into());
    }
    header.check()
}
