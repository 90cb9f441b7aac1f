//! The models that were released, by their sizes.

use crate::{ClipConfig, VisionConfig};

/// Name, `E`, blocks and width of the text tower, pixels.
type Row = (&'static str, usize, (usize, usize), usize, Image);

enum Image {
    /// Blocks, width, patch.
    Vit(usize, usize, usize),
    /// Blocks of the stages, width.
    ResNet([usize; 4], usize),
}

/// OpenAI's models and OpenCLIP's of the same kind.
const RELEASED: [Row; 11] = [
    ("ViT-B-32", 512, (12, 512), 224, Image::Vit(12, 768, 32)),
    ("ViT-B-16", 512, (12, 512), 224, Image::Vit(12, 768, 16)),
    ("ViT-L-14", 768, (12, 768), 224, Image::Vit(24, 1024, 14)),
    ("ViT-L-14-336", 768, (12, 768), 336, Image::Vit(24, 1024, 14)),
    ("ViT-H-14", 1024, (24, 1024), 224, Image::Vit(32, 1280, 14)),
    ("ViT-bigG-14", 1280, (32, 1280), 224, Image::Vit(48, 1664, 14)),
    ("RN50", 1024, (12, 512), 224, Image::ResNet([3, 4, 6, 3], 64)),
    ("RN101", 512, (12, 512), 224, Image::ResNet([3, 4, 23, 3], 64)),
    ("RN50x4", 640, (12, 640), 288, Image::ResNet([4, 6, 10, 6], 80)),
    ("RN50x16", 768, (12, 768), 384, Image::ResNet([6, 8, 18, 8], 96)),
    ("RN50x64", 1024, (12, 1024), 448, Image::ResNet([3, 15, 36, 10], 128)),
];

/// OpenCLIP's name of the released model that has these sizes.
pub fn released_name(config: &ClipConfig) -> Option<&'static str> {
    let text = &config.text_config;
    let row = RELEASED.iter().find(|(_, embed, (layers, width), pixels, image)| {
        let same_image = match (image, &config.vision_config) {
            (Image::Vit(layers, width, patch), VisionConfig::Vit(vit)) => {
                (*layers, *width, *patch)
                    == (vit.num_hidden_layers, vit.hidden_size, vit.patch_size)
            }
            (Image::ResNet(layers, width), VisionConfig::ResNet(resnet)) => {
                (*layers, *width) == (resnet.layers, resnet.width)
            }
            _ => false,
        };
        same_image
            && *embed == config.projection_dim
            && (*layers, *width) == (text.num_hidden_layers, text.hidden_size)
            && *pixels == config.vision_config.image_size()
    })?;
    Some(row.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_clip_is_known() {
        let mut config = ClipConfig::vit_b_32();
        assert_eq!(released_name(&config), Some("ViT-B-32"));
        config.projection_dim = 500;
        assert_eq!(released_name(&config), None);
    }
}
