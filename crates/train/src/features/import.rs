//! Features that other programs computed: a folder with one NumPy file for each image.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::build::Rows;
use super::{FeatureStore, GridType, Header};
use crate::TrainError;
use crate::data::Dataset;
use crate::npy::NpyReader;
use crate::progress::Progress;

/// The array in an `.npz` file.
const KEY: &str = "feat.npy";

impl FeatureStore {
    /// Puts the files of `from` together as the grids of a data set's images: `ID.npz` with an
    /// array `feat`, or `ID.npy`, of shape `[P, D]`, `[rows, columns, D]` or `[D]`, which is a grid
    /// of one position. The ID is an image's file name without ending, or the number at its end:
    /// `COCO_val2014_000000000042.jpg` finds `42.npz`. An import that was killed goes on.
    ///
    /// # Errors
    /// An image without a file, a file of another shape than the first.
    pub fn import(
        dir: &Path,
        dataset: &Dataset,
        from: &Path,
        grid_type: GridType,
    ) -> Result<Self, TrainError> {
        let files = files(from)?;
        let file = |name: &str| {
            let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
            let start = stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            let number = stem[start..].trim_start_matches('0');
            files.get(&*stem).or_else(|| files.get(number)).ok_or_else(|| {
                let problem = format!(
                    "has no {stem}.npz or {stem}.npy, nor one of its number, for the image {name}"
                );
                TrainError::file(from, problem)
            })
        };
        let images: Vec<String> = dataset.images.iter().map(|image| image.name.clone()).collect();
        let paths: Vec<&PathBuf> =
            images.iter().map(|name| file(name)).collect::<Result<_, _>>()?;
        let first = paths.first().ok_or_else(|| TrainError::file(from, "is for no images"))?;
        let (grid, _) = read(first)?;
        let weights = String::new();
        let header = Header { grid, embedding: 0, grid_type, weights, images };
        if let Some(mut rows) = Rows::begin(dir, &header)? {
            let mut progress = Progress::new("features", rows.done, paths.len());
            for path in &paths[rows.done..] {
                let (found, values) = read(path)?;
                if found != grid {
                    let problem = format!(
                        "holds features of shape {found:?}, but {} of {grid:?}",
                        first.display()
                    );
                    return Err(TrainError::file(path, problem));
                }
                rows.push(&values, &[])?;
                progress.set(rows.done, String::new);
            }
            progress.finish("");
            rows.finish()?;
        }
        Self::open(dir, dataset)
    }
}

/// The NumPy files of a folder by their names without ending.
fn files(dir: &Path) -> Result<HashMap<String, PathBuf>, TrainError> {
    let mut files = HashMap::new();
    for entry in fs::read_dir(dir).map_err(TrainError::io("read", dir))? {
        let path = entry.map_err(TrainError::io("read", dir))?.path();
        if let (Some(stem), Some("npy" | "npz")) =
            (path.file_stem(), path.extension().and_then(|ending| ending.to_str()))
        {
            files.insert(stem.to_string_lossy().into_owned(), path);
        }
    }
    Ok(files)
}

/// Shape `[P, D]` and values of one file.
fn read(path: &Path) -> Result<([usize; 2], Vec<f32>), TrainError> {
    let file = File::open(path).map_err(TrainError::io("read", path))?;
    let (shape, values) = if path.extension().is_some_and(|ending| ending == "npz") {
        let wrong = |error| {
            let problem = format!("is no .npz file with an array `feat`: {error}");
            TrainError::file(path, problem)
        };
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(wrong)?;
        let mut array = NpyReader::new(archive.by_name(KEY).map_err(wrong)?, path)?;
        (array.shape().to_vec(), array.read_all()?)
    } else {
        let mut array = NpyReader::open(path)?;
        (array.shape().to_vec(), array.read_all()?)
    };
    let (d, positions) = shape.split_last().map_or((0, &[][..]), |(d, rest)| (*d, rest));
    let grid = [positions.iter().product(), d];
    if positions.len() > 2 || values.is_empty() {
        let problem =
            format!("has the shape {shape:?}, but a grid [P, D] or [rows, columns, D] is needed");
        return Err(TrainError::file(path, problem));
    }
    Ok((grid, values))
}
