//! A model's weights from a file, strictly.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use finecap_weights::WeightFile;

use super::guess::{FoundClip, Tower};
use super::names::{ModulePath, is_constant};
use crate::{Clip, ClipError};

/// Where one of the model's tensors came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSource {
    /// Module path, which is also Hugging Face's name.
    pub path: String,
    /// Name in the file.
    pub name: String,
    /// Shape in the file.
    pub shape: Vec<usize>,
}

/// Reads every weight of `model` from where it was found in `file`, as float32, one at a time.
/// Nothing may be missing or of another shape; of a tower that is alone, only its own is read.
///
/// # Errors
/// [`ClipError::Weights`] naming the tensor.
pub(crate) fn read(
    model: Clip,
    file: &WeightFile,
    found: &FoundClip,
) -> Result<(Clip, Vec<TensorSource>), ClipError> {
    let mut reader =
        Reader { file, found, path: ModulePath::default(), sources: Vec::new(), error: None };
    let model = model.map(&mut reader);
    match reader.error {
        Some(error) => Err(error),
        None => Ok((model, reader.sources)),
    }
}

/// The tensors of the file that are neither in `sources` nor constants.
pub(crate) fn left_over<'a>(file: &'a WeightFile, sources: &[TensorSource]) -> Vec<&'a str> {
    let used: BTreeSet<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let names = file.tensors().iter().map(|tensor| tensor.name.as_str());
    names.filter(|name| !used.contains(name) && !is_constant(name)).collect()
}

/// # Errors
/// [`ClipError::Weights`] naming the first tensor that is left over.
pub(crate) fn check_left_over(
    file: &WeightFile,
    sources: &[TensorSource],
) -> Result<(), ClipError> {
    match left_over(file, sources).first() {
        Some(name) => {
            let problem = format!("tensor `{name}` has no place in this model");
            Err(ClipError::weights(file.path(), problem))
        }
        None => Ok(()),
    }
}

struct Reader<'a> {
    file: &'a WeightFile,
    found: &'a FoundClip,
    path: ModulePath,
    sources: Vec<TensorSource>,
    /// The first one; what comes after it is not read.
    error: Option<ClipError>,
}

impl ModuleMapper for Reader<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() || !self.is_wanted() {
            return param;
        }
        // Asked before its first use, so that no random weights are drawn to be thrown away.
        let shape = param.lazy_shape().to_vec();
        match self.values(&shape) {
            Ok(values) => {
                let data = TensorData::new(values, shape);
                let tensor = Tensor::from_data(data, &param.lazy_device());
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}

impl Reader<'_> {
    /// A tower that is alone has neither the other's weights nor a logit scale.
    fn is_wanted(&self) -> bool {
        let path = self.path.name();
        match self.found.alone {
            None => true,
            Some(Tower::Text) => path.starts_with("text_"),
            Some(Tower::Image) => path.starts_with("vision_") || path.starts_with("visual_"),
        }
    }

    fn values(&mut self, shape: &[usize]) -> Result<Vec<f32>, ClipError> {
        let path = self.path.name();
        let place = self.found.layout.place(&path, self.path.is_linear_weight());
        let name = self.found.name(&place.name);
        let wrong = |problem: String| ClipError::weights(self.file.path(), problem);
        let found = self
            .file
            .get(&name)
            .ok_or_else(|| wrong(format!("tensor `{name}` is missing{}", self.nearest(&name))))?;

        let mut wanted = shape.to_vec();
        if place.transposed {
            wanted.reverse();
        }
        if place.third.is_some() {
            wanted[0] *= 3;
        }
        // Files have the logit scale without dimensions, which Burn's parameters must have.
        let is_number = wanted == [1] && found.shape.is_empty();
        if found.shape != wanted && !is_number {
            let problem = format!("tensor `{name}` is {:?} and must be {wanted:?}", found.shape);
            return Err(wrong(problem));
        }
        let mut values = self.file.read_f32(&name)?;
        if let Some(third) = place.third {
            let size = values.len() / 3;
            values.truncate((third + 1) * size);
            values.drain(..third * size);
        }
        if let ([rows, columns], true) = (shape, place.transposed) {
            values = transpose(&values, *columns, *rows);
        }
        self.sources.push(TensorSource { path, name, shape: found.shape.clone() });
        Ok(values)
    }

    /// The file's name that is most like the one that is missing.
    fn nearest(&self, name: &str) -> String {
        let likeness = |other: &str| strsim::jaro_winkler(name, other);
        let names = self.file.tensors().iter().map(|tensor| tensor.name.as_str());
        match names.max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
            Some(nearest) => format!(", the nearest in the file is `{nearest}`"),
            None => String::new(),
        }
    }
}

/// The transpose of a matrix of `rows` by `columns`, row by row.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut result = Vec::with_capacity(values.len());
    for column in 0..columns {
        result.extend((0..rows).map(|row| values[row * columns + column]));
    }
    result
}
