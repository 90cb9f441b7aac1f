use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::SafeTensors;

use super::distance;
use crate::reference::ReferenceCaptioner;
use crate::{BeamSearch, Decoding, Draws, Norm, Teacher, token_log_probs};

/// What PyTorch makes of a checkpoint: see `fixtures/captioner.py`.
struct Expected<'a> {
    file: SafeTensors<'a>,
}

impl Expected<'_> {
    fn floats<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let view = self.file.tensor(&format!("fixture.{name}")).unwrap();
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let data = TensorData::new(values.collect::<Vec<f32>>(), view.shape().to_vec());
        Tensor::from_data(data, device)
    }

    fn longs(&self, name: &str) -> (Vec<i64>, Vec<usize>) {
        let view = self.file.tensor(&format!("fixture.{name}")).unwrap();
        let values = view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
        (values.collect(), view.shape().to_vec())
    }

    /// Captions without their end tokens.
    fn captions(&self, name: &str) -> Vec<Vec<u32>> {
        let (ids, shape) = self.longs(name);
        let words =
            |row: &[i64]| row.iter().take_while(|&&id| id != 0).map(|&id| id as u32).collect();
        ids.chunks_exact(*shape.last().unwrap()).map(words).collect()
    }
}

/// Compares a checkpoint's captioner with PyTorch, and returns the largest difference of logits,
/// of beam scores and of sampled log-probabilities; captions must be equal.
fn compare(dir: &Path, name: &str, norm: Norm, device: &Device) -> [f32; 3] {
    let path = dir.join(format!("{name}.ckpt"));
    let loaded = ReferenceCaptioner::load_with(&path, norm, device).unwrap();
    let (model, vocab) = (loaded.model, loaded.vocab);
    let bytes = std::fs::read(dir.join(format!("{name}.safetensors"))).unwrap();
    let expected = Expected { file: SafeTensors::deserialize(&bytes).unwrap() };

    let features = expected.floats::<3>("features", device);
    let memory = model.encode(features.clone());
    let (inputs, shape) = expected.longs("inputs");
    let inputs = Tensor::<2, Int>::from_data(TensorData::new(inputs, shape), device);
    let logits = distance(model.logits(&memory, inputs), expected.floats("logits", device));

    let max_len = model.config().max_len;
    let keys: Vec<u64> = (0..memory.images() as u64).collect();
    let draws = Draws { seed: 0, step: 0, images: &keys };
    let greedy = model.decode(features.clone(), &Decoding::greedy(max_len), &draws).unwrap();
    for (found, expected) in greedy.iter().zip(expected.captions("greedy")) {
        assert_eq!(found.greedy.as_ref().unwrap().ids, expected, "{name}");
    }

    let plain = BeamSearch { n_best: 5, suppress_unknown: true, ..BeamSearch::new(5, max_len) };
    let bad_endings = vocab.bad_endings();
    let ruled = BeamSearch { bad_endings, length_penalty: 0.9, ..plain.clone() };
    let mut beams = 0f32;
    for (search, of) in [(plain, "beam"), (ruled, "ruled")] {
        let found = model.beam_search(features.clone(), &search).unwrap();
        let found: Vec<_> = found.into_iter().flatten().collect();
        let captions: Vec<_> = found.iter().map(|found| found.caption.ids.clone()).collect();
        assert_eq!(captions, expected.captions(of), "{name}");
        let scores: Vec<f32> = found.iter().map(|found| found.score).collect();
        let scores = TensorData::new(scores, [keys.len(), 5]);
        let scores = Tensor::<2>::from_data(scores, device);
        beams = beams.max(distance(scores, expected.floats(&format!("{of}_scores"), device)));
    }

    let teacher = Teacher::new(&expected.captions("samples"), max_len, device);
    let forced = token_log_probs(model.logits(&memory, teacher.inputs), teacher.targets);
    let [_, width] = forced.dims();
    let drawn = expected.floats::<2>("sample_log_probs", device).narrow(1, 0, width);
    let samples = distance(forced * teacher.mask, drawn);
    println!(
        "{name}: logits differ by at most {logits:e}, beam scores by {beams:e}, sampled log-probabilities by {samples:e}"
    );
    [logits, beams, samples]
}

