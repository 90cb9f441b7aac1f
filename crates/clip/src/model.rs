//! The two towers, their projections and the logit scale.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::ClipError;
use crate::config::{ClipConfig, VisionConfig};
use crate::text::TextTower;
use crate::transformer::linear;
use crate::vision::VisionTower;

/// A CLIP model: two encoders into one embedding space.
#[derive(Module, Debug)]
pub struct Clip {
    text_model: TextTower,
    vision_model: VisionTower,
    text_projection: Linear,
    /// None where the image tower ends with its own.
    visual_projection: Option<Linear>,
    /// Natural logarithm of the factor on cosines; `[1]`.
    logit_scale: Param<Tensor<1>>,
    eos_token_id: u32,
    context_length: usize,
}

/// What the image tower sees in a batch of pictures.
pub struct ImageFeatures {
    /// `[B, E]`, not normalised.
    pub embedding: Tensor<2>,
    /// `[B, P, D]`, row by row: a ResNet's last stage, or a ViT's last hidden states of the
    /// patches, class token left out.
    pub grid: Tensor<3>,
}

impl ClipConfig {
    /// Creates a model with fresh weights, drawn on `device` in a fixed order: after
    /// [`Device::seed`] the same weights come out again.
    ///
    /// # Errors
    /// [`ClipError::Config`] where the sizes don't fit together.
    pub fn init(&self, device: &Device) -> Result<Clip, ClipError> {
        Ok(self.build(device)?.materialize())
    }

    /// The model without weights yet: each is drawn when it is first used.
    pub(crate) fn build(&self, device: &Device) -> Result<Clip, ClipError> {
        self.check()?;
        let (text, vision) = (&self.text_config, &self.vision_config);
        let projection = |width: usize| {
            linear(width, self.projection_dim, (width as f64).powf(-0.5), false, device)
        };
        Ok(Clip {
            text_model: text.init(device),
            vision_model: vision.init(self.projection_dim, device),
            text_projection: projection(text.hidden_size),
            visual_projection: match vision {
                VisionConfig::ResNet(_) => None,
                VisionConfig::Vit(vit) => Some(projection(vit.hidden_size)),
            },
            logit_scale: Initializer::Constant { value: self.logit_scale_init_value }
                .init([1], device),
            eos_token_id: text.eos_token_id,
            context_length: text.max_position_embeddings,
        })
    }
}

impl Clip {
    /// Encodes pictures, giving the embedding and the patch grid from one pass.
    ///
    /// # Shapes
    /// - pixels: `[B, 3, S, S]`, as [`PreprocessConfig`](crate::PreprocessConfig) prepares them
    ///
    /// # Panics
    /// For pixels of another shape.
    pub fn encode_image(&self, pixels: Tensor<4>) -> ImageFeatures {
        match &self.vision_model {
            VisionTower::ResNet(tower) => {
                let grid = tower.grid(pixels);
                ImageFeatures { embedding: tower.pool(grid.clone()), grid }
            }
            VisionTower::Vit(tower) => {
                let hidden = tower.hidden_states(pixels);
                let patches = hidden.dims()[1] - 1;
                let grid = hidden.clone().narrow(1, 1, patches);
                let pooled = tower.pool(hidden);
                let embedding = match &self.visual_projection {
                    Some(projection) => projection.forward(pooled),
                    None => pooled,
                };
                ImageFeatures { embedding, grid }
            }
        }
    }

    /// States of the grid, without the embedding: a ResNet gives them for pictures of any size.
    ///
    /// # Shapes
    /// - pixels: `[B, 3, H, W]`; a ViT takes its own size only, a ResNet sides that are multiples
    ///   of 32
    /// - output: `[B, P, D]`, see [`ImageFeatures::grid`]
    ///
    /// # Panics
    /// For pixels of another shape.
    pub fn encode_grid(&self, pixels: Tensor<4>) -> Tensor<3> {
        self.vision_model.grid(pixels)
    }

    /// Encodes token ids.
    ///
    /// # Shapes
    /// - ids: `[N, T]`; ends: `[N]`, see [`TextTower::forward`]
    /// - output: `[N, E]`, not normalised
    pub fn encode_text(&self, ids: Tensor<2, Int>, ends: Tensor<1, Int>) -> Tensor<2> {
        self.text_projection.forward(self.text_model.forward(ids, ends))
    }

    /// Encodes captions of different lengths, given as token ids with start and end token.
    ///
    /// The batch is only as wide as its longest caption, and pools at the first end token.
    ///
    /// # Shapes
    /// - output: `[N, E]`, not normalised
    ///
    /// # Errors
    /// [`ClipError::Tokens`] for a caption without an end token, an end token beyond the context,
    /// or an id that the model does not know.
    pub fn encode_tokens(
        &self,
        captions: &[Vec<u32>],
        device: &Device,
    ) -> Result<Tensor<2>, ClipError> {
        Ok(self.project_text(self.text_states(captions, device)?))
    }

