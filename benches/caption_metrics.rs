//! All n-gram metrics over a set of COCO's size: 5,000 images with five references each.
//!
//! `cargo bench --bench caption_metrics`; METEOR needs the environment variable FINECAP_METEOR_DATA,
//! the folder with its data.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use finecap::metrics::{Meteor, bleu, cider_d, ptb_tokenize, rouge_l};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// As many images as Karpathy's test split has.
const IMAGES: usize = 5000;
const REFERENCES: usize = 5;

/// Captions of 8 to 16 words out of 10,000, frequent ones far more often than rare ones.
fn captions(count: usize, seed: u64) -> Vec<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut caption = || {
        let words: Vec<String> = (0..rng.random_range(8..=16))
            .map(|_| format!("w{}", 10_000f64.powf(rng.random_range(0.0..1.0)) as usize))
            .collect();
        words.join(" ") + "."
    };
    (0..count).map(|_| caption()).collect()
}

fn metrics(c: &mut Criterion) {
    let candidates = captions(IMAGES, 1);
    let references: Vec<Vec<String>> =
        captions(IMAGES * REFERENCES, 2).chunks(REFERENCES).map(<[String]>::to_vec).collect();
    let mut group = c.benchmark_group("5000 images, 5 references");
    group.sample_size(10);
    group.throughput(Throughput::Elements(IMAGES as u64));
    group.bench_function("Penn Treebank words of 30000 captions", |b| {
        b.iter(|| {
            let all = candidates.iter().chain(references.iter().flatten());
            all.map(|caption| ptb_tokenize(caption).len()).sum::<usize>()
        });
    });
    group.bench_function("BLEU", |b| b.iter(|| bleu(&candidates, &references).unwrap().corpus));
    group.bench_function("ROUGE-L", |b| {
        b.iter(|| rouge_l(&candidates, &references).unwrap().corpus);
    });
    group.bench_function("CIDEr-D", |b| {
        b.iter(|| cider_d(&candidates, &references).unwrap().corpus);
    });
    match std::env::var_os("FINECAP_METEOR_DATA") {
        None => eprintln!("skipped METEOR: FINECAP_METEOR_DATA does not name its data"),
        Some(folder) => {
            let meteor = Meteor::load(folder.as_ref()).unwrap();
            // Words of the generated captions are in no dictionary: these have some that are.
            let candidates = english(&candidates);
            let references: Vec<Vec<String>> = references.iter().map(|r| english(r)).collect();
            group.bench_function("METEOR", |b| {
                b.iter(|| meteor.score(&candidates, &references).unwrap().corpus);
            });
        }
    }
    group.finish();
}

/// The same captions with frequent words of photo captions in place of the most frequent ones.
fn english(captions: &[String]) -> Vec<String> {
    const FREQUENT: &str = "a on of the in with and is man to sitting an two standing at people are \
        next white woman street table holding it large person down top group up field tennis small \
        plate riding front train dog room black his cat red young water some by bus that kitchen \
        playing while has building blue there snow this grass near green baseball walking three";
    let words: Vec<&str> = FREQUENT.split_ascii_whitespace().collect();
    let word = |word: &str| match word.trim_matches(['w', '.']).parse::<usize>() {
        Ok(rank) if rank <= words.len() => words[rank - 1].to_string(),
        _ => word.to_string(),
    };
    captions
        .iter()
        .map(|caption| caption.split(' ').map(word).collect::<Vec<_>>().join(" "))
        .collect()
}

criterion_group!(benches, metrics);
criterion_main!(benches);
