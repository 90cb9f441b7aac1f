//! A folder of pictures with a text file beside each.

use std::fs;
use std::path::Path;

use super::records::Records;
use super::{CaptionText, Record};
use crate::DataError;
use crate::input::Input;
use crate::names::without_picture_ending;

/// Deeper folders are not looked into, so that links that go round end.
const MAX_DEPTH: usize = 16;

/// Every line of `7.txt` that is not blank is a caption of `7.jpg`.
pub(super) fn read(dir: &Path) -> Result<Records, DataError> {
    let mut records = Records::new(dir, false);
    let mut without = Vec::new();
    let mut pictures = Vec::new();
    list(dir, String::new(), 0, &mut pictures)?;
    pictures.sort();
    for name in pictures {
        let text = dir.join(format!("{}.txt", without_picture_ending(&name)));
        let mut captions = Vec::new();
        if text.is_file() {
            let mut input = Input::open(&text)?;
            let mut line = Vec::new();
            while input.line(&mut line)? {
                let caption = input.text(&line)?;
                if !caption.trim().is_empty() {
                    captions.push(CaptionText::new(caption));
                }
            }
        } else {
            without.push(name);
            continue;
        }
        records.add(Ok(Record { captions, ..Record::named(name.clone()) }), || name)?;
    }
    if let Some(first) = without.first() {
        let n = without.len();
        records.notes.push(format!("{n} pictures have no .txt beside them, as {first}: left out"));
    }
    Ok(records)
}

fn list(dir: &Path, below: String, depth: usize, found: &mut Vec<String>) -> Result<(), DataError> {
    for entry in fs::read_dir(dir).map_err(DataError::io("read", dir))? {
        let entry = entry.map_err(DataError::io("read", dir))?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            if depth < MAX_DEPTH {
                list(&entry.path(), format!("{name}/"), depth + 1, found)?;
            }
        } else if without_picture_ending(&name).len() < name.len() {
            found.push(name);
        }
    }
    Ok(())
}
