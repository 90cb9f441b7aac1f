//! Fresh weights follow the device's seed. Alone in its process: a device's generator is shared
//! by all threads.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use finecap_captioner::{Captioner, CaptionerConfig};

fn fresh(seed: u64, device: &Device) -> Captioner {
    let config = CaptionerConfig {
        d_model: 16,
        d_ff: 24,
        n_heads: 2,
        n_encoder_layers: 1,
        n_decoder_layers: 1,
        ..CaptionerConfig::new(6, 11)
    };
    device.seed(seed);
    config.init(device).unwrap()
}

fn logits(model: &Captioner) -> Vec<f32> {
    let device = Device::flex();
    let memory = model.encode(Tensor::ones([1, 4, 6], &device));
    let inputs = Tensor::<2, Int>::from_data([[0, 3, 7]], &device);
    model.logits(&memory, inputs).try_into_vec_as().unwrap()
}

#[test]
fn the_same_seed_gives_the_same_weights() {
    let device = Device::flex();
    let first = fresh(8, &device);
    // Nothing is left to draw when a model is first used.
    let other = fresh(9, &device);
    assert_eq!(logits(&first), logits(&fresh(8, &device)));
    assert_ne!(logits(&first), logits(&other));
    // Nor does it matter whether the model records gradients.
    assert_eq!(logits(&first), logits(&fresh(8, &device.autodiff()).valid()));
}
