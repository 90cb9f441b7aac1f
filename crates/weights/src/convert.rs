//! Elements in a file to numbers.

use half::{bf16, f16};

use crate::DType;
use crate::tensor::Layout;

/// The elements as float32, row-major; `None` where the type isn't a float.
pub(crate) fn to_f32(storage: &[u8], layout: &Layout) -> Option<Vec<f32>> {
    Some(match layout.dtype {
        DType::F32 => collect(storage, layout, f32::from_le_bytes),
        DType::F16 => collect(storage, layout, |b| f16::from_le_bytes(b).to_f32()),
        DType::BF16 => collect(storage, layout, |b| bf16::from_le_bytes(b).to_f32()),
        DType::F64 => collect(storage, layout, |b| f64::from_le_bytes(b) as f32),
        _ => return None,
    })
}

/// The elements as int64, row-major; `None` where the type is no integer that always fits.
pub(crate) fn to_i64(storage: &[u8], layout: &Layout) -> Option<Vec<i64>> {
    Some(match layout.dtype {
        DType::I64 => collect(storage, layout, i64::from_le_bytes),
        DType::I32 => collect(storage, layout, |b| i32::from_le_bytes(b).into()),
        DType::I16 => collect(storage, layout, |b| i16::from_le_bytes(b).into()),
        DType::I8 => collect(storage, layout, |b| i8::from_le_bytes(b).into()),
        DType::U32 => collect(storage, layout, |b| u32::from_le_bytes(b).into()),
        DType::U16 => collect(storage, layout, |b| u16::from_le_bytes(b).into()),
        DType::U8 => collect(storage, layout, |b| u8::from_le_bytes(b).into()),
        DType::Bool => collect(storage, layout, |[b]| (b != 0).into()),
        _ => return None,
    })
}

/// The elements of a tensor of bytes, row-major; `None` where it is none.
pub(crate) fn to_bytes(storage: &[u8], layout: &Layout) -> Option<Vec<u8>> {
    (layout.dtype == DType::U8).then(|| collect(storage, layout, |[byte]| byte))
}

fn collect<const N: usize, T>(
    storage: &[u8],
    layout: &Layout,
    read: impl Fn([u8; N]) -> T,
) -> Vec<T> {
    let (elements, _) = storage.as_chunks::<N>();
    match layout.contiguous() {
        Some(range) => elements[range].iter().map(|&bytes| read(bytes)).collect(),
        None => layout.positions().map(|position| read(elements[position])).collect(),
    }
}
