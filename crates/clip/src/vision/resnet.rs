//! The modified ResNet of Radford et al. (2021), section 2.4.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::module::{attention, avg_pool2d, conv2d};
use burn::tensor::ops::{AttentionModuleOptions, AvgPoolOptions, ConvOptions};
use burn::tensor::{Device, Tensor, assert_shape};

use crate::config::ResNetConfig;
use crate::transformer::{linear, normal};

/// Epsilon of every batch norm.
const EPSILON: f64 = 1e-5;

/// A stem of three convolutions, four stages of bottleneck blocks, and attention pooling.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Convolution,
    bn1: FrozenBatchNorm,
    conv2: Convolution,
    bn2: FrozenBatchNorm,
    conv3: Convolution,
    bn3: FrozenBatchNorm,
    layer1: Vec<Bottleneck>,
    layer2: Vec<Bottleneck>,
    layer3: Vec<Bottleneck>,
    layer4: Vec<Bottleneck>,
    attnpool: AttentionPool,
}

/// A convolution without bias.
#[derive(Module, Debug)]
struct Convolution {
    /// `[C_out, C_in, k, k]`
    weight: Param<Tensor<4>>,
}

/// Batch norm with the statistics of training, `[C]` each. They are as constant as weights here.
#[derive(Module, Debug)]
struct FrozenBatchNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    running_mean: Param<Tensor<1>>,
    running_var: Param<Tensor<1>>,
}

/// 1×1, 3×3 and 1×1 convolutions beside a shortcut. Where a stage halves the picture, both sides
/// take means of 2×2 instead of every second value.
#[derive(Module, Debug)]
struct Bottleneck {
    conv1: Convolution,
    bn1: FrozenBatchNorm,
    conv2: Convolution,
    bn2: FrozenBatchNorm,
    conv3: Convolution,
    bn3: FrozenBatchNorm,
    /// Where the shortcut changes width.
    downsample: Option<(Convolution, FrozenBatchNorm)>,
    stride: usize,
}

/// One query, the mean of all positions, attends to itself and to them.
#[derive(Module, Debug)]
struct AttentionPool {
    /// `[1 + P, D]`
    positional_embedding: Param<Tensor<2>>,
    k_proj: Linear,
    q_proj: Linear,
    v_proj: Linear,
    c_proj: Linear,
    heads: usize,
}

impl ResNetConfig {
    pub(crate) fn init(&self, projection_dim: usize, device: &Device) -> ResNet {
        let (width, half) = (self.width, self.width / 2);
        let norm = |channels| FrozenBatchNorm::init(channels, device);
        let mut channels = width;
        let mut stage = |number: usize| -> Vec<Bottleneck> {
            let planes = width << number;
            (0..self.layers[number])
                .map(|block| {
                    let stride = if block == 0 && number > 0 { 2 } else { 1 };
                    let before = std::mem::replace(&mut channels, 4 * planes);
                    Bottleneck::init(before, planes, stride, device)
                })
                .collect()
        };
        let (layer1, layer2, layer3, layer4) = (stage(0), stage(1), stage(2), stage(3));
        let d = self.grid_width();
        let std = (d as f64).powf(-0.5);
        let project = |output| linear(d, output, std, true, device);
        ResNet {
            conv1: Convolution::init(3, half, 3, device),
            bn1: norm(half),
            conv2: Convolution::init(half, half, 3, device),
            bn2: norm(half),
            conv3: Convolution::init(half, width, 3, device),
            bn3: norm(width),
            layer1,
            layer2,
            layer3,
            layer4,
            attnpool: AttentionPool {
                positional_embedding: normal([self.positions() + 1, d], std, device),
                k_proj: project(d),
                q_proj: project(d),
                v_proj: project(d),
                c_proj: project(projection_dim),
                heads: self.heads,
            },
        }
    }
}

impl ResNet {
    /// What the last stage gives, row by row.
    ///
    /// # Shapes
    /// - pixels: `[B, 3, H, W]`, sides multiples of 32
    /// - output: `[B, P, D]` with `P = H·W / 32²`
    ///
    /// # Panics
    /// For pixels of another shape.
    pub fn grid(&self, pixels: Tensor<4>) -> Tensor<3> {
        assert_shape!(pixels, [_, 3, _, _]);
        let x = relu(self.conv1.forward(pixels, &self.bn1, 2));
        let x = relu(self.conv2.forward(x, &self.bn2, 1));
        let x = relu(self.conv3.forward(x, &self.bn3, 1));
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        let x = stages.into_iter().flatten().fold(halve(x), |x, block| block.forward(x));
        x.flatten::<3>(2, 3).swap_dims(1, 2)
    }

