use burn::tensor::{Device, Int, Tensor};
use proptest::prelude::*;

use super::{distance, features, ids, tiny};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Reading a caption token by token through the cache gives the logits of reading it whole.
    #[test]
    fn cached_logits_equal_uncached_logits(
        seed in 0u64..1000,
        images in 1usize..4,
        per_image in 1usize..4,
        words in prop::collection::vec(0i32..11, 9 * 7),
    ) {
        let device = Device::flex();
        let model = tiny(seed, &device);
        let memory = model.encode(features(images, seed, &device));
        let (rows, tokens) = (images * per_image, 7);
        let inputs = ids(words[..rows * tokens].to_vec(), [rows, tokens], &device);
        let whole = model.logits(&memory, inputs.clone());
        let mut state = model.begin(&memory, per_image);
        for token in 0..tokens {
            let next = model.step(&memory, &mut state, inputs.clone().narrow(1, token, 1));
            let expected = whole.clone().narrow(1, token, 1).squeeze_dim::<2>(1);
            let apart = distance(next, expected);
            prop_assert!(apart < 1e-5, "token {token}: {apart}");
        }
    }

    /// The encoder adds no positions, so the order of image positions does not matter.
    #[test]
    fn image_positions_have_no_order(seed in 0u64..1000, by in 1usize..5) {
        let device = Device::flex();
        let model = tiny(seed, &device);
        let grid = features(2, seed, &device);
        let rotated = Tensor::cat(
            vec![grid.clone().narrow(1, by, 5 - by), grid.clone().narrow(1, 0, by)],
            1,
        );
        let inputs = ids(vec![0, 3, 4, 0, 9, 2], [2, 3], &device);
        let logits = |grid| model.logits(&model.encode(grid), inputs.clone());
        let apart = distance(logits(grid), logits(rotated));
        prop_assert!(apart < 1e-5, "{apart}");
    }
}

/// Rows can be reordered and repeated between tokens, as beam search needs.
#[test]
fn selected_rows_go_on_as_if_they_had_always_been_there() {
    let device = Device::flex();
    let model = tiny(3, &device);
    let memory = model.encode(features(2, 3, &device));
    let mut state = model.begin(&memory, 2);
    for token in [vec![0, 0, 0, 0], vec![5, 6, 7, 8]] {
        model.step(&memory, &mut state, ids(token, [4, 1], &device));
    }
    state.select(Tensor::<1, Int>::from_data([1, 0, 3, 3], &device));
    let next = model.step(&memory, &mut state, ids(vec![1, 2, 3, 4], [4, 1], &device));

    let inputs = ids(vec![0, 6, 1, 0, 5, 2, 0, 8, 3, 0, 8, 4], [4, 3], &device);
    let whole = model.logits(&memory, inputs).narrow(1, 2, 1).squeeze_dim::<2>(1);
    assert!(distance(next, whole) < 1e-5);
}
