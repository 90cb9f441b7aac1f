//! What the tests against other implementations share; each uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;

pub const TOLERANCE: f32 = 1e-5;

pub fn fixture(name: &str) -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../fixtures").join(name)
}

/// The tensors that the reference wrote.
pub struct Expected(Vec<u8>);

impl Expected {
    pub fn read(name: &str) -> Self {
        Self::open(&fixture(name).join("expected.safetensors"))
    }

    pub fn open(path: &Path) -> Self {
        Self(std::fs::read(path).unwrap())
    }

    pub fn has(&self, key: &str) -> bool {
        SafeTensors::deserialize(&self.0).unwrap().tensor(key).is_ok()
    }

    pub fn floats<const D: usize>(&self, key: &str) -> Tensor<D> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(key).unwrap();
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let data = TensorData::new(values.collect::<Vec<f32>>(), view.shape().to_vec());
        Tensor::from_data(data, &Device::flex())
    }

    pub fn ids(&self, key: &str) -> Vec<Vec<u32>> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(key).unwrap();
        let ids = view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
        let ids: Vec<u32> = ids.map(|id| id as u32).collect();
        ids.chunks(view.shape()[1]).map(<[u32]>::to_vec).collect()
    }
}

pub fn assert_close<const D: usize>(ours: Tensor<D>, expected: Tensor<D>, what: &str) {
    assert_eq!(ours.dims(), expected.dims(), "{what}");
    // Relative to the largest value where that is above 1, as in unnormalised states.
    let scale: f32 = expected.clone().abs().max().into_scalar();
    let difference: f32 = (ours - expected).abs().max().into_scalar();
    assert!(difference < TOLERANCE * scale.max(1.0), "{what} differs by {difference}");
}
