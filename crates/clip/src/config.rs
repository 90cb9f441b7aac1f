//! Model configuration in the key names of Hugging Face's `config.json`.

use serde::{Deserialize, Serialize};

use crate::ClipError;

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

/// Image tower (vision Transformer). Missing keys take Hugging Face's defaults (ViT-B/32).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VisionConfig {
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

impl Default for VisionConfig {
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

impl VisionConfig {
    /// Number of patches `P` of one image, the class token not counted.
    pub fn patches(&self) -> usize {
        let side = self.image_size / self.patch_size;
        side * side
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
            vision_config: VisionConfig {
                hidden_size: 128,
                intermediate_size: 256,
                num_hidden_layers: 3,
                num_attention_heads: 4,
                image_size: 48,
                patch_size: 8,
                ..VisionConfig::default()
            },
            ..Self::vit_b_32()
        }
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// [`ClipError::Config`] naming the first field that does not.
    pub fn check(&self) -> Result<(), ClipError> {
        let (text, vision) = (&self.text_config, &self.vision_config);
        let positive = [
            ("projection_dim", self.projection_dim),
            ("text_config.vocab_size", text.vocab_size),
            ("text_config.hidden_size", text.hidden_size),
            ("text_config.intermediate_size", text.intermediate_size),
            ("text_config.num_attention_heads", text.num_attention_heads),
            ("vision_config.hidden_size", vision.hidden_size),
            ("vision_config.intermediate_size", vision.intermediate_size),
            ("vision_config.num_attention_heads", vision.num_attention_heads),
            ("vision_config.image_size", vision.image_size),
            ("vision_config.patch_size", vision.patch_size),
        ];
        for (field, value) in positive {
            if value == 0 {
                return Err(ClipError::config(field, "must be at least 1"));
            }
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
        if !vision.hidden_size.is_multiple_of(vision.num_attention_heads) {
            return Err(ClipError::config(
                "vision_config.num_attention_heads",
                "must divide vision_config.hidden_size",
            ));
        }
        if !vision.image_size.is_multiple_of(vision.patch_size) {
            return Err(ClipError::config(
                "vision_config.patch_size",
                "must divide vision_config.image_size",
            ));
        }
        if vision.num_channels != 3 {
            return Err(ClipError::config("vision_config.num_channels", "must be 3 (RGB)"));
        }
        if text.bos_token_id as usize >= text.vocab_size
            || text.eos_token_id as usize >= text.vocab_size
        {
            return Err(ClipError::config(
                "text_config.eos_token_id",
                "and bos_token_id must be below text_config.vocab_size",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_consistent() {
        ClipConfig::vit_b_32().check().unwrap();
        ClipConfig::tiny(60, 0, 1).check().unwrap();
        assert_eq!(ClipConfig::vit_b_32().vision_config.patches(), 49);
    }

    #[test]
    fn a_bad_size_is_named() {
        let mut config = ClipConfig::vit_b_32();
        config.vision_config.patch_size = 33;
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains("vision_config.patch_size"), "{message}");
    }

    #[test]
    fn missing_keys_take_the_published_defaults() {
        let config: ClipConfig =
            serde_json::from_str(r#"{"projection_dim": 24, "text_config": {"vocab_size": 600}}"#)
                .unwrap();
        assert_eq!(config.text_config.max_position_embeddings, 77);
        assert_eq!(config.vision_config.patch_size, 32);
    }
}
