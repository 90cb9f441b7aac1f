//! The numbers that clipscore's authors give for their two example pictures, from released
//! weights of OpenAI's ViT-B/32, where somebody has them.

use std::path::Path;

use burn::tensor::Device;
use finecap::clip::{ClipPipeline, load_image};
use finecap::reward::{
    Candidate, ClipScore, ClipScoreConfig, RefClipDefinition, RefClipScore, Reward,
};
use serde_json::Value;

#[test]
fn the_published_example_has_its_published_scores() {
    let Ok(weights) = std::env::var("FINECAP_CLIP_WEIGHTS") else {
        println!("skipped: FINECAP_CLIP_WEIGHTS names no weights of OpenAI's ViT-B/32");
        return;
    };
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).to_path_buf();
    let example = root.join("../shared/data/clipscore-example");
    if !example.is_dir() {
        println!("skipped: {} is not there", example.display());
        return;
    }
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(example.join(name)).unwrap()).unwrap()
    };
    let device = Device::flex();
    let pipeline = ClipPipeline::load(Path::new(&weights), &device).unwrap();
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
