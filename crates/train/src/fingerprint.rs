//! Short hashes by which two things are compared.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};
use finecap_clip::Clip;
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::data::Dataset;

/// Hash of the weights that embed pictures, with their names and shapes. Grammar tuning leaves them
/// as they are.
///
/// # Errors
/// [`TrainError::Device`] where they cannot be read back.
pub(crate) fn image_tower_fingerprint(clip: &Clip) -> Result<String, TrainError> {
    tower_fingerprint(clip, &["vision_model", "visual_projection"])
}

/// Hash of the weights that embed texts, with their names and shapes.
///
/// # Errors
/// [`TrainError::Device`] where they cannot be read back.
pub fn text_tower_fingerprint(clip: &Clip) -> Result<String, TrainError> {
    tower_fingerprint(clip, &["text_model", "text_projection"])
}

fn tower_fingerprint(clip: &Clip, fields: &'static [&'static str]) -> Result<String, TrainError> {
    let mut weights = Weights { hasher: Sha256::new(), fields, path: Vec::new(), failed: None };
    clip.visit(&mut weights);
    match weights.failed {
        Some(reason) => Err(TrainError::Device(reason)),
        None => Ok(hex(weights.hasher)),
    }
}

/// Hash of names, splits and texts of a data set. The pixels are no part of it: a picture that was
/// replaced under its name is not noticed.
pub(crate) fn data_fingerprint(dataset: &Dataset) -> String {
    let mut hasher = Sha256::new();
    for image in &dataset.images {
        field(&mut hasher, image.name.as_bytes());
        field(&mut hasher, format!("{:?}", image.split).as_bytes());
        for texts in [&image.captions, &image.alt_texts] {
            // The count, so that a text cannot go from one list to the other unseen.
            hasher.update((texts.len() as u64).to_le_bytes());
            texts.iter().for_each(|text| field(&mut hasher, text.as_bytes()));
        }
    }
    hex(hasher)
}

/// Hash of a few bytes.
pub(crate) fn short_hash(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

fn field(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

struct Weights {
    hasher: Sha256,
    /// The fields of the module that are hashed.
    fields: &'static [&'static str],
    path: Vec<String>,
    failed: Option<String>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.path.first().is_some_and(|field| self.fields.contains(&field.as_str())) {
            return;
        }
        let data: TensorData = match param.val().try_into_data_dtype(DType::F32) {
            Ok(data) => data,
            Err(error) => {
                self.failed.get_or_insert(error.to_string());
                return;
            }
        };
        field(&mut self.hasher, self.path.join(".").as_bytes());
        for &side in data.shape().iter() {
            self.hasher.update((side as u64).to_le_bytes());
        }
        field(&mut self.hasher, data.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use finecap_clip::ClipConfig;

    use super::*;
    use crate::data::{ImageRecord, ImageSource, Split};

    #[test]
    fn another_text_tower_leaves_the_image_tower_what_it_was() {
        let device = Device::flex();
        device.seed(1);
        let clip = ClipConfig::tiny(20, 18, 19).init(&device).unwrap();
        let image = image_tower_fingerprint(&clip).unwrap();
        let tokens = Tensor::ones(clip.token_embeddings().dims(), &device);
        let text = text_tower_fingerprint(&clip).unwrap();
        let tuned = clip.with_token_embeddings(tokens).unwrap();
        assert_eq!(image_tower_fingerprint(&tuned).unwrap(), image);
        assert_ne!(text_tower_fingerprint(&tuned).unwrap(), text);
        assert_ne!(text, image);
        let other = ClipConfig::tiny(20, 18, 19).init(&device).unwrap();
        assert_ne!(image_tower_fingerprint(&other).unwrap(), image);
    }

    #[test]
    fn every_text_has_its_place() {
        let hash = |name: &str, captions: &[&str], alt_texts: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect();
            let image = ImageRecord {
                name: name.into(),
                source: ImageSource::None,
                split: Split::Train,
                captions: texts(captions),
                alt_texts: texts(alt_texts),
            };
            data_fingerprint(&Dataset { images: vec![image] })
        };
        let all = [
            hash("a", &["one", "two"], &[]),
            hash("a", &["one"], &["two"]),
            hash("a", &[], &["one", "two"]),
            hash("a", &["two", "one"], &[]),
            hash("a", &["onetwo"], &[]),
            hash("b", &["one", "two"], &[]),
        ];
        let mut different = all.to_vec();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), all.len());
    }
}
