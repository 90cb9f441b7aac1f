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
    /// [`ClipError::Tokens`] for a caption without an end token, or longer than the context.
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

    /// [`text_states`](Self::text_states) of at least one caption, computed in batches of `batch`
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
            .map(|captions| self.text_states(captions, device))
            .collect::<Result<Vec<_>, _>>()?;
        let rows = Tensor::from_data(row_of.as_slice(), device);
        Ok(Tensor::cat(batches, 0).select(0, rows))
    }

    /// States of all tokens of the captions, end tokens included, one caption after the other,
    /// computed in batches of `batch` captions of similar length.
    ///
    /// # Shapes
    /// - captions: token ids that end with the end token
    /// - output: `[T_1 + .. + T_N, D]` for captions of `T_i` tokens
    ///
    /// # Errors
    /// Those of [`encode_tokens`](Self::encode_tokens).
    pub fn token_states_by_length(
        &self,
        captions: &[Vec<u32>],
        batch: usize,
        device: &Device,
    ) -> Result<Tensor<2>, ClipError> {
        let mut order: Vec<usize> = (0..captions.len()).collect();
        order.sort_by_key(|&i| captions[i].len());
        let mut batches = Vec::new();
        let mut first_row = vec![0; captions.len()];
        let mut rows = 0;
        for chunk in order.chunks(batch) {
            let texts: Vec<Vec<u32>> = chunk.iter().map(|&i| captions[i].clone()).collect();
            let (ids, _) = self.token_batch(&texts, device)?;
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
        let n = captions.len();
        let mut ends = Vec::with_capacity(n);
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
        }
        let width = ends.iter().max().map_or(1, |&end| end as usize + 1);
        let mut flat = vec![self.eos_token_id as i64; n * width];
        for (row, ids) in captions.iter().enumerate() {
            for (slot, &id) in flat[row * width..(row + 1) * width].iter_mut().zip(ids) {
                *slot = id as i64;
            }
        }
        let ids = Tensor::from_data(TensorData::new(flat, [n, width]), device);
        let ends = Tensor::from_data(TensorData::new(ends, [n]), device);
        Ok((ids, ends))
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

/// Scales every row to length 1.
///
/// # Shapes
/// - x: `[N, E]` -> `[N, E]`
pub fn normalize(x: Tensor<2>) -> Tensor<2> {
    let norm = x.clone().powf_scalar(2.0).sum_dim(1).sqrt();
    x / norm
}
