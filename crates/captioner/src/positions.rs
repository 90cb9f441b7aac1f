use burn::tensor::{Device, Tensor, TensorData};

/// Sinusoidal positions `[len, D]` (Vaswani et al. 2017, section 3.5):
/// `sin(p·10000^(−2i/D))` at even places `2i`, the cosine at `2i + 1`.
pub(crate) fn sinusoidal(len: usize, d_model: usize, device: &Device) -> Tensor<2> {
    let mut table = Vec::with_capacity(len * d_model);
    for position in 0..len {
        for pair in 0..d_model / 2 {
            let rate = (-(2.0 * pair as f64) / d_model as f64 * 10000f64.ln()).exp();
            let (sin, cos) = (position as f64 * rate).sin_cos();
            table.extend([sin as f32, cos as f32]);
        }
    }
    Tensor::from_data(TensorData::new(table, [len, d_model]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_hand() {
        let table: Vec<f32> = sinusoidal(3, 4, &Device::flex()).try_into_vec_as().unwrap();
        assert_eq!(table[..4], [0.0, 1.0, 0.0, 1.0]);
        // 10000^(-2/4) = 0.01
        let expected = [2f64.sin(), 2f64.cos(), 0.02f64.sin(), 0.02f64.cos()].map(|v| v as f32);
        assert_eq!(table[8..], expected);
    }
}
