//! Pictures encoded per second by full-size image towers with fresh weights.
//!
//! `FINECAP_DEVICE` chooses the device, as for the command.
#![recursion_limit = "256"]

use std::time::Duration;

use burn::tensor::{Distribution, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use finecap::clip::{ClipConfig, ResNetConfig, TextConfig, VisionConfig};

fn image_towers(criterion: &mut Criterion) {
    let device = finecap::device::choose(None).unwrap();
    let rn50 = ResNetConfig { layers: [3, 4, 6, 3], width: 64, heads: 32, image_size: 224 };
    let mut group = criterion.benchmark_group("image_towers");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    for (name, vision_config, side) in [
        ("vit_b_32", VisionConfig::default(), 224),
        ("rn50", VisionConfig::ResNet(rn50.clone()), 224),
        // The captioner's grid.
        ("rn50_grid", VisionConfig::ResNet(rn50), 448),
    ] {
        // Only the image tower matters here; a small text tower saves its memory.
        let text_config = TextConfig { num_hidden_layers: 1, ..TextConfig::default() };
        let config = ClipConfig { vision_config, text_config, ..ClipConfig::vit_b_32() };
        let model = config.init(&device).unwrap();
        for batch in [1, 8] {
            let shape = [batch, 3, side, side];
            let pixels = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::new(name, batch), |bencher| {
                bencher.iter(|| {
                    model.encode_grid(pixels.clone()).sum().into_data();
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, image_towers);
criterion_main!(benches);
