//! One text tower for several rewards.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor};
use finecap_clip::{ClipPipeline, normalize, prompted};

use crate::RewardError;

/// Encodes captions for all rewards that read the same text tower: a batch that was just encoded
/// for one of them is not encoded again for the next. Clones share the tower and its last batch.
///
/// Nothing is remembered beyond one batch: the last bits of an embedding depend on what it is
/// encoded with, and a resumed run must see the same ones.
#[derive(Clone)]
pub struct TextEncoder {
    pipeline: ClipPipeline,
    device: Device,
    last: Arc<Mutex<Option<Batch>>>,
}

/// Texts and their states.
type Batch = (Vec<String>, Tensor<2>);

impl TextEncoder {
    /// An encoder that computes on `device`, where the weights are.
    pub fn new(pipeline: ClipPipeline, device: &Device) -> Self {
        Self { pipeline, device: device.clone(), last: Arc::default() }
    }

    /// The model behind it.
    pub fn pipeline(&self) -> &ClipPipeline {
        &self.pipeline
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// End-token states of captions behind a prompt, in order. Equal captions are encoded once.
    ///
    /// # Shapes
    /// - output: `[N, D]`
    ///
    /// # Errors
    /// See [`ClipPipeline::text_states`].
    pub fn states<S: AsRef<str>>(
        &self,
        prompt: &str,
        captions: &[S],
    ) -> Result<Tensor<2>, RewardError> {
        let texts: Vec<String> = captions.iter().map(|c| prompted(prompt, c.as_ref())).collect();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, states)) = last.as_ref()
            && *known == texts
        {
            return Ok(states.clone());
        }
        let states = self.pipeline.text_states(&texts, &self.device)?;
        *last = Some((texts, states.clone()));
        Ok(states)
    }

    /// Unit-length embeddings of captions behind a prompt, on the host.
    ///
    /// # Errors
    /// Those of [`states`](Self::states).
    pub(crate) fn embeddings<S: AsRef<str>>(
        &self,
        prompt: &str,
        captions: &[S],
    ) -> Result<Vec<Vec<f32>>, RewardError> {
        let states = self.states(prompt, captions)?;
        Ok(rows(normalize(self.pipeline.model.project_text(states))))
    }
}

/// Copies a matrix `[N, E]` to the host, row by row.
pub(crate) fn rows(matrix: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = matrix.dims();
    let values: Vec<f32> = matrix.into_data().iter::<f32>().collect();
    values.chunks(width.max(1)).map(<[f32]>::to_vec).collect()
}