    /// States of the captions' end tokens before the projection, for heads on the text tower.
    ///
    /// # Shapes
    /// - output: `[N, D]`
    ///
    /// # Errors
    /// Those of [`encode_tokens`](Self::encode_tokens).
    pub fn text_states(
        &self,
        captions: &[Vec<u32>],
        device: &Device,
    ) -> Result<Tensor<2>, ClipError> {
        let (ids, ends) = self.token_batch(captions, device)?;
        Ok(self.text_model.forward(ids, ends))
    }

    /// [`text_states`](Self::text_states) of captions, computed in batches of `batch`
    /// captions of similar length, so that a single long one does not make all others as long.
    /// Equal captions are encoded once.
    ///
    /// # Shapes
    /// - output: `[N, D]`, in the order of `captions`
    ///
    /// # Errors
    /// Those of [`encode_tokens`](Self::encode_tokens).
    pub fn text_states_by_length(
        &self,
        captions: &[Vec<u32>],
        batch: usize,
        device: &Device,
    ) -> Result<Tensor<2>, ClipError> {
        if captions.is_empty() {
            return Ok(Tensor::zeros([0, self.token_embeddings().dims()[1]], device));
        }
        let mut order: Vec<usize> = (0..captions.len()).collect();
        order.sort_by_key(|&i| (captions[i].len(), &captions[i]));
        let mut unique: Vec<Vec<u32>> = Vec::new();
        let mut row_of = vec![0i64; captions.len()];
        for i in order {
            if unique.last() != Some(&captions[i]) {
                unique.push(captions[i].clone());
            }
            row_of[i] = unique.len() as i64 - 1;
        }
        let batches = unique
            .chunks(batch)
            .map(|captions| match captions {
                // A row alone takes another way through the products and gets other last bits.
                [alone] => {
                    let states = self.text_states(&[alone.clone(), alone.clone()], device)?;
                    Ok(states.narrow(0, 0, 1))
                }
                captions => self.text_states(captions, device),
            })
            .collect::<Result<Vec<_>, ClipError>>()?;
        let rows = Tensor::from_data(row_of.as_slice(), device);
        Ok(Tensor::cat(batches, 0).select(0, rows))
    }

    /// States of all tokens of the captions, one caption after the other, computed in batches of
    /// `batch` captions of similar length. An end token, or several, may stand anywhere.
    ///
    /// # Shapes
    /// - output: `[T_1 + .. + T_N, D]` for captions of `T_i` tokens
    ///
    /// # Errors
    /// [`ClipError::Tokens`] for a caption longer than the context, or with an id that the model
    /// does not know.
    pub fn token_states_by_length(
        &self,
        captions: &[Vec<u32>],
        batch: usize,
        device: &Device,
    ) -> Result<Tensor<2>, ClipError> {
        if captions.iter().all(Vec::is_empty) {
            return Ok(Tensor::zeros([0, self.token_embeddings().dims()[1]], device));
        }
        let mut order: Vec<usize> = (0..captions.len()).collect();
        order.sort_by_key(|&i| captions[i].len());
        let mut batches = Vec::new();
        let mut first_row = vec![0; captions.len()];
        let mut rows = 0;
        for chunk in order.chunks(batch) {
            let texts: Vec<&[u32]> = chunk.iter().map(|&i| captions[i].as_slice()).collect();
            let ids = self.id_rows(&texts, device)?;
            let states = self.text_model.token_states(ids);
            let [n, width, d] = states.dims();
            batches.push(states.reshape([n * width, d]));
            for &i in chunk {
                first_row[i] = rows;
                rows += width;
            }
        }
        let rows: Vec<i64> = (captions.iter().zip(first_row))
            .flat_map(|(caption, first)| first as i64..(first + caption.len()) as i64)
            .collect();
        let rows = Tensor::from_data(rows.as_slice(), device);
        Ok(Tensor::cat(batches, 0).select(0, rows))
    }

    /// Projects end-token states into the embedding space.
    ///
    /// # Shapes
    /// - states: `[N, D]`; output: `[N, E]`, not normalised
    pub fn project_text(&self, states: Tensor<2>) -> Tensor<2> {
        self.text_projection.forward(states)
    }

    fn token_batch(
        &self,
        captions: &[Vec<u32>],
        device: &Device,
    ) -> Result<(Tensor<2, Int>, Tensor<1, Int>), ClipError> {
        let mut ends = Vec::with_capacity(captions.len());
        let mut texts = Vec::with_capacity(captions.len());
        for (row, ids) in captions.iter().enumerate() {
            let end = ids
                .iter()
                .position(|&id| id == self.eos_token_id)
                .ok_or_else(|| ClipError::Tokens { row, problem: "it has no end token".into() })?;
            if end >= self.context_length {
                let problem = format!(
                    "its end token stands at position {end}, beyond the context of {}",
                    self.context_length
                );
                return Err(ClipError::Tokens { row, problem });
            }
            ends.push(end as i64);
            texts.push(&ids[..=end]);
        }
        let ends_data = TensorData::new(ends, [captions.len()]);
        Ok((self.id_rows(&texts, device)?, Tensor::from_data(ends_data, device)))
    }

