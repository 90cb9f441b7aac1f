//! A full-size model against PyTorch, written by `fixtures/full_parity.sh`.

mod common;

use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use common::Expected;
use finecap_clip::{ClipPipeline, normalize};

/// Largest difference of normalised embeddings.
const BOUND: f32 = 2e-5;
/// Largest difference of the grid, relative to its largest value.
const GRID_BOUND: f32 = 1e-4;

fn difference<const D: usize>(ours: Tensor<D>, expected: Tensor<D>) -> f32 {
    assert_eq!(ours.dims(), expected.dims());
    (ours - expected).abs().max().into_scalar()
}

#[test]
#[ignore = "needs a full-size model: run fixtures/full_parity.sh, which makes one and asks for this test"]
fn a_full_size_model_agrees_with_pytorch() {
    let dir = std::env::var_os("FINECAP_FULL_MODEL").map(PathBuf::from);
    let dir = dir.expect("FINECAP_FULL_MODEL names the model of fixtures/full_parity.sh");
    let name = std::env::var("FINECAP_FULL_NAME").unwrap_or_default();
    let device = Device::flex();
    let expected = Expected::open(&dir.join("expected.safetensors"));
    let model = ClipPipeline::load(&dir, &device).unwrap().model;
    let image = normalize(model.encode_image(expected.floats("pixel_values")).embedding);
    let image = difference(image, expected.floats("image_embeds"));
    let text = normalize(model.encode_tokens(&expected.ids("input_ids"), &device).unwrap());
    let text = difference(text, expected.floats("text_embeds"));
    let grid = expected.has("grid").then(|| {
        let grid: Tensor<3> = expected.floats("grid");
        let largest: f32 = grid.clone().abs().max().into_scalar();
        difference(model.encode_grid(expected.floats("grid_pixels")), grid) / largest
    });
    let shown = grid.map_or("".to_string(), |grid| format!("{grid:.1e}"));
    println!("| {name} | {image:.1e} | {text:.1e} | {shown} |");
    assert!(image <= BOUND && text <= BOUND, "{name}: image {image}, text {text}");
    assert!(grid.unwrap_or(0.0) <= GRID_BOUND, "{name}: grid {grid:?}");
}
