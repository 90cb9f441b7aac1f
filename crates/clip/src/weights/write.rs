//! A model's weights into a safetensors file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use safetensors::{Dtype, View};

use super::names::{Layout, ModulePath};
use super::read::transpose;
use crate::{Clip, ClipError};

/// Writes all weights as float32 with the layout's names. `counters` are batch norm's, which are
/// no weights, but which a file should not lose.
///
/// # Errors
/// [`ClipError::Weights`] where writing fails.
pub(crate) fn write(
    model: &Clip,
    layout: Layout,
    counters: &BTreeMap<String, i64>,
    path: &Path,
) -> Result<(), ClipError> {
    let mut writer = Writer { layout, path: ModulePath::default(), tensors: BTreeMap::new() };
    model.visit(&mut writer);
    let counters = counters.iter().map(|(name, count)| {
        let bytes = count.to_le_bytes().to_vec();
        (name.clone(), Stored { dtype: Dtype::I64, shape: vec![], bytes })
    });
    let tensors = writer.tensors.into_iter().chain(counters);
    // `transformers` refuses files that don't say where their layout comes from.
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize_to_file(tensors, Some(metadata), path)
        .map_err(|e| ClipError::weights(path, format!("cannot be written: {e}")))
}

struct Writer {
    layout: Layout,
    path: ModulePath,
    tensors: BTreeMap<String, Stored>,
}

struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl ModuleVisitor for Writer {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.name();
        let place = self.layout.place(&path, self.path.is_linear_weight());
        let data = param.val().into_data();
        let mut shape = data.shape().to_vec();
        let mut values: Vec<f32> = data.iter::<f32>().collect();
        if let ([rows, columns], true) = (shape.as_slice(), place.transposed) {
            values = transpose(&values, *rows, *columns);
            shape.reverse();
        }
        if path == "logit_scale" {
            shape.clear();
        }
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        // Queries, keys and values are visited in this order, and join in it.
        let stored = self.tensors.entry(place.name).or_insert_with(|| {
            let mut shape = shape.clone();
            if place.third.is_some() {
                shape[0] = 0;
            }
            Stored { dtype: Dtype::F32, shape, bytes: Vec::new() }
        });
        if place.third.is_some() {
            stored.shape[0] += shape[0];
        }
        stored.bytes.extend(bytes);
    }
}
