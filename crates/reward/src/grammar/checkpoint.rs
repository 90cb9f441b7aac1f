//! A grammar head in a checkpoint of the reference project, beside the CLIP that it reads.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use finecap_clip::ClipPipeline;
use finecap_weights::WeightFile;

use super::{GrammarHeadConfig, GrammarScorer};
use crate::RewardError;

impl GrammarScorer {
    /// Takes the head from the tensors of a checkpoint that are no part of its CLIP: the first and
    /// the third of a `Sequential`, `[H, D]` and `[2, H]`. It was trained on captions without a
    /// prompt, and is asked like that.
    ///
    /// # Errors
    /// [`RewardError::File`] for other tensors than these two, and
    /// [`RewardError::GrammarWidth`] for a head of another CLIP.
    pub fn from_checkpoint(
        pipeline: ClipPipeline,
        file: &WeightFile,
        others: &[&str],
        device: &Device,
    ) -> Result<Self, RewardError> {
        let wrong = |name: &str| RewardError::File {
            path: file.path().to_path_buf(),
            problem: format!("tensor `{name}` is part of neither a CLIP nor a grammar head"),
        };
        let ends = |end: &str| others.iter().find(|name| name.ends_with(end)).copied();
        let shape = |name: &str| {
            let shape = file.get(name).map(|tensor| tensor.shape.as_slice());
            shape.and_then(|shape| <[usize; 2]>::try_from(shape).ok())
        };
        let (Some(first), Some(last), 2) = (ends(".0.weight"), ends(".2.weight"), others.len())
        else {
            return Err(wrong(others.first().copied().unwrap_or("0.weight")));
        };
        let (hidden, width) = match (shape(first), shape(last)) {
            (Some([hidden, width]), Some([2, again])) if hidden == again => (hidden, width),
            _ => return Err(wrong(last)),
        };
        let config = GrammarHeadConfig { width, hidden };
        let mut head = config.init(device);
        for (layer, name, [rows, columns]) in
            [(&mut head.fc1, first, [hidden, width]), (&mut head.fc2, last, [2, hidden])]
        {
            let data = TensorData::new(file.read_f32(name)?, [rows, columns]);
            let weight = Tensor::<2>::from_data(data, device).transpose();
            layer.weight = Param::initialized(layer.weight.id, weight);
        }
        Self::new(pipeline, config, head, String::new())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use finecap_clip::{ClipConfig, ClipTokenizer, ClipWeights, PreprocessConfig};
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;

    fn pipeline(device: &Device) -> ClipPipeline {
        let tokenizer = ClipTokenizer::from_words(["a dog runs over the grass"]).unwrap();
        let config =
            ClipConfig::tiny(tokenizer.vocab_size(), tokenizer.bos_id(), tokenizer.eos_id());
        let model = config.init(device).unwrap();
        ClipPipeline::new(config, model, tokenizer, PreprocessConfig::openai(48)).unwrap()
    }

    /// Puts the weights of a folder under a prefix, with a head beside them.
    fn checkpoint(dir: &Path, head: &[(&str, Vec<usize>)]) {
        let path = dir.join("model.safetensors");
        let file = WeightFile::open(&path).unwrap();
        let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
        let mut put = |name: String, shape: Vec<usize>, values: Vec<f32>| {
            tensors.insert(name, (shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()));
        };
        for tensor in file.tensors() {
            let name = format!("model.clip_model.{}", tensor.name);
            put(name, tensor.shape.clone(), file.read_f32(&tensor.name).unwrap());
        }
        for (name, shape) in head {
            let count: usize = shape.iter().product();
            let values = (0..count).map(|i| ((i * 7) % 11) as f32 / 11.0 - 0.4).collect();
            put(format!("model.grammar_score_head.{name}"), shape.clone(), values);
        }
        drop(file);
        let views = (tensors.iter()).map(|(name, (shape, bytes))| {
            (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        });
        safetensors::serialize_to_file(views, None, &path).unwrap();
    }

    #[test]
    fn a_head_is_found_beside_its_clip() {
        let device = Device::flex();
        let dir = tempfile::tempdir().unwrap();
        let original = pipeline(&device);
        let read = |head: &[(&str, Vec<usize>)]| {
            original.save(dir.path()).unwrap();
            checkpoint(dir.path(), head);
            let weights = ClipWeights::open(dir.path(), None).unwrap();
            assert!(weights.load(&device).is_err(), "a CLIP alone has no head");
            let (loaded, others) = weights.load_part(&device).unwrap();
            GrammarScorer::from_checkpoint(loaded.pipeline, weights.file(), &others, &device)
        };
        let scorer = read(&[("0.weight", vec![6, 128]), ("2.weight", vec![2, 6])]).unwrap();
        let captions = ["a dog runs", "runs a a"];
        let ours = scorer.probabilities(&captions, &device).unwrap();
        // The same by hand, from states that the original gives.
        let states = original.text_states(&captions, &device).unwrap();
        let states: Vec<f32> = states.into_data().iter::<f32>().collect();
        let weight = |i: usize| f64::from(((i * 7) % 11) as f32 / 11.0 - 0.4);
        for (row, probability) in ours.iter().enumerate() {
            let hidden: Vec<f64> = (0..6)
                .map(|h| {
                    let of = |d: usize| weight(h * 128 + d) * f64::from(states[row * 128 + d]);
                    (0..128).map(of).sum::<f64>().max(0.0)
                })
                .collect();
            let logit =
                |class: usize| -> f64 { (0..6).map(|h| weight(class * 6 + h) * hidden[h]).sum() };
            let expected = 1.0 / (1.0 + (logit(0) - logit(1)).exp());
            assert!((f64::from(*probability) - expected).abs() < 1e-5, "{probability} {expected}");
        }

        for head in [
            vec![("0.weight", vec![6, 128])],
            vec![("0.weight", vec![6, 128]), ("2.weight", vec![2, 5])],
            vec![("0.weight", vec![6, 128]), ("2.weight", vec![3, 6])],
            vec![("0.weight", vec![6, 128]), ("2.weight", vec![2, 6]), ("3.bias", vec![2])],
        ] {
            let error = read(&head).unwrap_err().to_string();
            assert!(error.contains("neither a CLIP nor a grammar head"), "{error}");
        }
        let narrow = read(&[("0.weight", vec![6, 99]), ("2.weight", vec![2, 6])]).unwrap_err();
        assert!(narrow.to_string().contains("width 99"), "{narrow}");
    }
}
