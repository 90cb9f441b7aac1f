//! Another architecture in the same loops: a captioner of one's own, far smaller than the Transformer.
#![recursion_limit = "256"]

use std::path::Path;

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};
use finecap_captioner::{CaptionModel, CaptionerError, CaptionerPipeline, Vocab};
use finecap_reward::{Candidate, Reward, RewardError, Term, WeightedSum};
use finecap_scenes::{ScenesConfig, generate};
use finecap_train::{
    Config, Dataset, FeatureStore, Job, Split, captioner_vocab, greedy_captions, train_clip,
    train_mle, train_scst,
};

const WIDTH: usize = 24;
const MAX_LEN: usize = 12;

/// The next word from the last one and the mean of the image's features.
#[derive(Module, Debug)]
struct Bigrams {
    words: Embedding,
    image: Linear,
    output: Linear,
    vocab: usize,
    features: usize,
}

impl Bigrams {
    fn new(features: usize, vocab: usize, device: &Device) -> Self {
        Self {
            words: EmbeddingConfig::new(vocab, WIDTH).init(device),
            image: LinearConfig::new(features, WIDTH).init(device),
            output: LinearConfig::new(WIDTH, vocab).init(device),
            vocab,
            features,
        }
    }

    /// Logits `[N, T, V]` of images `[B, W]` after the tokens `[N, T]`.
    fn next(&self, images: &Tensor<2>, tokens: Tensor<2, Int>) -> Tensor<3> {
        let [rows, _] = tokens.dims();
        let [count, width] = images.dims();
        let each = rows / count;
        let images = images.clone().unsqueeze_dim::<3>(1).repeat_dim(1, each);
        let images = images.reshape([rows, 1, width]);
        self.output.forward((self.words.forward(tokens) + images).tanh())
    }
}

impl CaptionModel for Bigrams {
    type Memory = Tensor<2>;
    type State = ();

    fn feature_dim(&self) -> usize {
        self.features
    }

    fn vocab_size(&self) -> usize {
        self.vocab
    }

    fn max_len(&self) -> usize {
        MAX_LEN
    }

    fn width(&self) -> usize {
        WIDTH
    }

    fn device(&self) -> Device {
        self.output.weight.val().device()
    }

    fn encode(&self, features: Tensor<3>) -> Tensor<2> {
        self.image.forward(features.mean_dim(1).squeeze_dim::<2>(1))
    }

    fn logits(&self, memory: &Tensor<2>, inputs: Tensor<2, Int>) -> Tensor<3> {
        self.next(memory, inputs)
    }

    fn begin(&self, _: &Tensor<2>, _: usize) {}

    fn step(&self, memory: &Tensor<2>, (): &mut (), inputs: Tensor<2, Int>) -> Tensor<2> {
        self.next(memory, inputs).squeeze_dim(1)
    }

    fn save(&self, dir: &Path, vocab: &Vocab) -> Result<(), CaptionerError> {
        vocab.save(&dir.join("vocab.json"))?;
        let saved = self.clone().into_record().save(dir.join("bigrams.bpk"));
        saved.map_err(|error| CaptionerError::Device(error.to_string()))
    }
}

/// How many words a caption has.
struct Length;

impl Reward for Length {
    fn name(&self) -> &str {
        "length"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        Ok(candidates.iter().map(|c| c.text.split_whitespace().count() as f32).collect())
    }
}

#[test]
fn another_architecture_learns_by_imitation_and_by_reward() {
    let dir = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let sizes = ScenesConfig { train: 60, val: 10, test: 10, ..ScenesConfig::default() };
    let dataset = Dataset::scenes(&generate(&sizes).unwrap(), sizes.image_size);
    let settings = [
        "clip.steps=2",
        "clip.batch_size=8",
        "clip.width=16",
        "clip.layers=1",
        "clip.heads=2",
        "clip.embed_dim=8",
        "mle.steps=60",
        "mle.batch_size=16",
        "mle.schedule={ kind = \"constant\", lr = 0.02 }",
        "scst.steps=40",
        "scst.batch_size=8",
        "scst.samples=4",
        "scst.schedule={ kind = \"constant\", lr = 0.02 }",
        "checkpoint.every=20",
    ];
    let config = Config::read(None, &settings.map(String::from)).unwrap();
    let job = Job::new(dir.path(), &config, &dataset, &device);
    let clip = train_clip(&job, None).unwrap();
    let features =
        FeatureStore::open_or_build(&dir.path().join("features"), &dataset, &clip, &device)
            .unwrap();
    let vocab = captioner_vocab(&dataset, &config).unwrap();
    device.seed(3);
    let model = Bigrams::new(features.spec().grid[1], vocab.len(), &device);
    let start = CaptionerPipeline { model, vocab };

    let imitator = train_mle(&job, &features, start).unwrap();
    let log = std::fs::read_to_string(dir.path().join("mle/metrics.jsonl")).unwrap();
    let losses: Vec<f64> = (log.lines())
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| line["loss"].as_f64())
        .collect();
    assert!(losses[59] < 0.7 * losses[0], "{} -> {}", losses[0], losses[59]);

    let length = |captioner: &CaptionerPipeline<Bigrams>| {
        let held_out = dataset.split(Split::Test);
        let captions = greedy_captions(captioner, &features, &held_out, &device).unwrap();
        let words = captions.iter().map(|c| c.text.split_whitespace().count()).sum::<usize>();
        words as f64 / captions.len() as f64
    };
    let before = length(&imitator);
    let mut reward = WeightedSum::new(vec![Term::new(1.0, Length)]).unwrap();
    let trained = train_scst(&job, &features, &mut reward, imitator).unwrap();
    let after = length(&trained);
    assert!(after > before + 1.0, "{before} words, then {after}");
    assert!(dir.path().join("scst/model/bigrams.bpk").is_file());
    assert!(dir.path().join("scst/model/vocab.json").is_file());
}
