//! Captions and the images of a data set that they are about.

use std::path::Path;

use anyhow::{Result, bail};
use finecap::data::{CaptionFile, DataError, Names};

/// A data set that captions are compared with.
pub struct Targets<'a> {
    pub file: &'a Path,
    /// The name of each image that is shown.
    pub shown: Vec<&'a str>,
    pub names: &'a Names,
    /// Whether what only one side has is left out, instead of being an error.
    pub allow_missing: bool,
    /// What else may help where the data set has more images.
    pub hint: &'static str,
}

impl Targets<'_> {
    /// The captions of a file with the places of their images, in the order of the data set.
    ///
    /// # Errors
    /// Images with no or several captions, names that could mean two images, and, unless it is
    /// allowed, images that one side lacks.
    pub fn matched(&self, candidates: CaptionFile) -> Result<Vec<(usize, String)>> {
        candidates.check_single()?;
        let file = candidates.path.display().to_string();
        let places =
            candidates.names().pair(self.names).map_err(DataError::name(&candidates.path))?;
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for (record, place) in candidates.records.into_iter().zip(places) {
            match (place, record.captions.into_iter().next()) {
                (Some(place), Some(caption)) => found.push((place, caption.raw)),
                _ => unknown.push(record.name),
            }
        }
        found.sort_by_key(|(place, _)| *place);
        let mut present = vec![false; self.shown.len()];
        found.iter().for_each(|(place, _)| present[*place] = true);
        let absent = self.shown.iter().zip(&present).filter(|(_, present)| !**present);
        let absent: Vec<&str> = absent.map(|(name, _)| *name).collect();
        if self.allow_missing {
            if found.is_empty() {
                bail!("{file}: none of its images has references in {}", self.file.display());
            }
            if !unknown.is_empty() || !absent.is_empty() {
                eprintln!(
                    "note: {} of {} images are scored; without references: {}, without a caption in {file}: {}",
                    found.len(),
                    self.shown.len() + unknown.len(),
                    unknown.len(),
                    absent.len(),
                );
            }
        } else {
            let remedy = "score what both files have with --allow-missing";
            if let Some(image) = unknown.first() {
                bail!(
                    "{file}: image `{image}` ({} in all) has no references in {}: {remedy}",
                    unknown.len(),
                    self.file.display()
                );
            }
            if let Some(image) = absent.first() {
                bail!(
                    "{file}: image `{image}` of {} ({} in all) has no caption: {remedy}{}",
                    self.file.display(),
                    absent.len(),
                    self.hint
                );
            }
        }
        let empty = found.iter().filter(|(_, caption)| caption.trim().is_empty());
        let empty: Vec<&str> = empty.map(|(place, _)| self.shown[*place]).collect();
        if let Some(image) = empty.first() {
            eprintln!(
                "note: {file}: captions without words: {}, as that of `{image}`",
                empty.len()
            );
        }
        Ok(found)
    }
}
