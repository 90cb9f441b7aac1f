use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;

use super::{features, ids, tiny};
use crate::{BeamSearch, Captioner, CaptionerError, Decoding, Draws, Hypothesis};

fn close(a: &Hypothesis, b: &Hypothesis) -> bool {
    let (x, y) = (&a.caption, &b.caption);
    (&x.ids, x.ended, x.log_probs.len()) == (&y.ids, y.ended, y.log_probs.len())
        && x.log_probs.iter().zip(&y.log_probs).all(|(x, y)| (x - y).abs() < 1e-4)
        && (a.score - b.score).abs() < 1e-4
}

/// The reference's search as it is described: without a cache, one image, beams that ended go on with
/// 1,000 subtracted, and nothing stops before the longest length. Ids, sums and scores only.
fn plain(
    model: &Captioner,
    grid: Tensor<3>,
    search: &BeamSearch,
    device: &Device,
) -> Vec<(Vec<u32>, f32)> {
    let memory = model.encode(grid);
    let vocab = model.config().vocab_size;
    let mut beams: Vec<(Vec<u32>, f32)> = vec![(Vec::new(), 0.0)];
    let mut done: Vec<(Vec<u32>, f32)> = Vec::new();
    for t in 0..search.max_len {
        let inputs: Vec<i32> = beams
            .iter()
            .flat_map(|b| [0].into_iter().chain(b.0.iter().map(|&id| id as i32)))
            .collect();
        let inputs = ids(inputs, [beams.len(), t + 1], device);
        let logits = model.logits(&memory, inputs).narrow(1, t, 1).squeeze_dim::<2>(1);
        let mut log_probs: Vec<f32> = log_softmax(logits, 1).try_into_vec_as().unwrap();
        for ((seq, _), row) in beams.iter().zip(log_probs.chunks_exact_mut(vocab)) {
            if search.suppress_unknown {
                row[vocab - 1] -= 1000.0;
            }
            if seq.last().is_some_and(|last| search.bad_endings.contains(last)) {
                row[0] = f32::NEG_INFINITY;
            }
            for (id, value) in row.iter_mut().enumerate().skip(1) {
                let mut longer = seq.clone();
                longer.push(id as u32);
                if search.block_trigrams
                    && longer.len() > 3
                    && seq.windows(3).any(|three| three == &longer[longer.len() - 3..])
                {
                    *value -= 1000.0;
                }
            }
        }
        let mut candidates: Vec<(f32, usize)> =
            (0..log_probs.len()).map(|i| (beams[i / vocab].1 + log_probs[i], i)).collect();
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        beams = candidates[..search.width]
            .iter()
            .map(|&(sum, i)| {
                let mut seq = beams[i / vocab].0.clone();
                seq.push((i % vocab) as u32);
                (seq, sum)
            })
            .collect();
        for (seq, sum) in &mut beams {
            if seq[t] == 0 || t + 1 == search.max_len {
                done.push((seq.clone(), *sum / ((6 + t) as f32 / 6.0).powf(search.length_penalty)));
                *sum -= 1000.0;
            }
        }
    }
    done.sort_by(|a, b| b.1.total_cmp(&a.1));
    done.truncate(search.n_best);
    done
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// All images in one cached batch find what each finds alone by the plain search.
    #[test]
    fn equals_the_plain_uncached_search(
        seed in 0u64..1000,
        width in 2usize..6,
        best in 1usize..6,
        max_len in 1usize..9,
        length_penalty in prop::sample::select(vec![0.0f32, 0.6, 1.0, 3.0, -0.5]),
        rules in 0u8..8,
    ) {
        let device = Device::flex();
        let model = tiny(seed, &device);
        let grids = features(3, seed, &device);
        let search = BeamSearch {
            n_best: best.min(width),
            length_penalty,
            block_trigrams: rules & 1 > 0,
            suppress_unknown: rules & 2 > 0,
            bad_endings: if rules & 4 > 0 { vec![1, 4, 7, 8] } else { Vec::new() },
            ..BeamSearch::new(width, max_len)
        };
        let found = model.beam_search(grids.clone(), &search).unwrap();
        for (image, hypotheses) in found.iter().enumerate() {
            let grid = grids.clone().narrow(0, image, 1);
            let expected = plain(&model, grid, &search, &device);
            prop_assert_eq!(hypotheses.len(), expected.len());
            for (found, (seq, score)) in hypotheses.iter().zip(&expected) {
                let mut tokens = found.caption.ids.clone();
                tokens.extend(found.caption.ended.then_some(0));
                prop_assert_eq!(&tokens, seq);
                prop_assert_eq!(tokens.len(), found.caption.log_probs.len());
                prop_assert!((found.score - score).abs() < 1e-4, "{} {score}", found.score);
            }
        }
    }

    #[test]
    fn one_beam_is_greedy(seed in 0u64..1000) {
        let device = Device::flex();
        let model = tiny(seed, &device);
        let grids = features(3, seed, &device);
        let search = BeamSearch::new(1, 8);
        let found = model.beam_search(grids.clone(), &search).unwrap();
        let draws = Draws { seed: 0, step: 0, images: &[0, 1, 2] };
        let greedy = model.decode(grids, &Decoding::greedy(8), &draws).unwrap();
        for (found, greedy) in found.iter().zip(greedy) {
            let greedy = greedy.greedy.unwrap();
            let score = greedy.log_probs.iter().sum();
            prop_assert_eq!(found.len(), 1);
                let greedy = Hypothesis { caption: greedy, score };
            prop_assert!(close(&found[0], &greedy));
        }
    }

    /// As many beams as there are ids lose nothing of captions of two tokens.
    #[test]
    fn a_wide_beam_finds_the_best_of_all(seed in 0u64..1000) {
        let device = Device::flex();
        let model = tiny(seed, &device);
        let vocab = model.config().vocab_size;
        let grid = features(1, seed, &device);
        let memory = model.encode(grid.clone());
        let inputs: Vec<i32> = (0..vocab as i32).flat_map(|id| [0, id]).collect();
        let logits = model.logits(&memory, ids(inputs, [vocab, 2], &device));
        let log_probs: Vec<f32> = log_softmax(logits, 2).try_into_vec_as().unwrap();
        let first = &log_probs[..vocab];
        let mut all = vec![(first[0], vec![0])];
        for word in 1..vocab {
            let second = &log_probs[(2 * word + 1) * vocab..][..vocab];
            all.extend((0..vocab).map(|next| (first[word] + second[next], vec![word, next])));
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0));

        let search =
            BeamSearch { n_best: vocab, ..BeamSearch::new(vocab, 2) };
        let found = model.beam_search(grid, &search).unwrap().remove(0);
        prop_assert_eq!(found.len(), vocab);
        for (found, (log_prob, tokens)) in found.iter().zip(&all) {
            let mut ids: Vec<usize> = found.caption.ids.iter().map(|&id| id as usize).collect();
            ids.extend(found.caption.ended.then_some(0));
            prop_assert_eq!(&ids, tokens);
            prop_assert!((found.score - log_prob).abs() < 1e-4);
        }
    }

    #[test]
    fn the_batch_does_not_matter(seed in 0u64..1000) {
        let device = Device::flex();
        let model = tiny(seed, &device);
        let grids = features(4, seed, &device);
        let search =
            BeamSearch { n_best: 3, length_penalty: 0.7, ..BeamSearch::new(4, 8) };
        let together = model.beam_search(grids.clone(), &search).unwrap();
        for (image, together) in together.iter().enumerate() {
            let alone = model.beam_search(grids.clone().narrow(0, image, 1), &search).unwrap();
            prop_assert_eq!(alone[0].len(), together.len());
            for (alone, together) in alone[0].iter().zip(together) {
                prop_assert!(close(alone, together), "{alone:?} {together:?}");
            }
        }
    }
}

