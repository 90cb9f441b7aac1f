use burn::nn::Linear;
use burn::tensor::Tensor;

/// `linear` of every token: `[N, T, D]` -> `[N, T, E]`.
///
/// All tokens are rows of one matrix: a product for every sequence of its own would be slower, and
/// would make a gradient of the weights for each of them before their sum.
pub(crate) fn of_tokens(linear: &Linear, x: Tensor<3>) -> Tensor<3> {
    let [n, t, d] = x.dims();
    let y = linear.forward(x.reshape([n * t, d]));
    let [_, e] = y.dims();
    y.reshape([n, t, e])
}
