//! Short hashes that tell whether two things are the same.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use sha2::{Digest, Sha256};

use crate::data::Dataset;

/// Hash of every weight of a module, in order.
pub fn weights_fingerprint<M: Module>(module: &M) -> String {
    let mut hasher = Weights(Sha256::new());
    module.visit(&mut hasher);
    hex(hasher.0)
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

struct Weights(Sha256);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        for value in data.iter::<f32>() {
            self.0.update(value.to_le_bytes());
        }
    }
}
