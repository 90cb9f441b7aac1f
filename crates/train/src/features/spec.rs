//! What a CLIP model makes of pictures, in the words of a [`FeatureSpec`].

use finecap_captioner::{CaptionerConfig, FeatureSource, FeatureSpec};
use finecap_clip::{Activation, ClipPipeline, Fit, PreprocessConfig, ResNetConfig, VisionConfig};

use crate::TrainError;
use crate::fingerprint::image_tower_fingerprint;

/// The filter of every resizing, see [`PreprocessConfig::resize`].
const RESAMPLE: &str = "bicubic";

/// What the image tower of `pipeline` makes of pictures that `preprocess` prepares: the grid of its
/// last layer.
///
/// # Errors
/// A size that the tower cannot read; weights that cannot be read back from their device.
pub fn clip_features(
    pipeline: &ClipPipeline,
    preprocess: &PreprocessConfig,
) -> Result<FeatureSpec, TrainError> {
    let vision = &pipeline.config.vision_config;
    let positions = positions(vision, preprocess.size)
        .map_err(|problem| TrainError::setting("size", problem))?;
    let PreprocessConfig { size, fit, mean, std } = *preprocess;
    Ok(FeatureSpec {
        source: FeatureSource::Clip,
        grid: [positions, vision.grid_width()],
        layer: Some("grid".into()),
        model: Some(model(vision)),
        weights: Some(image_tower_fingerprint(&pipeline.model)?),
        activation: Some(activation(vision).into()),
        size: Some(size),
        fit: Some(fit_name(fit).into()),
        resample: Some(RESAMPLE.into()),
        mean: Some(mean),
        std: Some(std),
    })
}

/// How pictures must be prepared for `pipeline` to give `captioner` what it was trained on: as its
/// own [`FeatureSpec`] says, and as the CLIP model asks for where it says nothing. Returns also
/// what cannot be compared, see [`CaptionerConfig::check_spec`].
///
/// # Errors
/// A CLIP model that cannot give these features, naming what differs.
pub fn preprocess_for(
    captioner: &CaptionerConfig,
    pipeline: &ClipPipeline,
) -> Result<(PreprocessConfig, Vec<&'static str>), TrainError> {
    let mut preprocess = pipeline.preprocess.clone();
    if let Some(spec) = &captioner.features {
        if let Some(name) = &spec.fit {
            let fits = [Fit::CentreCrop, Fit::Squash];
            preprocess.fit =
                fits.into_iter().find(|fit| fit_name(*fit) == name).ok_or_else(|| {
                    let problem = format!("is {name}, which this finecap does not know");
                    TrainError::setting("features.fit", problem)
                })?;
        }
        preprocess.mean = spec.mean.unwrap_or(preprocess.mean);
        preprocess.std = spec.std.unwrap_or(preprocess.std);
        if let Some(size) = spec.size {
            preprocess.size = size;
            positions(&pipeline.config.vision_config, size).map_err(|problem| {
                let problem = format!(
                    "of the pictures that the captioner was trained on {problem}: name the CLIP \
                     model that made its features"
                );
                TrainError::setting("features.size", problem)
            })?;
        }
    }
    let untold = captioner.check_spec(&clip_features(pipeline, &preprocess)?)?;
    Ok((preprocess, untold))
}

/// Positions of the grid of a picture of `size` pixels a side.
fn positions(vision: &VisionConfig, size: u32) -> Result<usize, String> {
    let side = size as usize;
    match vision {
        VisionConfig::ResNet(resnet) => {
            let stride = ResNetConfig::STRIDE;
            let most = PreprocessConfig::MAX_SIZE;
            if side == 0 || !side.is_multiple_of(stride) || size > most {
                return Err(format!(
                    "is {size}, but a ResNet reads multiples of {stride} up to {most}"
                ));
            }
            Ok(ResNetConfig { image_size: side, ..resnet.clone() }.positions())
        }
        VisionConfig::Vit(_) if side == vision.image_size() => Ok(vision.positions()),
        VisionConfig::Vit(_) => {
            Err(format!("is {size}, but this ViT reads {} pixels only", vision.image_size()))
        }
    }
}

/// Kind and sizes of an image tower: all that its weights' numbers do not tell.
fn model(vision: &VisionConfig) -> String {
    match vision {
        VisionConfig::ResNet(c) => FeatureSpec::resnet(c.layers, c.width, c.heads),
        VisionConfig::Vit(c) => format!(
            "ViT of {} blocks, width {}, MLP {}, {} heads, patches of {}, epsilon {:e}",
            c.num_hidden_layers,
            c.hidden_size,
            c.intermediate_size,
            c.num_attention_heads,
            c.patch_size,
            c.layer_norm_eps
        ),
    }
}

fn activation(vision: &VisionConfig) -> &'static str {
    match vision {
        VisionConfig::ResNet(_) => "relu",
        VisionConfig::Vit(c) => match c.hidden_act {
            Activation::QuickGelu => "quick_gelu",
            Activation::Gelu => "gelu",
        },
    }
}

fn fit_name(fit: Fit) -> &'static str {
    match fit {
        Fit::CentreCrop => "centre_crop",
        Fit::Squash => "squash",
    }
}
