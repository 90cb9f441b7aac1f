//! JSON of every kind: Karpathy's, COCO's, clipscore's, lists and lines of objects.

use super::entry::{EntryFields, captions};
use super::records::{Entry, Records};
use super::{CaptionText, Format, ReadOptions, Record};
use crate::DataError;
use crate::input::Input;
use crate::json::{JsonReader, parse};

pub(super) fn read(
    input: Input,
    options: &ReadOptions,
    records: &mut Records,
) -> Result<Format, DataError> {
    let mut reader = JsonReader::new(input);
    let format = match reader.peek()? {
        Some(b'[') => list(&mut reader, options, records)?,
        _ => object(&mut reader, options, records)?,
    };
    records.lone_surrogates += reader.lone_surrogates;
    match reader.peek()? {
        None => Ok(format),
        Some(_) => Err(reader.error("more text follows the end of the JSON value")),
    }
}

/// `[{"image_id": ..., "caption": ...}]`, or `["caption", ...]`
fn list(
    reader: &mut JsonReader,
    options: &ReadOptions,
    records: &mut Records,
) -> Result<Format, DataError> {
    reader.skip();
    let (mut first, mut item, mut texts) = (true, 0, false);
    while reader.another(']', &mut first)? {
        let line = reader.line();
        let value = reader.value()?;
        let is_text = value.starts_with('"');
        if item == 0 {
            texts = is_text;
        }
        let entry = match texts {
            true if !options.captions_only => {
                Err("is a text without an image: give objects with `image_id` and `caption`"
                    .to_string())
            }
            true if is_text => parse::<String>(value).map(|text| Record {
                captions: vec![CaptionText::new(text)],
                ..Record::named(format!("line {}", item + 1))
            }),
            true => Err("must be a text, as the items before".to_string()),
            false => fields(value, options, records, item).and_then(|fields| {
                fields.record(options.captions_only.then(|| format!("line {}", item + 1)))
            }),
        };
        records.add(entry, || format!("item {item} (line {line})"))?;
        item += 1;
    }
    Ok(if texts { Format::JsonTexts } else { Format::JsonList })
}

fn fields(
    value: &str,
    options: &ReadOptions,
    records: &mut Records,
    item: usize,
) -> Result<EntryFields, String> {
    let mut fields = EntryFields::parse(value, &options.columns)?;
    if item == 0 {
        records.decoding = fields.decoding.take();
    }
    Ok(fields)
}

/// One object for each line, the first of which has been read.
fn json_lines(
    reader: &mut JsonReader,
    mut first: EntryFields,
    options: &ReadOptions,
    records: &mut Records,
) -> Result<Format, DataError> {
    let name = |line: usize| options.captions_only.then(|| format!("line {line}"));
    records.decoding = first.decoding.take();
    records.add(first.record(name(1)), || "line 1".into())?;
    while reader.peek()?.is_some() {
        let line = reader.line();
        let entry = fields(reader.value()?, options, records, 1);
        let entry = entry.and_then(|fields| fields.record(name(line)));
        records.add(entry, || format!("line {line}"))?;
    }
    Ok(Format::JsonLines)
}

/// An object that is all of the file, or the first of many lines. Which it is, is seen at its end.
fn object(
    reader: &mut JsonReader,
    options: &ReadOptions,
    records: &mut Records,
) -> Result<Format, DataError> {
    reader.skip();
    let mut first = true;
    let mut line = EntryFields::default();
    let mut by_name = Records::new(&reader.input.path, &ReadOptions::default());
    let mut stray = None;
    let (mut images, mut annotations) = (None, None);
    while reader.another('}', &mut first)? {
        let key = reader.key()?;
        let is_list = reader.peek()? == Some(b'[');
        match key.as_str() {
            "images" if is_list && images.is_none() => {
                images = Some(self::images(reader, options)?)
            }
            "annotations" if is_list && annotations.is_none() => {
                annotations = Some(self::annotations(reader, options, records)?);
            }
            _ => {
                let at = reader.line();
                let value = reader.value()?;
                line.add(&key, value, &options.columns);
                match captions(value, Some(&key)) {
                    Ok(captions) => {
                        let record = Record { captions, is_list, ..Record::named(key) };
                        by_name.add_once(Ok(record), || format!("line {at}"))?;
                    }
                    Err(problem) if stray.is_none() => {
                        stray = Some(format!("line {at}: image `{key}`: {problem}"));
                    }
                    Err(_) => {}
                }
            }
        }
    }
    match (images, annotations) {
        (images, Some(())) => coco(images.unwrap_or_default(), records),
        (Some(images), None) => karpathy(images, records),
        (None, None) if line.is_entry() || reader.peek()?.is_some() => {
            json_lines(reader, line, options, records)
        }
        (None, None) => match stray {
            Some(problem) => Err(DataError::file(&reader.input.path, problem)),
            None => {
                records.take(by_name);
                Ok(Format::JsonByName)
            }
        },
    }
}

