use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_store::SafetensorsStore;
use safetensors::SafeTensors;

use super::distance;
use crate::folder::load_weights;
use crate::{
    BeamSearch, Captioner, CaptionerConfig, Decoding, Draws, Norm, Teacher, token_log_probs,
};

/// The names of the published captioners' tensors, as patterns, with ours.
const NAMES: [(&str, &str); 14] = [
    (r"^att_embed\.0\.", "feature_embed."),
    (r"^model\.generator\.proj\.", "output."),
    (r"^model\.tgt_embed\.0\.lut\.", "decoder.embedding."),
    (r"^model\.", ""),
    (r"\.src_attn\.", ".cross_attn."),
    (r"\.linears\.0\.", ".q."),
    (r"\.linears\.1\.", ".k."),
    (r"\.linears\.2\.", ".v."),
    (r"\.linears\.3\.", ".out."),
    (r"\.w_([12])\.", ".linear_$1."),
    (r"\.sublayer\.0\.norm\.", ".norm_1."),
    (r"\.sublayer\.1\.norm\.", ".norm_2."),
    (r"\.sublayer\.2\.norm\.", ".norm_3."),
    (r"\.([ab])_2$", ".$1"),
];

struct Fixture {
    model: Captioner,
    features: Tensor<3>,
    inputs: Tensor<2, Int>,
    logits: Tensor<3>,
    greedy: Vec<Vec<u32>>,
    /// The five best captions of each image, and their scores: by the sum of log-probabilities,
    /// and with words that may not end a caption and a length penalty.
    beam: (Vec<Vec<u32>>, Vec<f32>),
    ruled: (Vec<Vec<u32>>, Vec<f32>),
    samples: Vec<Vec<u32>>,
    sample_log_probs: Tensor<2>,
}

fn fixture(name: &str, norm: Norm, device: &Device) -> Fixture {
    // Asked at run time: checkouts that share a target folder share binaries too.
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let path = Path::new(&root).join(format!("../../fixtures/captioner/{name}.safetensors"));
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();

    // Weights alone: without what the fixture adds and without the table of positions.
    let weights = file
        .tensors()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("fixture.") && !name.ends_with(".pe"));
    let weights = safetensors::serialize(weights, None).unwrap();
    let mut store = SafetensorsStore::from_bytes(Some(weights));
    for (theirs, ours) in NAMES {
        store = store.with_key_remapping(theirs, ours);
    }
    store = store.with_key_remapping(r"\.a$", ".weight").with_key_remapping(r"\.b$", ".bias");

    let config = CaptionerConfig {
        d_model: 32,
        d_ff: 64,
        n_heads: 4,
        n_encoder_layers: 2,
        n_decoder_layers: 2,
        max_len: 12,
        norm,
        ..CaptionerConfig::new(12, 23)
    };
    let mut model = config.build(device).unwrap();
    load_weights(&mut model, store, &path).unwrap();

    let floats = |name: &str| {
        let view = file.tensor(name).unwrap();
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        TensorData::new(values.collect::<Vec<f32>>(), view.shape().to_vec())
    };
    let longs = |name: &str| {
        let view = file.tensor(name).unwrap();
        let values = view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
        (values.collect::<Vec<i64>>(), view.shape().to_vec())
    };
    let captions = |name: &str| -> Vec<Vec<u32>> {
        let words =
            |row: &[i64]| row.iter().take_while(|&&id| id != 0).map(|&id| id as u32).collect();
        longs(name).0.chunks_exact(12).map(words).collect()
    };
    let scores = |name: &str| floats(name).try_to_vec::<f32>().unwrap();
    let (inputs, shape) = longs("fixture.inputs");
    Fixture {
        model,
        features: Tensor::from_data(floats("fixture.features"), device),
        inputs: Tensor::from_data(TensorData::new(inputs, shape), device),
        logits: Tensor::from_data(floats("fixture.logits"), device),
        greedy: captions("fixture.greedy"),
        beam: (captions("fixture.beam"), scores("fixture.beam_scores")),
        ruled: (captions("fixture.ruled"), scores("fixture.ruled_scores")),
        samples: captions("fixture.samples"),
        sample_log_probs: Tensor::from_data(floats("fixture.sample_log_probs"), device),
    }
}

#[test]
fn agrees_with_pytorch() {
    let device = Device::flex();
    for (name, norm) in [("reference", Norm::Reference), ("standard", Norm::Standard)] {
        let fixture = fixture(name, norm, &device);
        let memory = fixture.model.encode(fixture.features.clone());
        let apart = distance(fixture.model.logits(&memory, fixture.inputs), fixture.logits);
        println!("{name}: logits differ by at most {apart:e}");
        assert!(apart < 1e-5, "{name}: {apart}");

        let draws = Draws { seed: 0, step: 0, images: &[0, 1, 2] };
        let captions =
            fixture.model.decode(fixture.features.clone(), &Decoding::greedy(12), &draws).unwrap();
        for (caption, expected) in captions.iter().zip(&fixture.greedy) {
            assert_eq!(&caption.greedy.as_ref().unwrap().ids, expected, "{name}");
        }

        let plain = BeamSearch { n_best: 5, ..BeamSearch::new(5, 12) };
        let ruled =
            BeamSearch { bad_endings: (1..9).collect(), length_penalty: 0.9, ..plain.clone() };
        for (search, (captions, scores)) in [(plain, fixture.beam), (ruled, fixture.ruled)] {
            let found = fixture.model.beam_search(fixture.features.clone(), &search).unwrap();
            let mut found = found.iter().flatten();
            let mut apart = 0f32;
            for (caption, score) in captions.iter().zip(scores) {
                let found = found.next().unwrap();
                assert_eq!(&found.caption.ids, caption, "{name}");
                apart = apart.max((found.score - score).abs());
            }
            println!("{name}: beam scores differ by at most {apart:e}");
            assert!(apart < 1e-4, "{name}: {apart}");
        }

        let teacher = Teacher::new(&fixture.samples, 12, &device);
        let logits = fixture.model.logits(&memory, teacher.inputs);
        let log_probs = token_log_probs(logits, teacher.targets) * teacher.mask;
        let [_, width] = log_probs.dims();
        let apart = distance(log_probs, fixture.sample_log_probs.narrow(1, 0, width));
        println!("{name}: sampled log-probabilities differ by at most {apart:e}");
        assert!(apart < 1e-4, "{name}: {apart}");
    }
}
