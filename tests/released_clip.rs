//! The numbers that clipscore's authors give for their two example pictures, from released
//! weights of OpenAI's ViT-B/32. To run it, with the example folder of jmhessel/clipscore:
//!
//! ```sh
//! FINECAP_CLIP_WEIGHTS=ViT-B-32.pt FINECAP_CLIPSCORE_EXAMPLE=clipscore/example \
//!   cargo test --release --test released_clip -- --ignored
//! ```

use std::path::PathBuf;

use burn::tensor::Device;
use finecap::clip::{ClipPipeline, load_image};
use finecap::reward::{
    Candidate, ClipScore, ClipScoreConfig, RefClipDefinition, RefClipScore, Reward,
};
use serde_json::Value;

fn named_by(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.unwrap_or_else(|| panic!("set {variable}; the top of this file says how"))
}

#[test]
#[ignore = "needs OpenAI's ViT-B/32 and clipscore's example; the top of the file says how to run it"]
fn the_published_example_has_its_published_scores() {
    let weights = named_by("FINECAP_CLIP_WEIGHTS");
    let example = named_by("FINECAP_CLIPSCORE_EXAMPLE");
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(example.join(name)).unwrap()).unwrap()
    };
    let device = Device::flex();
    let pipeline = ClipPipeline::load(&weights, &device).unwrap();
    let pictures = ["image1", "image2"];
    let images: Vec<_> = (pictures.iter())
        .map(|name| load_image(&example.join(format!("images/{name}.jpg"))).unwrap())
        .collect();
    let images = pipeline.embed_images(&images, &device).unwrap().embedding;
    let references = read("refs.json");
    let references: Vec<Vec<String>> = (pictures.iter())
        .map(|name| serde_json::from_value(references[name].clone()).unwrap())
        .collect();
    let mut clip_s = ClipScore::new(ClipScoreConfig::default(), pipeline, images);
    let mut ref_clip_s =
        RefClipScore::new(clip_s.clone(), RefClipDefinition::Hessel, &references).unwrap();
    for (file, expected) in
        [("good_captions.json", [0.8584, 0.8450]), ("bad_captions.json", [0.7153, 0.7253])]
    {
        let captions = read(file);
        let candidates: Vec<Candidate> = (pictures.iter().enumerate())
            .map(|(image, name)| Candidate::new(image, captions[name].as_str().unwrap()))
            .collect();
        let mean = |scores: Vec<f32>| scores.iter().sum::<f32>() / 2.0;
        let found = [
            mean(clip_s.score(&candidates).unwrap()),
            mean(ref_clip_s.score(&candidates).unwrap()),
        ];
        for (found, expected) in found.iter().zip(expected) {
            // The authors computed in half precision and print four digits.
            assert!((found - expected).abs() < 1e-3, "{file}: {found}, published {expected}");
        }
    }
}