/// One of the `images` of COCO's or Karpathy's.
struct Image {
    /// COCO's number, which its annotations mention.
    id: Option<String>,
    record: Entry,
    /// Karpathy's sentences; `None` where there is no list of them.
    captions: Option<Result<Vec<CaptionText>, String>>,
}

fn images(reader: &mut JsonReader, options: &ReadOptions) -> Result<Vec<Image>, DataError> {
    reader.skip();
    let (mut first, mut images) = (true, Vec::new());
    while reader.another(']', &mut first)? {
        images.push(match EntryFields::parse(reader.value()?, &options.columns) {
            Ok(mut fields) => {
                let id = fields.id();
                let mut captions = fields.take_captions();
                // All of them wait here until the end of the file.
                if let Some(Ok(captions)) = &mut captions {
                    if options.words_only {
                        captions.iter_mut().for_each(CaptionText::keep_words);
                    }
                    captions.shrink_to_fit();
                }
                Image { record: fields.image(id.clone()), id, captions }
            }
            Err(problem) => Image { id: None, record: Err(problem), captions: None },
        });
    }
    Ok(images)
}

fn annotations(
    reader: &mut JsonReader,
    options: &ReadOptions,
    records: &mut Records,
) -> Result<(), DataError> {
    reader.skip();
    let (mut first, mut item) = (true, 0);
    while reader.another(']', &mut first)? {
        let entry = EntryFields::parse(reader.value()?, &options.columns);
        // The `id` of an annotation is its own, and not that of an image.
        let entry = entry.and_then(|fields| fields.without_counters().record(None));
        records.add(entry, || format!("annotations[{item}]"))?;
        item += 1;
    }
    Ok(())
}

/// Gives the images that annotations are about the names of their files.
fn coco(images: Vec<Image>, records: &mut Records) -> Result<Format, DataError> {
    let mut without: Vec<String> = Vec::new();
    let listed = images.len();
    for (i, image) in images.into_iter().enumerate() {
        let place = || format!("images[{i}]");
        let (id, record) = match (image.id, image.record) {
            (Some(id), Ok(record)) => (id, record),
            (None, Ok(_)) => {
                records.add(Err("`id` is missing".into()), place)?;
                continue;
            }
            (_, Err(problem)) => {
                records.add(Err(problem), place)?;
                continue;
            }
        };
        let Some(own) = records.place(&id) else {
            without.push(id);
            continue;
        };
        let own = records.record(own);
        let names: Vec<String> = record.names().map(str::to_string).collect();
        own.aliases.extend(names.into_iter().filter(|name| *name != id));
        own.split = own.split.take().or(record.split);
    }
    if let Some(first) = without.first() {
        let n = without.len();
        let note = format!("{n} of {listed} images have no captions, as `{first}`: left out");
        records.notes.push(note);
    }
    Ok(Format::CocoAnnotations)
}

fn karpathy(images: Vec<Image>, records: &mut Records) -> Result<Format, DataError> {
    for (i, image) in images.into_iter().enumerate() {
        let entry = image.record.and_then(|record| match image.captions {
            Some(Ok(captions)) => Ok(Record { captions, ..record }),
            Some(Err(problem)) => Err(format!("image `{}`: {problem}", record.name)),
            None => Err(format!("image `{}` has no list of `sentences`", record.name)),
        });
        records.add_once(entry, || format!("images[{i}]"))?;
    }
    Ok(Format::Karpathy)
}
