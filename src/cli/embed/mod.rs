//! `finecap embed text|image`

mod image;
mod text;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use clap::Subcommand;
use finecap::clip::normalize;

#[derive(Subcommand)]
pub enum Embed {
    /// Captions, one a line: one row each, in their order.
    Text(text::Text),
    /// Pictures: one row each, in the order of their names.
    Image(image::Image),
}

impl Embed {
    pub fn run(self, device: &Device) -> Result<()> {
        match self {
            Self::Text(text) => text.run(device),
            Self::Image(image) => image.run(device),
        }
    }
}

/// Embeddings on the host, scaled to length 1 unless `raw`.
fn rows(embedding: Tensor<2>, raw: bool) -> Vec<f32> {
    let embedding = if raw { embedding } else { normalize(embedding) };
    embedding.into_data().iter::<f32>().collect()
}
