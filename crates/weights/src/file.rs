//! Opening a file and reading its tensors.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::bytes::Bytes;
use crate::error::Fault;
use crate::tensor::Layout;
use crate::{
    TensorInfo, Value, WeightsError, archive, convert, legacy, pickle, plain, shards, stored,
};

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A JSON header and the tensors' bytes.
    Safetensors,
    /// What `torch.save` has written since PyTorch 1.6: a zip archive with a pickle.
    PyTorch,
    /// What `torch.save` wrote before: pickles one after another, then the tensors' bytes.
    PyTorchLegacy,
    /// What `torch.jit.save` writes: a zip archive with code, which is not run.
    TorchScript,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Safetensors => "safetensors",
            Self::PyTorch => "PyTorch",
            Self::PyTorchLegacy => "PyTorch before 1.6",
            Self::TorchScript => "TorchScript",
        })
    }
}

/// The bytes behind tensors.
#[derive(Debug, Clone)]
pub(crate) enum Storage {
    /// A piece of the file.
    Piece(Range<usize>),
    /// A compressed entry of an archive: its index and its size when unpacked.
    Packed(usize, usize),
}

impl From<Range<usize>> for Storage {
    fn from(range: Range<usize>) -> Self {
        Self::Piece(range)
    }
}

/// What a reader of one format finds. Tensors and layouts go together by index.
#[derive(Debug)]
pub(crate) struct Contents {
    pub storages: Vec<Storage>,
    pub layouts: Vec<Layout>,
    pub tensors: Vec<TensorInfo>,
    pub values: Value,
}

impl Default for Contents {
    fn default() -> Self {
        Self { storages: vec![], layouts: vec![], tensors: vec![], values: Value::None }
    }
}

/// An opened weight file; tensors are read only when asked for.
///
/// The file must not be written to while it is open.
#[derive(Debug)]
pub struct WeightFile {
    path: PathBuf,
    format: Format,
    tensors: Vec<TensorInfo>,
    index: HashMap<String, usize>,
    values: Value,
    source: Source,
}

#[derive(Debug)]
enum Source {
    File {
        bytes: Bytes,
        storages: Vec<Storage>,
        layouts: Vec<Layout>,
    },
    /// Files, and the file of each tensor.
    Shards(Vec<WeightFile>, Vec<usize>),
}

/// Views may show a storage several times over, but not without end: float32 elements of all
/// tensors together may take this many times the bytes of their storages.
const MAX_GROWTH: usize = 8;
/// Growth that is let pass in any case, in bytes.
const FREE_GROWTH: usize = 64 << 20;

