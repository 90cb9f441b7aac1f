//! Which model a file holds, from the names and shapes of its tensors.

use std::collections::BTreeSet;

use finecap_weights::TensorInfo;

use super::names::Layout;
use crate::config::{ResNetConfig, TextConfig, VitConfig};
use crate::{Activation, ClipConfig, VisionConfig};

/// A CLIP found among tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipGuess {
    /// What stands before the names of all its tensors; often nothing.
    pub prefix: String,
    /// Whose names they are.
    pub layout: Layout,
    /// Sizes. The activation is not in the tensors; it is [`Activation::QuickGelu`] here.
    pub config: ClipConfig,
}

/// Finds the CLIP among tensors and its sizes, or says why there is none.
///
/// # Errors
/// One sentence about what is missing.
pub fn guess_clip(tensors: &[TensorInfo]) -> Result<ClipGuess, String> {
    let found = find_clip(tensors)?;
    if let Some(tower) = found.alone {
        return Err(format!(
            "holds {tower} tower alone, whose sizes are in its config.json: give the folder"
        ));
    }
    let config = Sizes { tensors, names: &found }.config()?;
    Ok(ClipGuess { prefix: found.prefix, layout: found.layout, config })
}

/// One of CLIP's towers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tower {
    /// Captions to embeddings.
    Text,
    /// Pictures to embeddings.
    Image,
}

impl std::fmt::Display for Tower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "a text",
            Self::Image => "an image",
        })
    }
}

/// Where the CLIP is among tensors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FoundClip {
    /// What stands before all names.
    pub prefix: String,
    /// What stands before those of the text tower: OpenCLIP's `CustomTextCLIP` puts `text.` there.
    pub text_prefix: String,
    pub layout: Layout,
    /// The tower that is there, if the other is not.
    pub alone: Option<Tower>,
}

impl FoundClip {
    /// The file's name for one of the layout's.
    pub fn name(&self, name: &str) -> String {
        let is_text =
            !["visual", "vision_model.", "logit_"].iter().any(|start| name.starts_with(start));
        format!("{}{name}", if is_text { &self.text_prefix } else { &self.prefix })
    }
}

/// The CLIP among tensors.
pub(crate) fn find_clip(tensors: &[TensorInfo]) -> Result<FoundClip, String> {
    let lora = |name: &str| {
        [".lora_A.", ".lora_B.", ".base_layer."].iter().any(|part| name.contains(part))
    };
    if let Some(tensor) = tensors.iter().find(|tensor| lora(&tensor.name)) {
        return Err(format!(
            "holds LoRA's tensors (`{}`) that are not merged into the model: load it in Python with \
             PEFT, call `merge_and_unload()`, and save that",
            tensor.name
        ));
    }
    for (layout, text, image) in [
        (
            Layout::HuggingFace,
            "text_model.embeddings.token_embedding.weight",
            "vision_model.embeddings.class_embedding",
        ),
        (Layout::OpenClip, "token_embedding.weight", ""),
    ] {
        let text = prefix(tensors, text)?;
        let image = if image.is_empty() { None } else { prefix(tensors, image)? };
        let has = |start: &str| tensors.iter().any(|tensor| tensor.name.starts_with(start));
        return Ok(match (text, image, layout) {
            (Some(text), image, Layout::HuggingFace) => {
                let alone = image.is_none().then_some(Tower::Text);
                FoundClip { prefix: text.into(), text_prefix: text.into(), layout, alone }
            }
            (None, Some(image), _) => FoundClip {
                prefix: image.into(),
                text_prefix: image.into(),
                layout,
                alone: Some(Tower::Image),
            },
            (Some(text), _, Layout::OpenClip) => {
                let outer =
                    text.strip_suffix("text.").filter(|outer| has(&format!("{outer}visual.")));
                let prefix = outer.unwrap_or(text).into();
                FoundClip { prefix, text_prefix: text.into(), layout, alone: None }
            }
            (None, None, _) => continue,
        });
    }
    Err("holds no CLIP model: none of its tensors is named `token_embedding.weight`".into())
}

/// What stands before the one tensor whose name ends so.
fn prefix<'a>(tensors: &'a [TensorInfo], end: &str) -> Result<Option<&'a str>, String> {
    let prefixes: Vec<&str> = (tensors.iter())
        .filter_map(|tensor| tensor.name.strip_suffix(end))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .collect();
    match prefixes.as_slice() {
        [] => Ok(None),
        [prefix] => Ok(Some(prefix)),
        [first, second, ..] => {
            Err(format!("holds several CLIP models, under `{first}` and `{second}`"))
        }
    }
}

/// Image towers whose heads are not 64 wide: width of the tower, width of a head.
const HEAD_WIDTHS: [(usize, usize); 3] = [(1280, 80), (1408, 88), (1664, 104)];

struct Sizes<'a> {
    tensors: &'a [TensorInfo],
    names: &'a FoundClip,
}

