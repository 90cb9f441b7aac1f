//! Records as they are found: entries of one image are joined.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{CaptionFile, CaptionText, Format, ReadOptions, Record};
use crate::DataError;
use crate::json::parse;

/// What can be wrong with one entry among many.
pub(super) type Entry = Result<Record, String>;

pub(super) struct Records {
    path: PathBuf,
    lenient: bool,
    words_only: bool,
    records: Vec<Record>,
    places: HashMap<String, usize>,
    passed_over: Passed,
    pub lone_surrogates: usize,
    pub decoding: Option<serde_json::Value>,
    /// Further sentences for the notes.
    pub notes: Vec<String>,
}

#[derive(Default)]
struct Passed {
    count: usize,
    first: String,
}

impl Records {
    pub fn new(path: &Path, options: &ReadOptions) -> Self {
        Self {
            path: path.to_path_buf(),
            lenient: options.lenient,
            words_only: options.words_only,
            records: Vec::new(),
            places: HashMap::new(),
            passed_over: Passed::default(),
            lone_surrogates: 0,
            decoding: None,
            notes: Vec::new(),
        }
    }

    /// Takes over the records of another one, which has nothing else.
    pub fn take(&mut self, other: Self) {
        (self.records, self.places) = (other.records, other.places);
    }

    /// Adds an entry that stands at `place`.
    pub fn add(&mut self, entry: Entry, place: impl FnOnce() -> String) -> Result<(), DataError> {
        let problem = match entry.and_then(|record| self.join(record)) {
            Ok(()) => return Ok(()),
            Err(problem) => format!("{}: {problem}", place()),
        };
        if !self.lenient {
            return Err(DataError::file(&self.path, problem));
        }
        if self.passed_over.count == 0 {
            self.passed_over.first = problem;
        }
        self.passed_over.count += 1;
        Ok(())
    }

    /// Adds an image that must occur once.
    pub fn add_once(
        &mut self,
        entry: Entry,
        place: impl FnOnce() -> String,
    ) -> Result<(), DataError> {
        let entry = entry.and_then(|record| match self.places.contains_key(&key(&record.name)) {
            true => Err(format!(
                "image `{}` occurs twice: give every image a name of its own",
                record.name
            )),
            false => Ok(record),
        });
        self.add(entry, place)
    }

    fn join(&mut self, mut record: Record) -> Result<(), String> {
        if self.words_only {
            record.captions.iter_mut().for_each(CaptionText::keep_words);
        }
        if record.name.trim().is_empty() {
            return Err("an image has an empty name".into());
        }
        let Some(&place) = self.places.get(&key(&record.name)) else {
            self.places.insert(key(&record.name), self.records.len());
            self.records.push(record);
            return Ok(());
        };
        let own = &mut self.records[place];
        if let (Some(one), Some(other)) = (&own.split, &record.split)
            && one != other
        {
            return Err(format!("image `{}` is in the splits `{one}` and `{other}`", own.name));
        }
        own.split = own.split.take().or(record.split);
        for alias in record.aliases {
            if !own.aliases.contains(&alias) {
                own.aliases.push(alias);
            }
        }
        own.captions.extend(record.captions);
        own.alt_texts.extend(record.alt_texts);
        Ok(())
    }

    /// The place of an image that was added under this very name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(&key(name)).copied()
    }

    pub fn record(&mut self, place: usize) -> &mut Record {
        &mut self.records[place]
    }

    pub fn finish(mut self, format: Format) -> Result<CaptionFile, DataError> {
        let Passed { count, first } = &self.passed_over;
        if *count > 0 {
            let more =
                if *count == 1 { String::new() } else { format!(" ({count} entries in all)") };
            self.notes.push(format!("passed over: {first}{more}"));
        }
        if self.lone_surrogates > 0 {
            let n = self.lone_surrogates;
            self.notes.push(format!(
                "{n} halves of surrogate pairs (such as \\ud83d alone) were read as U+FFFD"
            ));
        }
        if self.records.iter().all(|record| record.captions.is_empty()) {
            let problem = match self.notes.first() {
                Some(note) => format!("holds no captions that can be read; {note}"),
                None => "holds no captions".into(),
            };
            return Err(DataError::file(&self.path, problem));
        }
        self.records.shrink_to_fit();
        Ok(CaptionFile {
            path: self.path,
            format,
            records: self.records,
            notes: self.notes,
            decoding: self.decoding,
        })
    }
}

/// What entries of one image have in common.
fn key(name: &str) -> String {
    match name.contains(['\\', '/']) {
        true => crate::names::whole(name),
        false => name.to_string(),
    }
}

/// The captions in a cell or a value: text, or a JSON list of texts.
pub(super) fn texts_in_cell(cell: &str) -> Result<Vec<CaptionText>, String> {
    let inside = cell.trim();
    if !inside.starts_with("[\"") && !inside.starts_with("['") {
        return Ok(vec![CaptionText::new(cell)]);
    }
    match parse::<Vec<String>>(inside) {
        Ok(texts) => Ok(texts.into_iter().map(CaptionText::new).collect()),
        Err(_) => Err(format!(
            "the caption {} looks like a list and is none in JSON: write lists with json.dumps",
            shortened(inside)
        )),
    }
}

/// The beginning of a long text, in quotes for a message.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("`{}...`", &text[..end]),
        None => format!("`{text}`"),
    }
}
