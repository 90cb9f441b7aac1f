use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor};

use crate::decode::Decoding;

/// Draws one token per row from `softmax(logits / temperature)`, restricted to the `top_k` most
/// probable tokens and then to the smallest set of them with at least `top_p` of the mass.
///
/// `logits` is `[N, V]`, `uniforms` `[N, 1]` with numbers in `[0, 1)`; returns ids `[N, 1]`. The
/// draw inverts the cumulative distribution on the device. Tokens as probable as the last one
/// kept are kept too, so that the choice does not depend on how a device breaks ties.
pub(crate) fn sample(
    logits: Tensor<2>,
    uniforms: Tensor<2>,
    decoding: &Decoding,
) -> Tensor<2, Int> {
    let probabilities = filtered(logits, decoding);
    let [_, vocab] = probabilities.dims();
    let device = probabilities.device();

    // A token that was filtered out, or whose probability is below what `f32` can hold, can
    // never be hit, not even where a parallel sum is not quite increasing.
    let impossible = probabilities.clone().equal_scalar(0.0);
    let cumulative = probabilities.cumsum(1).mask_fill(impossible, 0.0);
    let total = cumulative.clone().max_dim(1);
    let missed = cumulative.lower_equal(total * uniforms);
    let places = Tensor::<1, Int>::arange(0..vocab as i64, &device);
    let [rows, _] = missed.dims();
    // The first token that is hit. There is one in every row, unless the logits are not numbers:
    // then the id must still be one that the embedding knows.
    places.unsqueeze::<2>().expand([rows, vocab]).mask_fill(missed, vocab as i64 - 1).min_dim(1)
}

/// Probabilities `[N, V]` with filtered tokens at 0; rows need not sum to 1.
fn filtered(logits: Tensor<2>, decoding: &Decoding) -> Tensor<2> {
    let [_, vocab] = logits.dims();
    let logits = if decoding.temperature == 1.0 {
        logits
    } else {
        // Shifted first, so that a small temperature cannot overflow.
        let largest = logits.clone().max_dim(1);
        (logits - largest) / decoding.temperature
    };
    let mut probabilities = softmax(logits, 1);
    if let Some(k) = decoding.top_k.filter(|&k| k < vocab) {
        let last = probabilities.clone().topk(k, 1).min_dim(1);
        probabilities = keep_from(probabilities, last);
    }
    if let Some(p) = decoding.top_p.filter(|&p| p < 1.0) {
        let sorted = probabilities.clone().sort_descending(1);
        let total = sorted.clone().sum_dim(1);
        // The mass of everything more probable; a token is kept while that is below `p`.
        let before = sorted.clone().cumsum(1) - sorted.clone();
        let beyond = before.greater_equal(total * p);
        let last = sorted.mask_fill(beyond, f32::INFINITY).min_dim(1);
        probabilities = keep_from(probabilities, last);
    }
    probabilities
}

/// Zero what is less probable than `last`, `[N, 1]`.
fn keep_from(probabilities: Tensor<2>, last: Tensor<2>) -> Tensor<2> {
    let dropped = probabilities.clone().lower(last);
    probabilities.mask_fill(dropped, 0.0)
}