impl WeightFile {
    /// Opens a file, or a folder with a file split over several, and reads what it holds beside
    /// the tensors' elements.
    ///
    /// # Errors
    /// A file that cannot be read, is of another kind, damaged, or not safe to read.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        if path.is_dir() {
            return shards::open_folder(path);
        }
        let bytes = Bytes::map(path)?;
        if !stored::is_safetensors(&bytes) && is_json(&bytes) {
            return shards::open_index(path, &bytes);
        }
        Self::read(path, bytes)
    }

    /// Opens a file that is no index of others.
    pub(crate) fn open_single(path: &Path) -> Result<Self, WeightsError> {
        Self::read(path, Bytes::map(path)?)
    }

    /// Reads a file's bytes that are in memory already. The path only serves error messages.
    ///
    /// # Errors
    /// As [`WeightFile::open`]; an index of several files is of another kind here.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        Self::read(path, Bytes::Owned(bytes))
    }

    fn read(path: &Path, bytes: Bytes) -> Result<Self, WeightsError> {
        let (format, contents) = contents(&bytes).map_err(|fault| fault.in_file(path))?;
        let Contents { storages, layouts, tensors, values } = contents;
        let source = Source::File { bytes, storages, layouts };
        let file = Self::assemble(path, format, tensors, values, source)?;
        file.check_growth().map_err(|fault| fault.in_file(path))?;
        Ok(file)
    }

    pub(crate) fn of_shards(
        path: &Path,
        files: Vec<WeightFile>,
        values: Value,
    ) -> Result<Self, WeightsError> {
        let format = files.first().map_or(Format::Safetensors, Self::format);
        let mut tensors = Vec::new();
        let mut owners = Vec::new();
        for (owner, file) in files.iter().enumerate() {
            tensors.extend(file.tensors.iter().cloned());
            owners.resize(tensors.len(), owner);
        }
        Self::assemble(path, format, tensors, values, Source::Shards(files, owners))
    }

    fn assemble(
        path: &Path,
        format: Format,
        tensors: Vec<TensorInfo>,
        values: Value,
        source: Source,
    ) -> Result<Self, WeightsError> {
        let mut index = HashMap::with_capacity(tensors.len());
        for (position, tensor) in tensors.iter().enumerate() {
            if index.insert(tensor.name.clone(), position).is_some() {
                let problem = format!("two tensors are named `{}`", tensor.name);
                return Err(Fault::Refused(problem).in_file(path));
            }
        }
        Ok(Self { path: path.to_path_buf(), format, tensors, index, values, source })
    }

    fn check_growth(&self) -> Result<(), Fault> {
        let Source::File { storages, .. } = &self.source else { return Ok(()) };
        let held: usize = storages.iter().map(Storage::len).sum();
        let claimed = self.tensors.iter().try_fold(0usize, |sum, tensor| {
            sum.checked_add(tensor.elements().checked_mul(size_of::<f32>())?)
        });
        let limit = held.saturating_mul(MAX_GROWTH).saturating_add(FREE_GROWTH);
        match claimed {
            Some(claimed) if claimed <= limit => Ok(()),
            _ => Fault::refused("its tensors repeat the same elements too often"),
        }
    }

    /// The file that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the file is laid out.
    pub fn format(&self) -> Format {
        self.format
    }

    /// All weights, in the file's order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor with this name.
    pub fn get(&self, name: &str) -> Option<&TensorInfo> {
        self.index.get(name).map(|&position| &self.tensors[position])
    }

    /// A tensor's elements as float32, row-major, whatever its strides. Floats of 16 and 64 bits
    /// are converted.
    ///
    /// # Errors
    /// A tensor that is not there, that holds no floats, or whose compressed bytes are damaged.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        self.read_as(name, "float32", convert::to_f32)
    }

    /// The elements of a tensor of integers or truth values, row-major, whatever its strides.
    ///
    /// # Errors
    /// A tensor that is not there, that holds no such elements, or whose compressed bytes are
    /// damaged.
    pub fn read_i64(&self, name: &str) -> Result<Vec<i64>, WeightsError> {
        self.read_as(name, "int64", convert::to_i64)
    }

    /// Plain values that are pickled into a tensor of bytes. The paper's code keeps the vocabulary
    /// (`_vocab`) and the settings (`_opt`) of a captioner so, among its weights.
    ///
    /// # Errors
    /// A tensor that is not there, that holds no bytes, or whose bytes are no pickle.
    pub fn read_value(&self, name: &str) -> Result<Value, WeightsError> {
        let bytes = self.read_as(name, "bytes", convert::to_bytes)?;
        let pickle = pickle::read(&bytes).map_err(|fault| fault.in_file(&self.path))?;
        Ok(plain::values(&pickle.nodes, pickle.root, None))
    }

    /// Plain values beside the weights: settings, vocabularies, a safetensors file's metadata.
    pub fn values(&self) -> &Value {
        &self.values
    }

    fn read_as<T>(
        &self,
        name: &str,
        wanted: &'static str,
        convert: fn(&[u8], &Layout) -> Option<Vec<T>>,
    ) -> Result<Vec<T>, WeightsError> {
        let missing = || WeightsError::Missing { path: self.path.clone(), name: name.to_string() };
        let position = *self.index.get(name).ok_or_else(missing)?;
        let (bytes, storages, layouts) = match &self.source {
            Source::File { bytes, storages, layouts } => (bytes, storages, layouts),
            Source::Shards(files, owners) => {
                return files[owners[position]].read_as(name, wanted, convert);
            }
        };
        let layout = &layouts[position];
        let data: Cow<[u8]> = match &storages[layout.storage] {
            Storage::Piece(range) => Cow::Borrowed(&bytes[range.clone()]),
            Storage::Packed(entry, size) => archive::unpack(bytes, *entry, *size)
                .map(Cow::Owned)
                .map_err(|fault| fault.in_file(&self.path))?,
        };
        let values = convert(&data, layout).ok_or_else(|| WeightsError::Type {
            path: self.path.clone(),
            name: name.to_string(),
            dtype: layout.dtype,
            wanted,
        })?;
        if let Storage::Piece(range) = &storages[layout.storage] {
            bytes.release(range);
        }
        Ok(values)
    }
}

impl Storage {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Piece(range) => range.len(),
            Self::Packed(_, size) => *size,
        }
    }
}

impl Layout {
    /// Checks a layout against its storage's bytes.
    pub(crate) fn check_in(&self, storage: &Storage) -> Result<(), Fault> {
        self.check(storage.len() / self.dtype.bits().div_ceil(8))
    }
}

/// Whether text begins as a JSON object does.
fn is_json(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.trim_ascii_start().first() == Some(&b'{')
}

/// Guesses the format and reads it.
fn contents(bytes: &[u8]) -> Result<(Format, Contents), Fault> {
    if bytes.is_empty() {
        return Err(Fault::Format("is empty".into()));
    }
    // First, because a length may look like the start of anything else.
    if stored::is_safetensors(bytes) {
        return Ok((Format::Safetensors, stored::read(bytes)?));
    }
    if bytes.starts_with(b"PK") {
        return archive::read(bytes);
    }
    if legacy::is_legacy(bytes) {
        return Ok((Format::PyTorchLegacy, legacy::read(bytes)?));
    }
    // A length that no file has: the reader says what is wrong with it.
    if bytes.get(8) == Some(&b'{') {
        return Ok((Format::Safetensors, stored::read(bytes)?));
    }
    Err(Fault::Format(match bytes {
        _ if bytes.starts_with(b"version https://git-lfs") => {
            "is a pointer of Git LFS, not the file itself: fetch that with `git lfs pull`".into()
        }
        [0x80, ..] => "is a pickle that `torch.save` did not write".into(),
        _ if bytes.get(257..262) == Some(b"ustar") => {
            "has the format of PyTorch before 0.2; load it and save it again with PyTorch".into()
        }
        _ => "is not a weight file".into(),
    }))
}
