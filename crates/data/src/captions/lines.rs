//! Text with one caption a line.

use super::records::Records;
use super::{CaptionText, Format, Record};
use crate::DataError;
use crate::input::Input;

fn each(
    mut input: Input,
    records: &mut Records,
    record: impl Fn(&str, usize) -> Result<Record, String>,
) -> Result<(), DataError> {
    let mut line = Vec::new();
    while input.line(&mut line)? {
        let (text, number) = (input.text(&line)?, input.lines);
        if !text.trim().is_empty() {
            records.add(record(text, number), || format!("line {number}"))?;
        }
    }
    Ok(())
}

fn record(name: &str, caption: &str) -> Record {
    Record { captions: vec![CaptionText::new(caption)], ..Record::named(name.to_string()) }
}

/// Flickr's `name.jpg#0`, tab, caption.
pub(super) fn tokens(input: Input, records: &mut Records) -> Result<Format, DataError> {
    each(input, records, |line, _| match token(line) {
        Some((name, caption)) => Ok(record(name, caption)),
        None => Err("must be a picture, `#`, a number, a tab and the caption".into()),
    })?;
    Ok(Format::Token)
}

pub(super) fn token(line: &str) -> Option<(&str, &str)> {
    let (name, caption) = line.split_once('\t')?;
    let (name, number) = name.rsplit_once('#')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_number && !name.trim().is_empty()).then_some((name, caption))
}

/// What `finecap caption` prints: picture, tab, caption, which may be empty.
pub(super) fn pairs(input: Input, records: &mut Records) -> Result<Format, DataError> {
    each(input, records, |line, _| match line.split('\t').collect::<Vec<_>>()[..] {
        [_] => Err("no tab after the picture".into()),
        [name, caption] => Ok(record(name, caption)),
        _ => {
            Err("has more than one tab: a table with more columns needs a header, or --columns"
                .into())
        }
    })?;
    Ok(Format::Pairs)
}

pub(super) fn plain(input: Input, records: &mut Records) -> Result<Format, DataError> {
    each(input, records, |line, number| Ok(record(&format!("line {number}"), line)))?;
    Ok(Format::Lines)
}