    /// Captions as rows `[N, T]` as wide as the longest, filled up behind with the end token.
    fn id_rows(&self, captions: &[&[u32]], device: &Device) -> Result<Tensor<2, Int>, ClipError> {
        let width = captions.iter().map(|ids| ids.len()).max().unwrap_or(0).max(1);
        let known = self.token_embeddings().dims()[0];
        let mut flat = vec![self.eos_token_id as i64; captions.len() * width];
        for (row, (ids, slots)) in captions.iter().zip(flat.chunks_mut(width)).enumerate() {
            let wrong = |problem| Err(ClipError::Tokens { row, problem });
            if ids.len() > self.context_length {
                let (length, most) = (ids.len(), self.context_length);
                return wrong(format!("it has {length} tokens, the context is {most}"));
            }
            if let Some(id) = ids.iter().find(|&&id| id as usize >= known) {
                return wrong(format!("the id {id} is beyond the model's {known} tokens"));
            }
            for (slot, &id) in slots.iter_mut().zip(*ids) {
                *slot = id as i64;
            }
        }
        Ok(Tensor::from_data(TensorData::new(flat, [captions.len(), width]), device))
    }

    /// Embeddings of all tokens, `[V, D]`.
    pub fn token_embeddings(&self) -> Tensor<2> {
        self.text_model.token_embeddings().val()
    }

    /// The model with other embeddings of its tokens, from which training can begin.
    ///
    /// # Shapes
    /// - rows: `[V, D]`
    ///
    /// # Errors
    /// [`ClipError::Config`] for any other shape.
    pub fn with_token_embeddings(mut self, rows: Tensor<2>) -> Result<Self, ClipError> {
        let old = self.text_model.token_embeddings();
        if old.dims() != rows.dims() {
            return Err(ClipError::Config {
                what: "token embeddings".into(),
                reason: format!("are {:?}, but must be {:?}", rows.dims(), old.dims()),
            });
        }
        self.text_model.set_token_embeddings(rows);
        Ok(self)
    }

    /// Natural logarithm of the factor on cosines, `[1]`.
    pub fn logit_scale(&self) -> Tensor<1> {
        self.logit_scale.val()
    }

    /// Number of tokens the text tower has positions for.
    pub fn context_length(&self) -> usize {
        self.context_length
    }
}

/// Scales every row to length 1. A row shorter than 1e-12 is divided by that instead, as PyTorch's
/// `normalize` does: a row of zeros stays zeros, and no gradient becomes infinite.
///
/// # Shapes
/// - x: `[N, E]` -> `[N, E]`
pub fn normalize(x: Tensor<2>) -> Tensor<2> {
    let squares = x.clone().powf_scalar(2.0).sum_dim(1);
    x / squares.clamp_min(1e-24).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_all_tokens_are_those_of_their_own_caption() {
        let device = Device::flex();
        let clip = ClipConfig::tiny(20, 18, 19).init(&device).unwrap();
        // The first has an end token in its middle.
        let captions = [vec![18, 3, 19, 4, 5, 19], vec![18, 7, 19], vec![18, 9, 9, 19]];
        let together = clip.token_states_by_length(&captions, 8, &device).unwrap();
        assert_eq!(together.dims(), [13, 128]);
        let mut first = 0;
        for caption in &captions {
            let ids = Tensor::<1, Int>::from_ints(
                caption.iter().map(|&id| id as i32).collect::<Vec<_>>().as_slice(),
                &device,
            );
            let alone = clip.text_model.token_states(ids.unsqueeze()).squeeze_dim::<2>(0);
            let rows = together.clone().narrow(0, first, caption.len());
            let difference: f32 = (rows - alone).abs().max().into_scalar();
            assert!(difference < 1e-5, "{caption:?}: {difference}");
            first += caption.len();
        }
    }

    #[test]
    fn impossible_ids_are_errors() {
        let device = Device::flex();
        let clip = ClipConfig::tiny(20, 18, 19).init(&device).unwrap();
        for (caption, expected) in [
            (vec![18, 20, 19], "the id 20 is beyond"),
            (vec![18, 3], "no end token"),
            ([vec![18; 40], vec![19]].concat(), "beyond the context"),
        ] {
            let error = clip.text_states(&[vec![18, 19], caption], &device).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("caption 1") && error.contains(expected), "{error}");
        }
        assert!(clip.token_states_by_length(&[vec![18; 33]], 8, &device).is_err());
        assert_eq!(clip.token_states_by_length(&[], 8, &device).unwrap().dims(), [0, 128]);
        assert_eq!(clip.text_states_by_length(&[], 8, &device).unwrap().dims(), [0, 128]);
    }

    #[test]
    fn a_row_of_zeros_stays_zeros() {
        let x = Tensor::<2>::from_data([[0.0, 0.0], [3.0, 4.0]], &Device::flex());
        let values: Vec<f32> = normalize(x).into_data().iter::<f32>().collect();
        assert_eq!(values, [0.0, 0.0, 0.6, 0.8]);
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::zeros([1, 2], &device).require_grad();
        let gradients = normalize(x.clone()).sum().backward();
        let gradient: Vec<f32> = x.grad(&gradients).unwrap().into_data().iter::<f32>().collect();
        assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
    }
}
