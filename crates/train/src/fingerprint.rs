//! Short hashes by which two things are compared.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use finecap_clip::Clip;
use sha2::{Digest, Sha256};

use crate::data::Dataset;

/// Hash of every weight of a module, in order.
pub fn weights_fingerprint<M: Module>(module: &M) -> String {
    fingerprint(module, &[])
}

/// Hash of the weights that embed pictures, which grammar tuning leaves as they are.
pub(crate) fn image_tower_fingerprint(clip: &Clip) -> String {
    fingerprint(clip, &["vision_model", "visual_projection"])
}

/// Hash of the weights in some fields of a module, or in all.
fn fingerprint<M: Module>(module: &M, fields: &'static [&'static str]) -> String {
    let mut hasher = Weights { hasher: Sha256::new(), fields, path: Vec::new() };
    module.visit(&mut hasher);
    hex(hasher.hasher)
}

/// Hash of names, splits and texts of a data set.
pub(crate) fn data_fingerprint(dataset: &Dataset) -> String {
    let mut hasher = Sha256::new();
    for image in &dataset.images {
        let mut field = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        field(&image.name);
        field(&format!("{:?}", image.split));
        image.captions.iter().chain(&image.alt_texts).for_each(|text| field(text));
    }
    hex(hasher)
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

struct Weights {
    hasher: Sha256,
    fields: &'static [&'static str],
    path: Vec<String>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let wanted = |field: &String| self.fields.contains(&field.as_str());
        if !self.fields.is_empty() && !self.path.first().is_some_and(wanted) {
            return;
        }
        let data = param.val().into_data();
        for value in data.iter::<f32>() {
            self.hasher.update(value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use finecap_clip::ClipConfig;

    use super::*;

    #[test]
    fn another_text_tower_leaves_the_image_tower_what_it_was() {
        let device = Device::flex();
        device.seed(1);
        let clip = ClipConfig::tiny(20, 18, 19).init(&device).unwrap();
        let image = image_tower_fingerprint(&clip);
        let all = weights_fingerprint(&clip);
        let tokens = Tensor::ones(clip.token_embeddings().dims(), &device);
        let tuned = clip.with_token_embeddings(tokens).unwrap();
        assert_eq!(image_tower_fingerprint(&tuned), image);
        assert_ne!(weights_fingerprint(&tuned), all);
        let other = ClipConfig::tiny(20, 18, 19).init(&device).unwrap();
        assert_ne!(image_tower_fingerprint(&other), image);
    }
}
