//! Captioning images by greedy decoding, sampling and beam search, at the reference's size.
//!
//! `FINECAP_DEVICE` chooses the device, as for the command. Random weights hardly ever end a
//! caption, so all ways decode as many tokens.
#![recursion_limit = "256"]

use std::time::Duration;

use burn::tensor::{Distribution, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use finecap::captioner::{BeamSearch, CaptionerConfig, Decoding, Draws};

/// Images decoded together.
const IMAGES: usize = 8;

fn decoding(criterion: &mut Criterion) {
    let device = finecap::device::choose(None).unwrap();
    device.seed(1);
    let config = CaptionerConfig::new(2048, 9488);
    let model = config.init(&device).unwrap();
    let grids = Tensor::<3>::random([IMAGES, 196, 2048], Distribution::Uniform(0.0, 1.0), &device);
    let keys: Vec<u64> = (0..IMAGES as u64).collect();
    let draws = Draws { seed: 1, step: 0, images: &keys };

    let mut group = criterion.benchmark_group("decoding");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Elements(IMAGES as u64));
    for (name, decoding) in [
        ("greedy", Decoding::greedy(config.max_len)),
        ("5 samples", Decoding::samples(5, config.max_len)),
    ] {
        group.bench_function(name, |bench| {
            bench.iter(|| model.decode(grids.clone(), &decoding, &draws).unwrap());
        });
    }
    for width in [1, 5] {
        let search = BeamSearch::new(width, config.max_len);
        group.bench_function(format!("{width} beams"), |bench| {
            bench.iter(|| model.beam_search(grids.clone(), &search).unwrap());
        });
    }
}

criterion_group!(benches, decoding);
criterion_main!(benches);
