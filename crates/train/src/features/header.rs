//! What `store.json` holds.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use finecap_captioner::FeatureSpec;
use serde::{Deserialize, Serialize};

use super::GridType;
use crate::TrainError;

/// What to do where a store is not what it should be.
const REMEDY: &str = "delete the folder, or name another one";

/// Everything about a store but the numbers in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// What the features are.
    pub features: FeatureSpec,
    /// Width `E` of the embeddings; 0 where the store is only for seeing.
    pub embedding: usize,
    /// How grids are kept.
    #[serde(rename = "type")]
    pub grid_type: GridType,
    /// Names of the images, row by row.
    pub images: Vec<String>,
}

impl Header {
    /// The header's file in a store's folder.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("store.json")
    }

    /// Reads the header of the store in `dir`.
    ///
    /// # Errors
    /// A file that is missing, damaged or of an earlier version, and what [`check`](Self::check)
    /// refuses.
    pub fn read(dir: &Path) -> Result<Self, TrainError> {
        let path = Self::path(dir);
        let text = fs::read_to_string(&path).map_err(TrainError::io("read", &path))?;
        let header: Self = serde_json::from_str(&text).map_err(|error| {
            let value = serde_json::from_str(&text).unwrap_or(serde_json::Value::Null);
            let problem = match value.get("features").is_none() && value.get("grid").is_some() {
                true => format!(
                    "this feature store was made by an earlier finecap, which did not note how \
                     pictures were prepared: make it anew ({REMEDY})"
                ),
                false => format!("is not what finecap wrote there ({error}): {REMEDY}"),
            };
            TrainError::file(&path, problem)
        })?;
        header
            .check()
            .map_err(|problem| TrainError::file(&path, format!("{problem}: {REMEDY}")))?;
        Ok(header)
    }

    /// Refuses what no store can be: rows without numbers, more numbers than can be counted, and
    /// two images of one name.
    pub fn check(&self) -> Result<(), String> {
        let [positions, width] = self.features.grid;
        let grid = positions.checked_mul(width).and_then(|n| n.checked_mul(self.grid_type.bytes()));
        let row = grid.and_then(|grid| self.embedding.checked_mul(4)?.checked_add(grid));
        let all = row.and_then(|row| row.checked_mul(self.images.len()));
        if all.is_none_or(|all| all > isize::MAX as usize) {
            return Err(format!(
                "{} images with {positions} × {width} and {} numbers are more than can be",
                self.images.len(),
                self.embedding
            ));
        }
        if row == Some(0) {
            return Err("`grid`: there are no numbers in its rows".into());
        }
        let mut seen = HashSet::new();
        match self.images.iter().find(|name| !seen.insert(name.as_str())) {
            Some(twice) => Err(format!("`images`: {twice} stands in it twice")),
            None => Ok(()),
        }
    }

    /// Bytes of a grid. Checked headers do not overflow.
    pub fn grid_bytes(&self) -> usize {
        self.features.grid[0] * self.features.grid[1] * self.grid_type.bytes()
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.grid_bytes() + self.embedding * 4
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> u64 {
        self.images.len() as u64 * self.row_bytes() as u64
    }

    /// Refuses to take this store, in `dir`, for the one of `wanted`: all that differs is named.
    /// The images are not compared.
    pub fn refuse_other(&self, wanted: &Self, dir: &Path) -> Result<(), TrainError> {
        let mut all: Vec<String> = self
            .features
            .differences(&wanted.features)
            .into_iter()
            .map(|d| format!("`{}` is {} in it, but {}", d.field, d.first, d.second))
            .collect();
        if self.grid_type != wanted.grid_type {
            all.push(format!("`type` is {} in it, but {}", self.grid_type, wanted.grid_type));
        }
        if self.embedding != wanted.embedding {
            let (found, wanted) = (self.embedding, wanted.embedding);
            all.push(format!("`embedding` is {found} numbers in it, but {wanted}"));
        }
        if all.is_empty() {
            return Ok(());
        }
        let differences = all.join(" now, ");
        let problem = format!("holds other features than these: {differences} now; {REMEDY}");
        Err(TrainError::file(&Self::path(dir), problem))
    }

    /// Refuses to go on with this unfinished store for the images of `wanted`.
    pub fn refuse_other_images(&self, wanted: &Self, dir: &Path) -> Result<(), TrainError> {
        if self.images == wanted.images {
            return Ok(());
        }
        let both = self.images.iter().zip(&wanted.images);
        let other = both.clone().find(|(found, wanted)| found != wanted);
        let detail = match other {
            Some((found, wanted)) => format!("{found} in it where {wanted} comes now"),
            None => format!("{} in it and {} now", self.images.len(), wanted.images.len()),
        };
        let problem =
            format!("`images`: this unfinished feature store is for others ({detail}); {REMEDY}");
        Err(TrainError::file(&Self::path(dir), problem))
    }
}
