//! Features that other programs computed: a folder with one NumPy file for each image.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use finecap_captioner::{FeatureSource, FeatureSpec};
use finecap_data::Names;
use zip::ZipArchive;

use super::rows::{Rows, encode};
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
    /// of one position. Files may lie in folders below. Which file is of which image is decided by
    /// [`Names`], so that `COCO_val2014_000000000042.jpg` finds `42.npz`; every image has a file of
    /// its own. Returns also the files that are of no image.
    ///
    /// An import that was killed goes on. What is there already, all of it in a finished store, is
    /// compared with the files, number by number.
    ///
    /// # Errors
    /// An image without a file or that could have two, a file of another shape than the first or
    /// with numbers that are not finite, a store that was made from other files or otherwise.
    pub fn import(
        dir: &Path,
        dataset: &Dataset,
        from: &Path,
        grid_type: GridType,
    ) -> Result<(Self, Vec<PathBuf>), TrainError> {
        let images: Vec<String> = dataset.images.iter().map(|image| image.name.clone()).collect();
        let (paths, unused) = files_of(from, &images)?;
        let first = paths.first().ok_or_else(|| TrainError::file(from, "is for no images"))?;
        let (grid, _) = read(first)?;
        let read = |path: &Path| {
            let (found, values) = read(path)?;
            if found == grid {
                return Ok(values);
            }
            let problem =
                format!("holds features of shape {found:?}, but {} of {grid:?}", first.display());
            Err(TrainError::file(path, problem))
        };
        let features = FeatureSpec::unknown(FeatureSource::Files, grid);
        let header = Header { features, embedding: 0, grid_type, images };
        let encoded = |image: &str, path: &Path| {
            let encoded = encode(&header, image, &read(path)?, &[]);
            encoded.map_err(|problem| TrainError::file(path, problem))
        };
        let other = |image: &str, path: &Path| {
            let problem = format!(
                "was made from other files: its features of {image} are not those of {}; delete \
                 the folder, or name another one",
                path.display()
            );
            TrainError::file(dir, problem)
        };
        let Some(mut rows) = Rows::begin(dir, &header)? else {
            let store = Self::open(dir, dataset)?;
            for (row, (path, image)) in paths.iter().zip(&header.images).enumerate() {
                if store.row(row) != encoded(image, path)? {
                    return Err(other(image, path));
                }
            }
            return Ok((store, unused));
        };
        let mut progress = Progress::new("features", 0, paths.len());
        let done = rows.done();
        for (row, (path, image)) in paths.iter().zip(&header.images).enumerate() {
            let encoded = encoded(image, path)?;
            if row >= done {
                rows.push(&encoded)?;
            } else if rows.read(row)? != encoded {
                return Err(other(image, path));
            }
            progress.set(row + 1, String::new);
        }
        progress.finish("");
        rows.finish()?;
        Ok((Self::open(dir, dataset)?, unused))
    }
}

/// The file of each image, and the files of none.
fn files_of(from: &Path, images: &[String]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), TrainError> {
    let mut files = Vec::new();
    find(from, &mut files)?;
    files.sort();
    let names: Vec<String> = files.iter().map(|path| name(from, path)).collect();
    let mut seen = HashMap::new();
    for (name, path) in names.iter().zip(&files) {
        if let Some(other) = seen.insert(name, path) {
            let problem =
                format!("is of the image {name}, as is {}: keep one of them", other.display());
            return Err(TrainError::file(path, problem));
        }
    }
    let index = Names::new(names.iter().map(String::as_str));
    let found = Names::new(images.iter().map(String::as_str)).pair(&index);
    let found = found.map_err(|clash| TrainError::file(from, clash.to_string()))?;
    let lacking = found.iter().filter(|file| file.is_none()).count();
    if let Some(image) = found.iter().position(Option::is_none) {
        let (image, total) = (&images[image], images.len());
        let problem = format!(
            "has no file for {lacking} of {total} images, the first of which is {image}: it needs \
             one named after the whole name of the image or its number in COCO, with the ending \
             .npz or .npy"
        );
        return Err(TrainError::file(from, problem));
    }
    let used: Vec<usize> = found.into_iter().flatten().collect();
    let mut unused: Vec<bool> = vec![true; files.len()];
    used.iter().for_each(|&file| unused[file] = false);
    let of_images = used.iter().map(|&file| files[file].clone()).collect();
    let of_none = files.into_iter().zip(unused).filter_map(|(path, unused)| unused.then_some(path));
    Ok((of_images, of_none.collect()))
}

/// Collects the NumPy files of a folder and of those in it.
fn find(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), TrainError> {
    for entry in fs::read_dir(dir).map_err(TrainError::io("read", dir))? {
        let entry = entry.map_err(TrainError::io("read", dir))?;
        let path = entry.path();
        // Links are not followed into folders, which could go round in circles.
        if entry.file_type().map_err(TrainError::io("read", &path))?.is_dir() {
            find(&path, files)?;
        } else if is_array(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_array(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "npy" || ending == "npz")
}

/// The name of the image that a file says it is of: its path in the folder without the ending.
fn name(from: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(from).unwrap_or(path).with_extension("");
    inside.to_string_lossy().replace('\\', "/")
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
