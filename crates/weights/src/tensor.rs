//! What a file says about a tensor.

use std::ops::Range;

use crate::DType;
use crate::error::Fault;

/// A tensor's name, type and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name, as `state_dict()` has it.
    pub name: String,
    /// The type of its elements in the file.
    pub dtype: DType,
    /// Its shape; empty for a single number without dimensions.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// How many elements it has.
    pub fn elements(&self) -> usize {
        elements(&self.shape).unwrap_or(usize::MAX)
    }

    /// Bytes of its elements, each counted once.
    pub fn bytes(&self) -> usize {
        self.elements().saturating_mul(self.dtype.bits()).div_ceil(8)
    }
}

/// Where in a storage a tensor's elements are. Checked: every element lies inside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    /// Index of the storage.
    pub storage: usize,
    pub dtype: DType,
    /// In elements.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// In elements.
    pub strides: Vec<usize>,
}

/// More dimensions than any tensor that PyTorch makes.
pub(crate) const MAX_DIMS: usize = 64;

impl Layout {
    /// Checks a layout against the number of elements in its storage.
    pub(crate) fn check(&self, held: usize) -> Result<(), Fault> {
        if self.shape.len() != self.strides.len() {
            return Fault::damaged("a tensor's shape and strides have different lengths");
        }
        if self.shape.len() > MAX_DIMS {
            return Fault::refused(format!("a tensor has {} dimensions", self.shape.len()));
        }
        let elements = elements(&self.shape);
        let last = self.shape.iter().zip(&self.strides).try_fold(self.offset, |last, (&n, &s)| {
            last.checked_add(n.saturating_sub(1).checked_mul(s)?)
        });
        match (elements, last) {
            (Some(0), _) => Ok(()),
            (Some(_), Some(last)) if last < held => Ok(()),
            _ => Fault::damaged("a tensor reaches beyond its storage"),
        }
    }

    /// The elements, where they are one piece in row-major order.
    pub(crate) fn contiguous(&self) -> Option<Range<usize>> {
        if self.shape.contains(&0) {
            return Some(0..0);
        }
        let mut expected = 1;
        for (&n, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if n != 1 && stride != expected {
                return None;
            }
            expected *= n;
        }
        Some(self.offset..self.offset + expected)
    }

    /// Positions of all elements in row-major order, in elements.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        let count = elements(&self.shape).unwrap_or(0);
        let mut index = vec![0; self.shape.len()];
        let mut position = self.offset;
        (0..count).map(move |_| {
            let here = position;
            for dim in (0..index.len()).rev() {
                index[dim] += 1;
                position += self.strides[dim];
                if index[dim] < self.shape[dim] {
                    break;
                }
                position -= index[dim] * self.strides[dim];
                index[dim] = 0;
            }
            here
        })
    }
}

/// The number of elements of a shape, if it can be counted.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1, |product: usize, &n| product.checked_mul(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(offset: usize, shape: &[usize], strides: &[usize]) -> Layout {
        let (shape, strides) = (shape.to_vec(), strides.to_vec());
        Layout { storage: 0, dtype: DType::F32, offset, shape, strides }
    }

    #[test]
    fn walks_a_transposed_view() {
        let view = layout(1, &[3, 2], &[1, 3]);
        assert_eq!(view.contiguous(), None);
        assert_eq!(view.positions().collect::<Vec<_>>(), [1, 4, 2, 5, 3, 6]);
        assert!(view.check(7).is_ok());
        assert!(view.check(6).is_err());
    }

    #[test]
    fn dimensions_of_one_may_have_any_stride() {
        assert_eq!(layout(2, &[1, 4, 1], &[99, 1, 7]).contiguous(), Some(2..6));
        assert_eq!(layout(3, &[], &[]).contiguous(), Some(3..4));
        assert_eq!(layout(0, &[], &[]).positions().count(), 1);
        assert_eq!(layout(5, &[2, 0], &[0, 1]).positions().count(), 0);
    }

    #[test]
    fn overflowing_layouts_are_refused() {
        assert!(layout(0, &[usize::MAX, 2], &[1, 1]).check(10).is_err());
        assert!(layout(usize::MAX, &[2], &[1]).check(10).is_err());
        assert!(layout(0, &[3], &[usize::MAX]).check(10).is_err());
        assert!(layout(0, &[1; 65], &[1; 65]).check(10).is_err());
    }
}
