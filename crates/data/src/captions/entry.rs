//! One JSON object about an image, whatever its keys are called.

use serde::de::IgnoredAny;

use super::records::Entry;
use super::sentence::Sentence;
use super::{CaptionText, Record};
use crate::Columns;
use crate::json::{fields, parse};
use crate::keys::Role;

/// Longer names are something else, as pictures in base64.
const MAX_NAME: usize = 4096;

/// The fields of an object, as they are found.
#[derive(Default)]
pub(super) struct EntryFields {
    /// Names by rank.
    names: Vec<(usize, String)>,
    /// The key and the value of counters, by rank.
    counters: Vec<(usize, String, String)>,
    /// Karpathy's two halves of a path.
    filename: Option<String>,
    filepath: Option<String>,
    captions: Vec<Captions>,
    pub split: Option<String>,
    alt_texts: Vec<String>,
    pub decoding: Option<serde_json::Value>,
    problem: Option<String>,
    seen: Vec<String>,
}

struct Captions {
    rank: usize,
    key: String,
    texts: Result<Vec<CaptionText>, String>,
}

/// Ranks of keys that hold captions and nothing else; see [`Role`].
pub(super) const CERTAIN: usize = 4;

impl EntryFields {
    pub fn parse(value: &str, columns: &Columns) -> Result<Self, String> {
        if !value.starts_with('{') {
            return Err("must be an object with `image_id` and `caption`".into());
        }
        let mut entry = Self::default();
        for (key, value) in fields(value)? {
            entry.add(&key, value, columns);
        }
        Ok(entry)
    }

    /// Adds a field; what is wrong with it is said when the whole is asked for.
    pub fn add(&mut self, key: &str, value: &str, columns: &Columns) {
        let role = Role::of(key, columns);
        if role == Role::Other {
            if let Err(problem) = parse::<IgnoredAny>(value) {
                self.problem.get_or_insert(format!("`{key}` is not JSON: {problem}"));
            }
            return;
        }
        if self.seen.iter().any(|seen| seen == key) {
            self.problem = Some(format!("`{key}` occurs twice"));
        }
        self.seen.push(key.to_string());
        if value == "null" {
            return;
        }
        match role {
            Role::Image(_) | Role::Counter(_) => match name_of(value) {
                Some(name) => self.put_name(role, key, name),
                None if matches!(role, Role::Image(_)) => {
                    self.problem.get_or_insert(format!("`{key}` must be text or a number"));
                }
                None => {}
            },
            Role::Caption(rank) => self.put_captions(rank, key, captions(value, None)),
            Role::Split => match parse(value) {
                Ok(split) => self.split = Some(split),
                Err(_) => self.problem = Some(format!("`{key}` must be text")),
            },
            Role::AltTexts => match parse(value) {
                Ok(texts) => self.alt_texts = texts,
                Err(_) => self.problem = Some(format!("`{key}` must be a list of texts")),
            },
            Role::Decoding => self.decoding = parse(value).ok(),
            Role::Other => {}
        }
    }

    pub fn put_name(&mut self, role: Role, key: &str, name: String) {
        match role {
            Role::Counter(rank) => self.counters.push((rank, key.to_string(), name)),
            Role::Image(rank) => {
                match key {
                    "filename" => self.filename = Some(name.clone()),
                    "filepath" => self.filepath = Some(name.clone()),
                    _ => {}
                }
                self.names.push((rank, name));
            }
            _ => {}
        }
    }

    pub fn put_captions(
        &mut self,
        rank: usize,
        key: &str,
        texts: Result<Vec<CaptionText>, String>,
    ) {
        self.captions.push(Captions { rank, key: key.to_string(), texts });
    }

    /// Whether these are fields of an image with captions, and not captions by name.
    pub fn is_entry(&self) -> bool {
        let named = !self.names.is_empty() || !self.counters.is_empty() || self.problem.is_some();
        named && !self.captions.is_empty()
    }

    /// COCO's number of an image in its list of images.
    pub fn id(&self) -> Option<String> {
        let id = self.counters.iter().find(|(_, key, _)| key == "id");
        id.map(|(_, _, value)| value.clone())
    }

    pub fn without_counters(mut self) -> Self {
        self.counters.clear();
        self
    }