impl Sizes<'_> {
    fn config(&self) -> Result<ClipConfig, String> {
        let (text_blocks, mlp, projection) = match self.names.layout {
            Layout::HuggingFace => {
                ("text_model.encoder.layers.", "mlp.fc1.bias", "text_projection.weight")
            }
            Layout::OpenClip => ("transformer.resblocks.", "mlp.c_fc.bias", "text_projection"),
        };
        let (token, position) = match self.names.layout {
            Layout::HuggingFace => (
                "text_model.embeddings.token_embedding.weight",
                "text_model.embeddings.position_embedding.weight",
            ),
            Layout::OpenClip => ("token_embedding.weight", "positional_embedding"),
        };
        let [vocab_size, width] = self.shape(token)?;
        let [context, _] = self.shape(position)?;
        let [a, b] = self.shape(projection)?;
        // `[E, D]` of a linear layer, or `[D, E]` of a matrix.
        let projection_dim = if self.names.layout == Layout::HuggingFace { a } else { b };
        let [intermediate_size] = self.shape(&format!("{text_blocks}0.{mlp}"))?;
        let text_config = TextConfig {
            vocab_size,
            hidden_size: width,
            intermediate_size,
            num_hidden_layers: self.blocks(text_blocks),
            num_attention_heads: heads(width, 64)?,
            max_position_embeddings: context,
            // The two highest ids, as in every CLIP.
            bos_token_id: (vocab_size as u32).saturating_sub(2),
            eos_token_id: (vocab_size as u32).saturating_sub(1),
            hidden_act: Activation::QuickGelu,
            ..TextConfig::default()
        };
        let vision_config = if self.find("visual.attnpool.positional_embedding").is_some() {
            VisionConfig::ResNet(self.resnet()?)
        } else {
            VisionConfig::Vit(self.vit(mlp)?)
        };
        Ok(ClipConfig { projection_dim, text_config, vision_config, ..ClipConfig::vit_b_32() })
    }

    fn vit(&self, mlp: &str) -> Result<VitConfig, String> {
        let (blocks, patches, position) = match self.names.layout {
            Layout::HuggingFace => (
                "vision_model.encoder.layers.",
                "vision_model.embeddings.patch_embedding.weight",
                "vision_model.embeddings.position_embedding.weight",
            ),
            Layout::OpenClip => (
                "visual.transformer.resblocks.",
                "visual.conv1.weight",
                "visual.positional_embedding",
            ),
        };
        let [width, num_channels, patch_size, _] = self.shape(patches)?;
        let [positions, _] = self.shape(position)?;
        let [intermediate_size] = self.shape(&format!("{blocks}0.{mlp}"))?;
        let head = HEAD_WIDTHS.iter().find(|(of, _)| *of == width).map_or(64, |(_, head)| *head);
        Ok(VitConfig {
            hidden_size: width,
            intermediate_size,
            num_hidden_layers: self.blocks(blocks),
            num_attention_heads: heads(width, head)?,
            num_channels,
            image_size: positions.saturating_sub(1).isqrt() * patch_size,
            patch_size,
            ..VitConfig::default()
        })
    }

    fn resnet(&self) -> Result<ResNetConfig, String> {
        let [width, ..] = self.shape::<4>("visual.conv3.weight")?;
        let [positions, grid_width] = self.shape("visual.attnpool.positional_embedding")?;
        let layers = [1, 2, 3, 4].map(|stage| self.blocks(&format!("visual.layer{stage}.")));
        Ok(ResNetConfig {
            layers,
            width,
            heads: heads(grid_width, 64)?,
            image_size: positions.saturating_sub(1).isqrt() * ResNetConfig::STRIDE,
        })
    }

    fn find(&self, name: &str) -> Option<&TensorInfo> {
        {
            let name = self.names.name(name);
            self.tensors.iter().find(|tensor| tensor.name == name)
        }
    }

    fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D], String> {
        let tensor = self.find(name).ok_or_else(|| {
            format!("holds no complete CLIP model: tensor `{}` is missing", self.names.name(name))
        })?;
        tensor.shape.as_slice().try_into().map_err(|_| {
            format!(
                "holds no CLIP model: tensor `{}` has {} dimensions, not {D}",
                tensor.name,
                tensor.shape.len()
            )
        })
    }

    /// How many numbers follow `start` in names.
    fn blocks(&self, start: &str) -> usize {
        let start = self.names.name(start);
        let numbers: BTreeSet<&str> = (self.tensors.iter())
            .filter_map(|tensor| tensor.name.strip_prefix(&start))
            .filter_map(|rest| rest.split('.').next())
            .collect();
        numbers.len()
    }
}

fn heads(width: usize, head: usize) -> Result<usize, String> {
    match width.is_multiple_of(head) && width > 0 {
        true => Ok(width / head),
        false => Err(format!(
            "does not say how many heads a tower {width} wide has: load the folder with its \
             config.json or open_clip_config.json"
        )),
    }
}