#[test]
fn wrong_calls_are_refused() {
    let device = Device::flex();
    let model = tiny(0, &device);
    let good = BeamSearch::new(3, 8);
    for (setting, search) in [
        ("`width`", BeamSearch { width: 0, ..good.clone() }),
        ("`width`", BeamSearch { width: 12, ..good.clone() }),
        ("`n_best`", BeamSearch { n_best: 0, ..good.clone() }),
        ("`n_best`", BeamSearch { n_best: 4, ..good.clone() }),
        ("`max_len`", BeamSearch { max_len: 9, ..good.clone() }),
        ("`length_penalty`", BeamSearch { length_penalty: f32::NAN, ..good.clone() }),
    ] {
        let error = model.beam_search(features(1, 0, &device), &search).unwrap_err().to_string();
        assert!(error.contains(setting), "{error}");
    }
    let wide = model.beam_search(Tensor::zeros([1, 5, 7], &device), &good).unwrap_err();
    assert!(matches!(wide, CaptionerError::Features { .. }), "{wide}");
    let nan = model.beam_search(Tensor::full([1, 5, 6], f32::NAN, &device), &good).unwrap_err();
    assert!(matches!(nan, CaptionerError::NonFinite { row: 0 }), "{nan}");
    assert!(model.beam_search(Tensor::zeros([0, 5, 6], &device), &good).unwrap().is_empty());
    let training = tiny(0, &device.clone().autodiff());
    let graph = training.beam_search(features(1, 0, &device), &good).unwrap_err();
    assert!(matches!(graph, CaptionerError::Autodiff), "{graph}");
}