    /// The captions, taken out; `None` where no key holds any.
    pub fn take_captions(&mut self) -> Option<Result<Vec<CaptionText>, String>> {
        let mut captions = std::mem::take(&mut self.captions);
        captions.sort_by_key(|captions| captions.rank);
        if let [first, second, ..] = &captions[..]
            && (first.rank < CERTAIN) == (second.rank < CERTAIN)
        {
            return Some(Err(either(&first.key, &second.key)));
        }
        captions.into_iter().next().map(|captions| captions.texts)
    }

    /// The image with its captions; without a name it is called `unnamed`.
    pub fn record(mut self, unnamed: Option<String>) -> Entry {
        let captions = self.take_captions();
        let record = self.image(unnamed)?;
        let captions = captions.unwrap_or_else(|| Err("`caption` is missing or null".into()));
        match captions {
            Ok(captions) => Ok(Record { captions, ..record }),
            Err(problem) => Err(format!("image `{}`: {problem}", record.name)),
        }
    }

    /// The image alone; without a name it is called `unnamed`.
    pub fn image(mut self, unnamed: Option<String>) -> Entry {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        self.names.sort_by_key(|(rank, _)| *rank);
        let mut names: Vec<String> = self.names.into_iter().map(|(_, name)| name).collect();
        if let (Some(folder), Some(file)) = (self.filepath, self.filename) {
            names.retain(|name| *name != folder);
            names.retain(|name| *name != file);
            // An empty folder is none.
            let whole = if folder.is_empty() { file.clone() } else { format!("{folder}/{file}") };
            names.splice(0..0, [whole, file]);
        }
        names.retain(|name| name.len() <= MAX_NAME);
        if names.is_empty() {
            self.counters.sort_by_key(|(rank, _, _)| *rank);
            names.extend(self.counters.into_iter().map(|(_, _, name)| name).take(1));
        }
        names.extend(unnamed.filter(|_| names.is_empty()));
        let mut unique: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            if !unique.contains(&name) {
                unique.push(name);
            }
        }
        if unique.is_empty() {
            return Err("no `image_id`, `image`, `filename` or other usual name of an image".into());
        }
        let name = unique.remove(0);
        let (split, alt_texts) = (self.split, self.alt_texts);
        Ok(Record { aliases: unique, split, alt_texts, ..Record::named(name) })
    }
}

/// The captions of an object that says nothing else that matters, as those beside the pictures of a
/// shard.
pub(crate) fn captions_in_object(
    value: &str,
    columns: &Columns,
) -> Result<Vec<CaptionText>, String> {
    let mut entry = EntryFields::parse(value.trim(), columns)?;
    entry.take_captions().unwrap_or_else(|| Err("`caption` is missing or null".into()))
}

/// What is said of two keys or columns that may both hold the captions.
pub(super) fn either(first: &str, second: &str) -> String {
    format!(
        "either of `{first}` and `{second}` may hold the captions: say which, as with --columns \
         caption={first}"
    )
}

/// The captions that a value holds: a text, or a list of texts or sentences. They must be those of
/// `image`, if a sentence says what it is about.
pub(super) fn captions(value: &str, image: Option<&str>) -> Result<Vec<CaptionText>, String> {
    let wrong = "captions must be text or a list of texts";
    match value.as_bytes().first() {
        Some(b'"') => Ok(vec![CaptionText::new(parse::<String>(value)?)]),
        Some(b'[') => {
            let sentences: Vec<Sentence> =
                parse(value).map_err(|problem| format!("{wrong} ({problem})"))?;
            let stranger = sentences.iter().find_map(|sentence| {
                sentence.image.as_ref().filter(|own| image.is_some_and(|image| image != *own))
            });
            match stranger {
                Some(other) => Err(format!("it holds a caption of image `{other}`")),
                None => Ok(sentences.into_iter().map(|sentence| sentence.caption).collect()),
            }
        }
        _ => Err(wrong.into()),
    }
}

/// A name that is text or a number. Whole numbers are written alike, whether as 7 or as 7.0.
pub(super) fn name_of(value: &str) -> Option<String> {
    match value.as_bytes().first()? {
        b'"' => parse(value).ok(),
        b'-' | b'0'..=b'9' => {
            let whole = match value.contains(['.', 'e', 'E']) {
                true => value
                    .parse::<f64>()
                    .ok()
                    .filter(|n| n.fract() == 0.0 && n.abs() < 2f64.powi(53)),
                false => None,
            };
            match whole {
                // Not -0.
                Some(number) => Some((number as i64).to_string()),
                None => Some(value.to_string()),
            }
        }
        _ => None,
    }
}