    /// # Shapes
    /// - grid: `[B, P, D]` of a picture of the size that the model was trained on; output: `[B, E]`
    pub fn pool(&self, grid: Tensor<3>) -> Tensor<2> {
        self.attnpool.forward(grid)
    }
}

impl Convolution {
    fn init(c_in: usize, c_out: usize, kernel: usize, device: &Device) -> Self {
        // He et al. (2015): keeps the variance before a ReLU.
        let std = (2.0 / (c_in * kernel * kernel) as f64).sqrt();
        Self { weight: normal([c_out, c_in, kernel, kernel], std, device) }
    }

    /// The convolution with the norm after it folded into its weights.
    ///
    /// # Shapes
    /// - x: `[B, C_in, H, W]` -> `[B, C_out, H / stride, W / stride]`
    fn forward(&self, x: Tensor<4>, norm: &FrozenBatchNorm, stride: usize) -> Tensor<4> {
        let weight = self.weight.val();
        let [c_out, _, kernel, _] = weight.dims();
        let (scale, shift) = norm.scale_and_shift();
        let weight = weight * scale.reshape([c_out, 1, 1, 1]);
        let padding = kernel / 2;
        let options = ConvOptions::new([stride, stride], [padding, padding], [1, 1], 1);
        conv2d(x, weight, Some(shift), options)
    }
}

impl FrozenBatchNorm {
    fn init(channels: usize, device: &Device) -> Self {
        let (ones, zeros) = (Initializer::Ones, Initializer::Zeros);
        Self {
            weight: ones.init([channels], device),
            bias: zeros.init([channels], device),
            running_mean: zeros.init([channels], device),
            running_var: ones.init([channels], device),
        }
    }

    /// `x · scale + shift` is the norm of `x`; `[C]` each.
    fn scale_and_shift(&self) -> (Tensor<1>, Tensor<1>) {
        let scale = self.weight.val() / (self.running_var.val() + EPSILON).sqrt();
        let shift = self.bias.val() - self.running_mean.val() * scale.clone();
        (scale, shift)
    }
}

impl Bottleneck {
    fn init(c_in: usize, planes: usize, stride: usize, device: &Device) -> Self {
        let c_out = 4 * planes;
        let norm = |channels| FrozenBatchNorm::init(channels, device);
        let downsample = (stride > 1 || c_in != c_out)
            .then(|| (Convolution::init(c_in, c_out, 1, device), norm(c_out)));
        Self {
            conv1: Convolution::init(c_in, planes, 1, device),
            bn1: norm(planes),
            conv2: Convolution::init(planes, planes, 3, device),
            bn2: norm(planes),
            conv3: Convolution::init(planes, c_out, 1, device),
            bn3: norm(c_out),
            downsample,
            stride,
        }
    }

    /// # Shapes
    /// - x: `[B, C_in, H, W]` -> `[B, C_out, H / stride, W / stride]`
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let pooled = |x| if self.stride > 1 { halve(x) } else { x };
        let y = relu(self.conv1.forward(x.clone(), &self.bn1, 1));
        let y = relu(self.conv2.forward(y, &self.bn2, 1));
        let y = self.conv3.forward(pooled(y), &self.bn3, 1);
        let x = match &self.downsample {
            Some((convolution, norm)) => convolution.forward(pooled(x), norm, 1),
            None => x,
        };
        relu(y + x)
    }
}

impl AttentionPool {
    /// # Shapes
    /// - x: `[B, P, D]` -> `[B, E]`
    fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let [b, p, d] = x.dims();
        let positions = self.positional_embedding.val();
        assert_shape!(positions, [p + 1, d]);
        let x = Tensor::cat(vec![x.clone().mean_dim(1), x], 1) + positions.unsqueeze();
        let split = |y: Tensor<3>| {
            let t = y.dims()[1];
            y.reshape([b, t, self.heads, d / self.heads]).swap_dims(1, 2)
        };
        let pooled = attention(
            split(self.q_proj.forward(x.clone().narrow(1, 0, 1))),
            split(self.k_proj.forward(x.clone())),
            split(self.v_proj.forward(x)),
            None,
            None,
            AttentionModuleOptions::default(),
        );
        self.c_proj.forward(pooled.swap_dims(1, 2).reshape([b, d]))
    }
}

/// Means of 2×2.
fn halve(x: Tensor<4>) -> Tensor<4> {
    avg_pool2d(x, AvgPoolOptions::new([2, 2]))
}
