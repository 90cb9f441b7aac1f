//! Model configuration in the key names of Hugging Face's `config.json`.

use serde::{Deserialize, Serialize};

use crate::{ClipError, Layout};

/// Activation inside the MLP of every block.
///
/// It belongs to the weights: OpenAI's models were trained with [`Activation::QuickGelu`], most
/// OpenCLIP models with [`Activation::Gelu`], and the wrong one gives wrong numbers silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x · sigmoid(1.702 x)`.
    #[default]
    QuickGelu,
    /// `x · Φ(x)` with the exact error function.
    Gelu,
}

impl std::fmt::Display for Activation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::QuickGelu => "QuickGELU",
            Self::Gelu => "GELU",
        })
    }
}

/// Text tower. Missing keys take Hugging Face's defaults, which are those of ViT-B/32.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextConfig {
    /// Number of token ids.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Attention heads; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Context length in tokens, start and end token included.
    pub max_position_embeddings: usize,
    /// Activation of the MLP.
    pub hidden_act: Activation,
    /// Epsilon of every layer norm.
    pub layer_norm_eps: f64,
    /// Start token.
    pub bos_token_id: u32,
    /// End token, whose state is the caption's embedding.
    pub eos_token_id: u32,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            bos_token_id: 49406,
            eos_token_id: 49407,
        }
    }
}

/// Image tower: one of the two kinds that CLIP was published with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum VisionConfig {
    /// A modified ResNet. Hugging Face's CLIP has none; its keys are ours.
    ResNet(ResNetConfig),
    /// A vision Transformer.
    Vit(VitConfig),
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self::Vit(VitConfig::default())
    }
}

impl VisionConfig {
    /// Side of the square input in pixels.
    pub fn image_size(&self) -> usize {
        match self {
            Self::ResNet(config) => config.image_size,
            Self::Vit(config) => config.image_size,
        }
    }

    /// Number `P` of grid positions of one image of [`image_size`](Self::image_size).
    pub fn positions(&self) -> usize {
        match self {
            Self::ResNet(config) => config.positions(),
            Self::Vit(config) => config.patches(),
        }
    }

    /// Width `D` of the grid.
    pub fn grid_width(&self) -> usize {
        match self {
            Self::ResNet(config) => config.grid_width(),
            Self::Vit(config) => config.hidden_size,
        }
    }

    fn check(&self) -> Result<(), ClipError> {
        match self {
            Self::ResNet(config) => config.check(),
            Self::Vit(config) => config.check(),
        }
    }
}

/// Modified ResNet of Radford et al. (2021): a stem of three convolutions, average pooling instead
/// of strides, attention pooling at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// Bottleneck blocks of the four stages.
    pub layers: [usize; 4],
    /// Channels after the stem; even.
    pub width: usize,
    /// Heads of the attention pooling; divides `32 * width`.
    pub heads: usize,
    /// Side of the square input in pixels; a multiple of [`STRIDE`](Self::STRIDE).
    pub image_size: usize,
}

impl ResNetConfig {
    /// Pixels of the input to a position of the grid, along each side.
    pub const STRIDE: usize = 32;

    /// Number `P` of grid positions of one image.
    pub fn positions(&self) -> usize {
        (self.image_size / Self::STRIDE).pow(2)
    }

    /// Channels of the last stage.
    pub fn grid_width(&self) -> usize {
        32 * self.width
    }

    fn check(&self) -> Result<(), ClipError> {
        let error = |field: &str, problem: &str| {
            Err(ClipError::config(&format!("vision_config.{field}"), problem))
        };
        if self.layers.contains(&0) {
            return error("layers", "must be four numbers of at least 1");
        }
        if self.width == 0 || !self.width.is_multiple_of(2) {
            return error("width", "must be even and at least 2");
        }
        if self.heads == 0 || !self.grid_width().is_multiple_of(self.heads) {
            return error("heads", "must divide 32 times vision_config.width");
        }
        if self.image_size == 0 || !self.image_size.is_multiple_of(Self::STRIDE) {
            return error("image_size", "must be a multiple of 32");
        }
        Ok(())
    }
}

/// Vision Transformer. Missing keys take Hugging Face's defaults (ViT-B/32).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VitConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Attention heads; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Colour channels of the input.
    pub num_channels: usize,
    /// Side of the square input in pixels.
    pub image_size: usize,
    /// Side of a square patch in pixels; divides `image_size`.
    pub patch_size: usize,
    /// Activation of the MLP.
    pub hidden_act: Activation,
    /// Epsilon of every layer norm.
    pub layer_norm_eps: f64,
}

impl Default for VitConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

impl VitConfig {
    /// Number of patches `P` of one image, the class token not counted.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    fn check(&self) -> Result<(), ClipError> {
        for (field, value) in [
            ("vision_config.hidden_size", self.hidden_size),
            ("vision_config.intermediate_size", self.intermediate_size),
            ("vision_config.num_attention_heads", self.num_attention_heads),
            ("vision_config.image_size", self.image_size),
            ("vision_config.patch_size", self.patch_size),
        ] {
            at_least_one(field, value)?;
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let problem = "must divide vision_config.hidden_size";
            return Err(ClipError::config("vision_config.num_attention_heads", problem));
        }
        if !self.image_size.is_multiple_of(self.patch_size) {
            let problem = "must divide vision_config.image_size";
            return Err(ClipError::config("vision_config.patch_size", problem));
        }
        if self.num_channels != 3 {
            return Err(ClipError::config("vision_config.num_channels", "must be 3 (RGB)"));
        }
        Ok(())
    }
}

