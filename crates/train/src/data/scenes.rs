//! The embedded data set, without a detour over files.

use std::sync::Arc;

use finecap_scenes::SceneRecord;
use rayon::prelude::*;

use super::{Dataset, ImageRecord, ImageSource, Split};

impl Dataset {
    /// Renders generated scenes at `size` pixels.
    pub fn scenes(records: &[SceneRecord], size: u32) -> Self {
        let images = records
            .par_iter()
            .map(|record| ImageRecord {
                name: record.file_name(),
                source: ImageSource::Memory(Arc::new(record.scene.render(size).into())),
                split: match record.split {
                    finecap_scenes::Split::Train => Split::Train,
                    finecap_scenes::Split::Val => Split::Val,
                    finecap_scenes::Split::Test => Split::Test,
                },
                captions: record.references.clone(),
                alt_texts: record.alt_texts.clone(),
            })
            .collect();
        Self { images }
    }
}
