//! The image tower.

mod resnet;
mod vit;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

pub use resnet::ResNet;
pub use vit::Vit;

use crate::config::VisionConfig;

/// Image tower of either kind.
#[derive(Module, Debug)]
// There is one of it in a model.
#[allow(clippy::large_enum_variant)]
pub enum VisionTower {
    /// A modified ResNet, whose last layer is the projection.
    ResNet(ResNet),
    /// A vision Transformer, whose class token is projected outside of it.
    Vit(Vit),
}

impl VisionConfig {
    pub(crate) fn init(&self, projection_dim: usize, device: &Device) -> VisionTower {
        match self {
            Self::ResNet(config) => VisionTower::ResNet(config.init(projection_dim, device)),
            Self::Vit(config) => VisionTower::Vit(config.init(device)),
        }
    }
}

impl VisionTower {
    /// States of the grid, row by row.
    ///
    /// # Shapes
    /// - pixels: `[B, 3, H, W]`; a ViT takes its own size only, a ResNet any multiple of 32
    /// - output: `[B, P, D]`
    pub fn grid(&self, pixels: Tensor<4>) -> Tensor<3> {
        match self {
            Self::ResNet(tower) => tower.grid(pixels),
            Self::Vit(tower) => {
                let hidden = tower.hidden_states(pixels);
                let patches = hidden.dims()[1] - 1;
                hidden.narrow(1, 1, patches)
            }
        }
    }
}