fn at_least_one(field: &str, value: usize) -> Result<(), ClipError> {
    match value {
        0 => Err(ClipError::config(field, "must be at least 1")),
        _ => Ok(()),
    }
}

/// Configuration of a CLIP model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClipConfig {
    /// Width `E` of the shared embedding space.
    pub projection_dim: usize,
    /// Start value of the learned logit scale (a natural logarithm).
    pub logit_scale_init_value: f64,
    /// Text tower.
    pub text_config: TextConfig,
    /// Image tower.
    pub vision_config: VisionConfig,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self::vit_b_32()
    }
}

impl ClipConfig {
    /// OpenAI's ViT-B/32: 224 pixels, 49 patches, `E = 512`.
    pub fn vit_b_32() -> Self {
        Self {
            projection_dim: 512,
            // ln(1 / 0.07), the start value of Radford et al. (2021).
            logit_scale_init_value: 2.6592,
            text_config: TextConfig::default(),
            vision_config: VisionConfig::default(),
        }
    }

    /// A model small enough to train on two CPU cores in about a minute: 48 pixels, patches of 8,
    /// width 128, three blocks a tower, `E = 128`, at most 32 tokens of a word-level vocabulary
    /// with `vocab_size` ids.
    pub fn tiny(vocab_size: usize, bos_token_id: u32, eos_token_id: u32) -> Self {
        Self {
            projection_dim: 128,
            text_config: TextConfig {
                vocab_size,
                hidden_size: 128,
                intermediate_size: 256,
                num_hidden_layers: 3,
                num_attention_heads: 4,
                max_position_embeddings: 32,
                bos_token_id,
                eos_token_id,
                ..TextConfig::default()
            },
            vision_config: VisionConfig::Vit(VitConfig {
                hidden_size: 128,
                intermediate_size: 256,
                num_hidden_layers: 3,
                num_attention_heads: 4,
                image_size: 48,
                patch_size: 8,
                ..VitConfig::default()
            }),
            ..Self::vit_b_32()
        }
    }

    /// The layout that has words for this model: Hugging Face's has no ResNets.
    pub fn natural_layout(&self) -> Layout {
        match self.vision_config {
            VisionConfig::ResNet(_) => Layout::OpenClip,
            VisionConfig::Vit(_) => Layout::HuggingFace,
        }
    }

    /// The same sizes with this activation in both towers.
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.text_config.hidden_act = activation;
        if let VisionConfig::Vit(vit) = &mut self.vision_config {
            vit.hidden_act = activation;
        }
        self
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// [`ClipError::Config`] naming the first field that does not.
    pub fn check(&self) -> Result<(), ClipError> {
        let text = &self.text_config;
        for (field, value) in [
            ("projection_dim", self.projection_dim),
            ("text_config.vocab_size", text.vocab_size),
            ("text_config.hidden_size", text.hidden_size),
            ("text_config.intermediate_size", text.intermediate_size),
            ("text_config.num_attention_heads", text.num_attention_heads),
        ] {
            at_least_one(field, value)?;
        }
        if text.max_position_embeddings < 2 {
            return Err(ClipError::config(
                "text_config.max_position_embeddings",
                "must be at least 2, for the start and the end token",
            ));
        }
        if !text.hidden_size.is_multiple_of(text.num_attention_heads) {
            return Err(ClipError::config(
                "text_config.num_attention_heads",
                "must divide text_config.hidden_size",
            ));
        }
        if text.bos_token_id as usize >= text.vocab_size
            || text.eos_token_id as usize >= text.vocab_size
        {
            return Err(ClipError::config(
                "text_config.eos_token_id",
                "and bos_token_id must be below text_config.vocab_size",
            ));
        }
        self.vision_config.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_consistent() {
        ClipConfig::vit_b_32().check().unwrap();
        ClipConfig::tiny(60, 0, 1).check().unwrap();
        assert_eq!(ClipConfig::vit_b_32().vision_config.positions(), 49);
    }

    #[test]
    fn a_bad_size_is_named() {
        let vit = VitConfig { patch_size: 33, ..VitConfig::default() };
        let config = ClipConfig { vision_config: VisionConfig::Vit(vit), ..ClipConfig::vit_b_32() };
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains("vision_config.patch_size"), "{message}");
    }

    #[test]
    fn missing_keys_take_the_published_defaults() {
        let config: ClipConfig =
            serde_json::from_str(r#"{"projection_dim": 24, "text_config": {"vocab_size": 600}}"#)
                .unwrap();
        assert_eq!(config.text_config.max_position_embeddings, 77);
        assert_eq!(config.vision_config, VisionConfig::default());
    }

    #[test]
    fn a_resnet_is_told_by_its_keys() {
        let resnet = ResNetConfig { layers: [3, 4, 6, 3], width: 64, heads: 32, image_size: 224 };
        let config =
            ClipConfig { vision_config: VisionConfig::ResNet(resnet), ..ClipConfig::vit_b_32() };
        config.check().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ClipConfig>(&text).unwrap(), config);
        assert_eq!(config.vision_config.grid_width(), 2048);
        assert_eq!(config.vision_config.positions(), 49);
    }
}
