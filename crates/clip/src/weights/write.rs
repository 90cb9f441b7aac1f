//! A model's weights into a safetensors file.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
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
        let parts: Vec<Part> = vec![Box::new(move || bytes.clone())];
        (name.clone(), Stored { dtype: Dtype::I64, shape: vec![], parts })
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

/// Bytes that are made when they are written, so that memory never holds the model twice.
type Part = Box<dyn Fn() -> Vec<u8>>;

struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    parts: Vec<Part>,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.parts.iter().flat_map(|part| part()).collect())
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
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
        let tensor = param.val();
        let mut shape = tensor.dims().to_vec();
        let rows_and_columns = match shape.as_slice() {
            &[rows, columns] if place.transposed => Some((rows, columns)),
            _ => None,
        };
        if rows_and_columns.is_some() {
            shape.reverse();
        }
        if path == "logit_scale" {
            shape.clear();
        }
        let part: Part = Box::new(move || {
            let mut values: Vec<f32> = tensor.to_data().iter::<f32>().collect();
            if let Some((rows, columns)) = rows_and_columns {
                values = transpose(&values, rows, columns);
            }
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        });
        // Queries, keys and values are visited in this order, and join in it.
        match self.tensors.entry(place.name) {
            Entry::Vacant(entry) => {
                entry.insert(Stored { dtype: Dtype::F32, shape, parts: vec![part] });
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().shape[0] += shape[0];
                entry.get_mut().parts.push(part);
            }
        }
    }
}
