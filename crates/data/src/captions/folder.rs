//! A folder of pictures with a text file beside each.

use std::path::Path;

use super::records::Records;
use super::{CaptionText, ReadOptions, Record};
use crate::input::Input;
use crate::names::without_picture_ending;
use crate::{DataError, PictureFolder};

/// Every line of `7.txt` that is not blank is a caption of `7.jpg`.
pub(super) fn read(dir: &Path) -> Result<Records, DataError> {
    let mut records = Records::new(dir, &ReadOptions::default());
    let mut without = Vec::new();
    let pictures = PictureFolder::read(dir)?;
    for name in pictures.paths() {
        let text = dir.join(format!("{}.txt", without_picture_ending(name)));
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
            without.push(name.clone());
            continue;
        }
        records.add(Ok(Record { captions, ..Record::named(name.clone()) }), || name.clone())?;
    }
    if let Some(first) = without.first() {
        let n = without.len();
        records.notes.push(format!("{n} pictures have no .txt beside them, as {first}: left out"));
    }
    Ok(records)
}
