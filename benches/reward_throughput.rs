//! Captions scored per second by CLIP-S, and SCST steps per second.
//!
//! `FINECAP_DEVICE` chooses the device, as for the command. Every iteration scores captions of its
//! own.
#![recursion_limit = "256"]

use std::cell::Cell;
use std::time::Duration;

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use finecap::clip::{ClipConfig, ClipPipeline, ClipTokenizer, PreprocessConfig};
use finecap::reward::{Candidate, ClipScore, ClipScoreConfig, Reward};
use finecap::scenes::{ScenesConfig, generate};
use finecap::train::{
    Config, Dataset, FeatureStore, Job, RewardModels, fresh_captioner, train_clip, train_mle,
    train_scst,
};

/// Words of successive captions: the lengths of COCO's captions, whose mean is 10.5.
const LENGTHS: [usize; 12] = [8, 9, 9, 9, 10, 10, 10, 11, 11, 12, 13, 14];

const WORDS: [&str; 16] = [
    "a", "man", "dog", "red", "on", "the", "street", "with", "two", "white", "cat", "in", "table",
    "next", "to", "small",
];

/// `count` captions that differ from those of every other `round`.
fn captions(count: usize, round: usize) -> Vec<String> {
    (0..count)
        .map(|i| {
            let mut number = round * count + i;
            let words = (0..LENGTHS[i % LENGTHS.len()]).map(|_| {
                let word = WORDS[number % WORDS.len()];
                number = number / WORDS.len() + i;
                word
            });
            words.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

fn scorer(config: ClipConfig, tokenizer: ClipTokenizer, device: &Device) -> ClipScore {
    let model = config.init(device).unwrap();
    let size = config.vision_config.image_size() as u32;
    let embed = config.projection_dim;
    let preprocess = PreprocessConfig::openai(size);
    let pipeline = ClipPipeline::new(config, model, tokenizer, preprocess).unwrap();
    let images = Tensor::<2>::random([60, embed], Distribution::Normal(0.0, 1.0), device);
    ClipScore::new(ClipScoreConfig::default(), pipeline, images)
}

fn clip_s(criterion: &mut Criterion) {
    let device = finecap::device::choose(None).unwrap();
    let tiny = ClipTokenizer::from_words(WORDS.iter().chain(&["photo", "depicts"])).unwrap();
    let tiny_config = ClipConfig::tiny(tiny.vocab_size(), tiny.bos_id(), tiny.eos_id());
    // Only the text tower matters here; a small image tower saves its memory.
    let base =
        ClipConfig { vision_config: tiny_config.vision_config.clone(), ..ClipConfig::vit_b_32() };
    let openai = ClipTokenizer::openai().unwrap();
    for (name, config, tokenizer) in [("tiny", tiny_config, tiny), ("vit_b_32", base, openai)] {
        let mut group = criterion.benchmark_group(format!("clip_s/{name}"));
        group.sample_size(10).measurement_time(Duration::from_secs(5));
        let mut scorer = scorer(config, tokenizer, &device);
        let round = Cell::new(0);
        for count in [1, 60, 960] {
            group.throughput(Throughput::Elements(count as u64));
            group.bench_with_input(BenchmarkId::from_parameter(count), &count, |bench, &count| {
                let fresh = || {
                    round.set(round.get() + 1);
                    captions(count, round.get())
                };
                let score = |texts: Vec<String>| {
                    let candidates: Vec<Candidate> =
                        texts.iter().enumerate().map(|(i, t)| Candidate::new(i % 60, t)).collect();
                    scorer.score(&candidates).unwrap()
                };
                bench.iter_batched(fresh, score, BatchSize::PerIteration);
            });
        }
    }
}

fn scst(criterion: &mut Criterion) {
    const STEPS: usize = 10;
    let device = finecap::device::choose(None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/scenes_quick.toml");
    let settings = ["clip.steps=2", "mle.steps=2", "checkpoint.validate_images=1"];
    let settings: Vec<String> = settings.iter().map(|s| s.to_string()).collect();
    let mut config = Config::read(Some(&path), &settings).unwrap();
    config.scst.steps = STEPS;
    let sizes = ScenesConfig { train: 64, val: 4, test: 4, ..ScenesConfig::default() };
    let dataset = Dataset::scenes(&generate(&sizes).unwrap(), sizes.image_size);
    let job = Job::new(dir.path(), &config, &dataset, &device);
    let pipeline = train_clip(&job, None).unwrap();
    let store = dir.path().join("features");
    let features = FeatureStore::open_or_build(&store, &dataset, &pipeline, &device).unwrap();
    let start = train_mle(&job, &features, fresh_captioner(&job, &features).unwrap()).unwrap();
    let (models, settings) = (RewardModels::new(&pipeline), &config.scst.reward);

    let mut group = criterion.benchmark_group("scst");
    group.sample_size(10).throughput(Throughput::Elements(STEPS as u64));
    let round = Cell::new(0);
    let fresh = || {
        round.set(round.get() + 1);
        dir.path().join(format!("round-{}", round.get()))
    };
    // Ten steps of 16 images with 5 samples, and the one checkpoint that ends them.
    group.bench_function("steps", |bench| {
        bench.iter_batched(
            fresh,
            |run| {
                let reward = models.build(settings, &dataset, &features, &start.vocab, &device);
                let job = Job { run: &run, ..job };
                train_scst(&job, &features, &mut reward.unwrap(), start.clone()).unwrap()
            },
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, clip_s, scst);
criterion_main!(benches);
