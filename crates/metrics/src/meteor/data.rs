//! Reads METEOR's data from a folder like the one in pycocoevalcap's wheel.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::thread::scope;

use flate2::bufread::MultiGzDecoder;
use zip::ZipArchive;

use super::Meteor;
use super::ahead::Ahead;
use super::normalize::Normalizer;
use super::paraphrases::{Paraphrases, Phrases};
use super::synonyms::Synonyms;
use crate::MetricsError;

impl Meteor {
    /// Reads the data of a folder with `meteor-1.5.jar` and `data/paraphrase-en.gz`.
    ///
    /// # Errors
    /// [`MetricsError::MeteorData`] for a file that is missing or not what it should be.
    pub fn load(folder: &Path) -> Result<Self, MetricsError> {
        let jar = folder.join("meteor-1.5.jar");
        let failed = |reason: String| data_error(&jar, reason);
        let file = File::open(&jar).map_err(|error| failed(error.to_string()))?;
        let mut archive =
            ZipArchive::new(BufReader::new(file)).map_err(|error| failed(error.to_string()))?;
        let mut text = |name: &str| {
            let mut text = String::new();
            let mut entry = archive.by_name(name).map_err(|e| failed(format!("{name}: {e}")))?;
            entry.read_to_string(&mut text).map_err(|e| failed(format!("{name}: {e}")))?;
            Ok(text)
        };
        let function_words = text("function/english.words")?;
        let prefixes = text("nonbreaking/english.prefixes")?;
        let exceptions = text("synonym/english.exceptions")?;
        let synsets = text("synonym/english.synsets")?;
        let synonyms = Synonyms::new(&synsets, &exceptions).map_err(|line| {
            failed(format!("line {line} of synonym/english.synsets has no numbers of sets"))
        })?;
        let table = folder.join("data").join("paraphrase-en.gz");
        File::open(&table).map_err(|error| data_error(&table, error.to_string()))?;
        Ok(Self {
            table,
            normalizer: Normalizer::new(&prefixes),
            function_words: function_words.lines().map(str::to_string).collect(),
            synonyms,
        })
    }

    pub(super) fn paraphrases(&self, captions: &Phrases) -> Result<Paraphrases, MetricsError> {
        let read = || {
            let file = BufReader::with_capacity(1 << 16, File::open(&self.table)?);
            // Unpacking takes as long as searching.
            scope(|scope| Paraphrases::read(Ahead::of(scope, MultiGzDecoder::new(file)), captions))
        };
        read().map_err(|error| data_error(&self.table, error.to_string()))
    }
}

fn data_error(file: &Path, reason: String) -> MetricsError {
    MetricsError::MeteorData { file: file.to_path_buf(), reason }
}
