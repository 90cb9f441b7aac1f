//! What `torch.save` wrote before PyTorch 1.6: five pickles, then the storages' bytes.

use std::collections::HashMap;

use crate::error::Fault;
use crate::file::{Contents, Storage};
use crate::pickle::{self, Node, Pickle};
use crate::pickled;

/// The number in the first pickle, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The number in the second pickle.
const VERSION: i64 = 1001;
/// The first pickle is shorter than this.
const MAGIC_WITHIN: usize = 32;

/// Whether a file starts like this format.
pub(crate) fn is_legacy(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(MAGIC_WITHIN)];
    bytes.first() == Some(&0x80) && start.windows(MAGIC.len()).any(|window| window == MAGIC)
}

/// Reads the pickles; tensors stay where they are.
pub(crate) fn read(bytes: &[u8]) -> Result<Contents, Fault> {
    let mut position = 0;
    let mut next = || -> Result<Pickle, Fault> {
        let pickle = pickle::read(&bytes[position..])?;
        position += pickle.length;
        Ok(pickle)
    };
    next()?;
    let version = next()?;
    if !matches!(version.nodes.get(version.root), Node::Int(VERSION)) {
        return Fault::refused("its version is not that of PyTorch's old format");
    }
    let system = next()?;
    let order = system.nodes.entry(system.root, "little_endian");
    if order.is_some_and(|id| matches!(system.nodes.get(id), Node::Bool(false))) {
        return Fault::refused("it was written on a big-endian machine");
    }
    let saved = next()?;
    let keys = next()?;
    let Node::List(order) = keys.nodes.get(keys.root) else {
        return Fault::damaged("the list of storages is none");
    };
    let references: HashMap<&str, usize> =
        saved.storages.iter().enumerate().map(|(index, s)| (&*s.key, index)).collect();
    let mut storages = vec![None; saved.storages.len()];
    for &key in order {
        let key = keys.nodes.text(key, "a storage's key")?;
        let Some(&index) = references.get(&**key) else {
            return Fault::refused(format!("storage `{key}` is of an unknown type"));
        };
        let reference = &saved.storages[index];
        let length = bytes.get(position..position + 8).and_then(|bytes| bytes.try_into().ok());
        let elements = length.map(u64::from_le_bytes);
        if elements != Some(reference.elements as u64) {
            return Fault::damaged(format!("storage `{key}` is absent or has another size"));
        }
        let end = (reference.elements.checked_mul(reference.dtype.bits() / 8))
            .and_then(|size| size.checked_add(position + 8))
            .filter(|&end| end <= bytes.len());
        let Some(end) = end else {
            return Fault::damaged(format!("storage `{key}` reaches beyond the end"));
        };
        storages[index] = Some(Storage::Piece(position + 8..end));
        position = end;
    }
    pickled::contents(&saved, |index| match &storages[index] {
        Some(storage) => Ok(storage.clone()),
        None => Fault::damaged(format!("storage `{}` is absent", saved.storages[index].key)),
    })
}
