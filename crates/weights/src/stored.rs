//! The safetensors format.

use crate::error::Fault;
use crate::file::Contents;
use crate::tensor::Layout;
use crate::{DType, TensorInfo, Value};

/// The longest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// Whether bytes begin as the format does: the header's length, then its JSON. The length may look
/// like the start of an archive, a pickle or JSON, none of which is one for this length: a zip
/// archive's version, an old pickle's protocol and the letters of JSON all stand in bytes that are
/// zero in a length the format allows.
pub(crate) fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, header)) = bytes.split_first_chunk() else { return false };
    header.first() == Some(&b'{') && u64::from_le_bytes(*length) <= MAX_HEADER
}

/// Reads the header; tensors stay where they are.
pub(crate) fn read(bytes: &[u8]) -> Result<Contents, Fault> {
    let (length, header) = safetensors::SafeTensors::read_metadata(bytes)
        .map_err(|e| Fault::Damaged(format!("safetensors header: {e}")))?;
    let start = 8 + length;
    let mut contents = Contents::default();
    let mut tensors: Vec<_> = header.tensors().into_iter().collect();
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    for (name, info) in tensors {
        let (dtype, shape) = (DType::of_safetensors(info.dtype), info.shape.clone());
        let storage = contents.storages.len();
        contents.storages.push((start + info.data_offsets.0..start + info.data_offsets.1).into());
        let mut strides = vec![1; shape.len()];
        for dim in (1..shape.len()).rev() {
            // Only a shape without elements can overflow here: the header's sizes are checked.
            strides[dim - 1] = shape[dim].saturating_mul(strides[dim]);
        }
        contents.layouts.push(Layout { storage, dtype, offset: 0, shape: shape.clone(), strides });
        contents.tensors.push(TensorInfo { name, dtype, shape });
    }
    let mut pairs: Vec<(Value, Value)> = header
        .metadata()
        .iter()
        .flatten()
        .map(|(k, v)| (Value::Str(k.as_str().into()), Value::Str(v.as_str().into())))
        .collect();
    pairs.sort_by(|a, b| a.0.as_str().cmp(&b.0.as_str()));
    contents.values = Value::Dict(pairs);
    Ok(contents)
}
