//! Symmetric contrastive loss.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

use crate::model::normalize;

/// Largest factor on cosines; Radford et al. (2021) clip the learned scale here.
pub const MAX_LOGIT_SCALE: f64 = 100.0;

/// CLIP's loss: cross entropy of matching each picture to its caption and each caption to its
/// picture, averaged over both directions.
///
/// # Shapes
/// - image, text: `[B, E]`, row `i` of one belongs to row `i` of the other; not normalised
/// - logit_scale: `[1]`, a natural logarithm; clamped at ln 100
/// - output: `[1]`
pub fn contrastive_loss(image: Tensor<2>, text: Tensor<2>, logit_scale: Tensor<1>) -> Tensor<1> {
    let [b, _] = image.dims();
    let scale = logit_scale.clamp_max(MAX_LOGIT_SCALE.ln()).exp();
    let logits = normalize(image).matmul(normalize(text).transpose()) * scale.reshape([1, 1]);
    let diagonal = Tensor::<1, Int>::arange(0..b as i64, &logits.device()).reshape([b, 1]);
    let direction = |dim: usize| log_softmax(logits.clone(), dim).gather(1, diagonal.clone());
    (direction(0) + direction(1)).mean() * -0.5
}
