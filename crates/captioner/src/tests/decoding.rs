use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use super::{features, tiny};
use crate::sampling::sample;
use crate::{Caption, CaptionerError, Decoding, Draws, Teacher, token_log_probs};

fn mixed(samples: usize) -> Decoding {
    Decoding { greedy: true, ..Decoding::samples(samples, 8) }
}

fn close(a: &Caption, b: &Caption) -> bool {
    (&a.ids, a.ended) == (&b.ids, b.ended)
        && a.log_probs.iter().zip(&b.log_probs).all(|(a, b)| (a - b).abs() < 1e-5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// An image's captions do not depend on what else is in the batch or is asked for.
    #[test]
    fn a_batch_row_equals_a_single_run(seed in 0u64..1000, step in 0u64..9) {
        let device = Device::flex();
        let model = tiny(seed, &device);
        let grids = features(3, seed, &device);
        let keys = [4, 8, 15];
        let draws = Draws { seed, step, images: &keys };
        let batch = model.decode(grids.clone(), &mixed(3), &draws).unwrap();
        prop_assert_eq!(&batch, &model.decode(grids.clone(), &mixed(3), &draws).unwrap());
        for (image, captions) in batch.iter().enumerate() {
            let grid = grids.clone().narrow(0, image, 1);
            let draws = Draws { seed, step, images: &keys[image..=image] };
            let greedy = model.decode(grid.clone(), &Decoding::greedy(8), &draws).unwrap();
            prop_assert!(greedy[0].samples.is_empty());
            let alone = greedy[0].greedy.as_ref().unwrap();
            prop_assert!(close(alone, captions.greedy.as_ref().unwrap()));
            let sampled = model.decode(grid, &Decoding::samples(2, 8), &draws).unwrap();
            prop_assert!(sampled[0].greedy.is_none());
            for (alone, together) in sampled[0].samples.iter().zip(&captions.samples) {
                prop_assert!(close(alone, together), "{alone:?} {together:?}");
            }
        }
    }

    /// Decoding's log-probabilities are those that teacher forcing gives, end token included.
    #[test]
    fn log_probabilities_equal_teacher_forced_ones(seed in 0u64..1000) {
        let device = Device::flex();
        let model = tiny(seed, &device);
        let grids = features(2, seed, &device);
        let decoding = Decoding { temperature: 1.3, top_k: Some(8), ..mixed(4) };
        let draws = Draws { seed, step: 0, images: &[0, 1] };
        let captions: Vec<Caption> = model
            .decode(grids.clone(), &decoding, &draws)
            .unwrap()
            .into_iter()
            .flat_map(|image| image.greedy.into_iter().chain(image.samples))
            .collect();
        let words: Vec<&[u32]> = captions.iter().map(|caption| &caption.ids[..]).collect();
        let teacher = Teacher::new(&words, 8, &device);
        let logits = model.logits(&model.encode(grids), teacher.inputs.clone());
        let forced = token_log_probs(logits, teacher.targets.clone());
        let [_, width] = forced.dims();
        let forced: Vec<f32> = forced.try_into_vec_as().unwrap();
        for (row, caption) in captions.iter().enumerate() {
            prop_assert_eq!(caption.log_probs.len(), teacher.lengths[row]);
            prop_assert_eq!(caption.ended, caption.ids.len() < 8);
            for (token, log_prob) in caption.log_probs.iter().enumerate() {
                let apart = (log_prob - forced[row * width + token]).abs();
                prop_assert!(apart < 1e-5, "{apart}");
            }
        }
    }

    /// A token outside top-k and top-p is never chosen, whatever the draw.
    #[test]
    fn filtered_tokens_are_never_chosen(
        logits in prop::collection::vec(-6f32..6.0, 13),
        top_k in 1usize..16,
        top_p in 0.01f32..1.0,
        draws in prop::collection::vec(0u32..1 << 23, 30),
    ) {
        let device = Device::flex();
        let mut draws: Vec<f32> = draws.iter().map(|&d| d as f32 / (1u32 << 23) as f32).collect();
        draws.extend([0.0, 1.0 - f32::EPSILON]);
        let rows = draws.len();
        let decoding =
            Decoding { top_k: Some(top_k), top_p: Some(top_p), ..Decoding::samples(1, 8) };
        let row = Tensor::<2>::from_data(TensorData::new(logits.clone(), [1, 13]), &device);
        let uniforms = Tensor::from_data(TensorData::new(draws, [rows, 1]), &device);
        let chosen = sample(row.expand([rows, 13]), uniforms, &decoding);

        let mut order: Vec<usize> = (0..13).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        order.truncate(top_k);
        let mass: f64 = order.iter().map(|&i| f64::from(logits[i]).exp()).sum();
        let mut before = 0.0;
        // The border is rounded in `f32`: what lies within rounding of it may go either way.
        order.retain(|&i| {
            let kept = before < mass * (f64::from(top_p) + 1e-5);
            before += f64::from(logits[i]).exp();
            kept
        });
        for id in chosen.try_into_vec_as::<i64>().unwrap() {
            prop_assert!(order.contains(&(id as usize)), "{id} not in {order:?}");
        }
    }
}

/// Draws follow the softmax: a chi-square statistic with 9 degrees of freedom exceeds 33.7 with
/// probability 1e-4.
#[test]
fn frequencies_follow_the_softmax() {
    let device = Device::flex();
    let logits = [0.3f32, -1.2, 2.0, 0.0, 0.5, -0.7, 1.1, -3.0, 0.9, -0.1];
    let rows = 20_000;
    let images: Vec<u64> = (0..rows as u64).collect();
    let uniforms = Draws { seed: 5, step: 0, images: &images }.uniforms(1, 1);
    let uniforms = Tensor::from_data(TensorData::new(uniforms, [rows, 1]), &device);
    for temperature in [1.0f32, 0.6] {
        let decoding = Decoding { temperature, ..Decoding::samples(1, 8) };
        let row = Tensor::<2>::from_data([logits], &device).expand([rows, 10]);
        let chosen = sample(row, uniforms.clone(), &decoding).try_into_vec_as::<i64>().unwrap();
        let weights = logits.map(|l| f64::from(l / temperature).exp());
        let total: f64 = weights.iter().sum();
        let chi_square: f64 = (0..10)
            .map(|token| {
                let expected = weights[token] / total * rows as f64;
                let found = chosen.iter().filter(|&&id| id == token as i64).count() as f64;
                (found - expected).powi(2) / expected
            })
            .sum();
        assert!(chi_square < 33.7, "{chi_square} at temperature {temperature}");
    }
}

#[test]
fn a_tiny_temperature_is_greedy() {
    let device = Device::flex();
    let model = tiny(6, &device);
    let decoding = Decoding { temperature: 1e-30, ..mixed(2) };
    let draws = Draws { seed: 1, step: 1, images: &[0, 1, 2] };
    for image in model.decode(features(3, 6, &device), &decoding, &draws).unwrap() {
        for sample in &image.samples {
            assert_eq!(Some(sample), image.greedy.as_ref());
        }
    }
}

#[test]
fn seeds_and_steps_change_the_samples_only() {
    let device = Device::flex();
    let model = tiny(2, &device);
    let decode = |seed, step| {
        let draws = Draws { seed, step, images: &[0, 1] };
        model.decode(features(2, 2, &device), &mixed(4), &draws).unwrap()
    };
    let base = decode(1, 1);
    for other in [decode(2, 1), decode(1, 2)] {
        assert_eq!(base[0].greedy, other[0].greedy);
        assert_ne!(base[0].samples, other[0].samples);
    }
}

#[test]
fn the_unknown_word_can_be_suppressed() {
    let device = Device::flex();
    let model = tiny(4, &device);
    let unknown = model.config().vocab_size as u32 - 1;
    let count = |suppress_unknown| {
        let decoding = Decoding { suppress_unknown, temperature: 5.0, ..mixed(40) };
        let draws = Draws { seed: 1, step: 1, images: &[0] };
        let captions = model.decode(features(1, 4, &device), &decoding, &draws).unwrap();
        captions[0].samples.iter().flat_map(|c| &c.ids).filter(|&&id| id == unknown).count()
    };
    assert!(count(false) > 0);
    assert_eq!(count(true), 0);
}

#[test]
fn wrong_calls_are_refused() {
    let device = Device::flex();
    let model = tiny(0, &device);
    let good = mixed(1);
    let one = Draws { seed: 0, step: 0, images: &[0] };
    let error = |features, decoding: &Decoding, draws: &Draws| {
        model.decode(features, decoding, draws).unwrap_err().to_string()
    };
    for (setting, decoding) in [
        ("`samples`", Decoding { greedy: false, samples: 0, ..good.clone() }),
        ("`max_len`", Decoding { max_len: 9, ..good.clone() }),
        ("`max_len`", Decoding { max_len: 0, ..good.clone() }),
        ("`temperature`", Decoding { temperature: 0.0, ..good.clone() }),
        ("`temperature`", Decoding { temperature: f32::NAN, ..good.clone() }),
        ("`top_k`", Decoding { top_k: Some(0), ..good.clone() }),
        ("`top_p`", Decoding { top_p: Some(1.5), ..good.clone() }),
    ] {
        let message = error(features(1, 0, &device), &decoding, &one);
        assert!(message.contains(setting), "{message}");
    }
    let message = error(features(2, 0, &device), &good, &one);
    assert!(message.contains("1 image keys") && message.contains("2 images"), "{message}");
    let message = error(Tensor::zeros([1, 5, 7], &device), &good, &one);
    assert!(message.contains("7 wide"), "{message}");
    let message = error(Tensor::full([1, 5, 6], f32::NAN, &device), &good, &one);
    assert!(message.contains("not finite"), "{message}");

    let none = Draws { seed: 0, step: 0, images: &[] };
    assert!(model.decode(Tensor::zeros([0, 5, 6], &device), &good, &none).unwrap().is_empty());
}

#[test]
fn decoding_never_records_gradients() {
    let device = Device::flex();
    let training = tiny(0, &device.clone().autodiff());
    let draws = Draws { seed: 0, step: 0, images: &[0] };
    let grid = features(1, 0, &device);
    let decode = |model: &crate::Captioner, grid| model.decode(grid, &mixed(1), &draws);
    assert!(matches!(decode(&training, grid.clone()), Err(CaptionerError::Autodiff)));
    let valid = training.valid();
    assert!(matches!(decode(&valid, grid.clone().autodiff()), Err(CaptionerError::Autodiff)));
    assert!(decode(&valid, grid).is_ok());
}
