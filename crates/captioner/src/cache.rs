use burn::tensor::{Device, Int, Tensor, s};

use crate::attention::KeyValues;

/// Keys and values of the tokens read so far, in space set aside for the longest caption.
#[derive(Debug, Clone)]
pub(crate) struct KvCache {
    /// `[N, H, capacity, D/H]`, of which the first `len` tokens are filled.
    keys: Tensor<4>,
    values: Tensor<4>,
    len: usize,
}

impl KvCache {
    /// An empty cache; `shape` is `[N, H, capacity, D/H]`.
    pub(crate) fn new(shape: [usize; 4], device: &Device) -> Self {
        Self { keys: Tensor::zeros(shape, device), values: Tensor::zeros(shape, device), len: 0 }
    }

    /// Append the keys and values of the next tokens, `[N, H, t, D/H]`, and return all so far,
    /// `[N, H, len, D/H]`.
    ///
    /// # Panics
    /// If the tokens exceed the capacity.
    pub(crate) fn push(&mut self, next: KeyValues) -> KeyValues {
        let start = self.len;
        self.len += next.keys.dims()[2];
        let end = self.len;
        let place = s![.., .., start..end, ..];
        self.keys.inplace(|keys| keys.slice_assign(place, next.keys));
        self.values.inplace(|values| values.slice_assign(place, next.values));
        KeyValues {
            keys: self.keys.clone().narrow(2, 0, end),
            values: self.values.clone().narrow(2, 0, end),
        }
    }

    /// Keeps the given rows, in the given order and as often as they are named: `rows` is `[n]`.
    pub(crate) fn select(&mut self, rows: Tensor<1, Int>) {
        self.keys.inplace(|keys| keys.select(0, rows.clone()));
        self.values.inplace(|values| values.select(0, rows));
    }
}
