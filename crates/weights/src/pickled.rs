//! From a pickle to named tensors.

use crate::error::Fault;
use crate::file::{Contents, Storage};
use crate::pickle::Pickle;
use crate::{TensorInfo, names, plain};

/// Collects a pickle's weights and plain values. `find` locates a storage, by its index.
pub(crate) fn contents(
    pickle: &Pickle,
    mut find: impl FnMut(usize) -> Result<Storage, Fault>,
) -> Result<Contents, Fault> {
    let Pickle { nodes, storages, root, .. } = pickle;
    let weights = names::weights(nodes, *root);
    let mut contents =
        Contents { values: plain::values(nodes, *root, Some(weights)), ..<_>::default() };
    let mut places = vec![None; storages.len()];
    for (name, mut layout) in names::tensors(nodes, weights)? {
        let place = match places[layout.storage] {
            Some(place) => place,
            None => {
                let place = contents.storages.len();
                contents.storages.push(find(layout.storage)?);
                *places[layout.storage].insert(place)
            }
        };
        layout.storage = place;
        layout.check_in(&contents.storages[place])?;
        contents.tensors.push(TensorInfo {
            name,
            dtype: layout.dtype,
            shape: layout.shape.clone(),
        });
        contents.layouts.push(layout);
    }
    if contents.tensors.is_empty() {
        return Err(Fault::Format("holds no tensors".into()));
    }
    Ok(contents)
}