/// Asked at run time: checkouts that share a target folder share binaries too.
fn fixtures() -> std::path::PathBuf {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&root).join("../../fixtures/captioner")
}

#[test]
fn agrees_with_pytorch() {
    for (name, norm) in [("reference", Norm::Reference), ("standard", Norm::Standard)] {
        let apart = compare(&fixtures(), name, norm, &Device::flex());
        assert!(apart.iter().all(|&apart| apart < 1e-5), "{name}: {apart:?}");
    }
}

/// The size of the published checkpoints, see `fixtures/full_captioner.py`.
#[test]
#[ignore = "needs the checkpoint of fixtures/full_captioner.py, which says how to run this test"]
fn agrees_with_pytorch_at_full_size() {
    let dir = std::env::var_os("FINECAP_FULL_CAPTIONER").map(std::path::PathBuf::from);
    let dir = dir.expect("FINECAP_FULL_CAPTIONER names the folder of fixtures/full_captioner.py");
    let apart = compare(&dir, "reference", Norm::Reference, &Device::flex());
    assert!(apart.iter().all(|&apart| apart < 1e-4), "{apart:?}");
}

#[test]
fn a_checkpoint_is_read_with_all_it_carries() {
    let path = fixtures().join("reference.ckpt");
    let loaded = ReferenceCaptioner::load(&path, &Device::flex()).unwrap();
    let config = loaded.model.config();
    assert_eq!((config.n_heads, config.max_len, config.d_ff), (4, 12, 64));
    assert_eq!((config.n_encoder_layers, config.n_decoder_layers), (2, 2));
    assert_eq!(config.norm, Norm::Reference);
    assert_eq!(loaded.vocab.words()[8], "man");
    assert_eq!(loaded.vocab.bad_endings(), [1, 2, 3, 4, 5, 6, 7, 8]);
    let named = |theirs: &str| {
        let found = loaded.tensors.iter().find(|tensor| tensor.name == theirs);
        found.map(|tensor| tensor.becomes.as_str())
    };
    let theirs = "model.decoder.layers.1.src_attn.linears.3.weight";
    assert_eq!(named(theirs), Some("decoder.layers.1.cross_attn.out.weight"));
    assert_eq!(named("_vocab"), Some("vocab.json"));
    assert_eq!(loaded.tensors.len(), 2 + 2 + 2 * 16 + 2 + 2 * 26 + 2 + 1 + 1 + 2);
}

#[test]
fn what_is_no_such_checkpoint_is_refused() {
    let error = |name: &str| {
        let path = fixtures().join(name);
        ReferenceCaptioner::load(&path, &Device::flex()).unwrap_err().to_string()
    };
    let results = error("reference.safetensors");
    assert!(results.contains("no place for the tensor `fixture."), "{results}");
    let script = error("../captioner.py");
    assert!(script.contains("captioner.py"), "{script}");
    assert!(error("none.ckpt").contains("none.ckpt"));

    // Cut off, and with a name changed in place.
    let bytes = std::fs::read(fixtures().join("reference.ckpt")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.ckpt");
    let change = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        ReferenceCaptioner::load(&path, &Device::flex()).unwrap_err().to_string()
    };
    assert!(change(&bytes[..bytes.len() / 2]).contains("model.ckpt"));
    let renamed = |from: &[u8], to: &[u8]| {
        let place = bytes.windows(from.len()).position(|w| w == from).unwrap();
        let mut bytes = bytes.clone();
        bytes[place..place + to.len()].copy_from_slice(to);
        bytes
    };
    let unknown = change(&renamed(b"model.encoder.norm.a_2", b"model.encoder.norm.a_3"));
    assert!(unknown.contains("no place for the tensor `model.encoder.norm.a_3`"), "{unknown}");
    let vocabulary = change(&renamed(b"_vocab", b"_vocax"));
    assert!(vocabulary.contains("`_vocax`"), "{vocabulary}");
}
