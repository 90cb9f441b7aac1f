//! Captions of webdataset's shards.

use std::path::Path;

use super::records::Records;
use super::{ReadOptions, Record};
use crate::DataError;
use crate::shards::{Shards, each_sample};

/// Every sample is an image, called after its key.
pub(super) fn read(pattern: &Path, options: &ReadOptions) -> Result<Records, DataError> {
    let mut records = Records::new(pattern, options);
    let (mut without, mut first) = (0, String::new());
    for shard in Shards::find(pattern)?.paths {
        each_sample(&shard, |sample| {
            if sample.text.is_none() && sample.json.is_none() {
                if without == 0 {
                    first = sample.key;
                }
                without += 1;
                return Ok(());
            }
            let name = sample.key.clone();
            let captions = sample.captions(&options.columns);
            let record = match captions {
                Ok(captions) => {
                    Ok(Record { captions, picture: sample.picture, ..Record::named(sample.key) })
                }
                Err(error) => Err(error.to_string()),
            };
            records.add_once(record, || format!("sample `{name}`"))
        })?;
    }
    if without > 0 {
        let note = format!("{without} samples have neither .txt nor .json, as `{first}`: left out");
        records.notes.push(note);
    }
    Ok(records)
}
