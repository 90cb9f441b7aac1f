//! What a batch of captions and broken ones adds to the loss.

use std::collections::BTreeSet;

use burn::nn::Linear;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use finecap_clip::Clip;

use super::Tuned;
use crate::TrainError;
use crate::config::GrammarSettings;
use crate::phase::Numbers;

/// Captions encoded together.
const LENGTH_BATCH: usize = 32;

/// A caption or a broken one, and what the head should say of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    ids: Vec<u32>,
    /// Number of tokens at the beginning that are as they should be: all of a caption's.
    intact: usize,
}

impl Text {
    pub(super) fn is_whole(&self) -> bool {
        self.intact == self.ids.len()
    }

    /// Captions, then the broken version of each, which is whole until the first token in which it
    /// differs. A caption that is longer than the context may be cut before it was broken: such a
    /// version is left out, because it can't be told from the caption.
    pub(super) fn of(captions: Vec<Vec<u32>>, broken: Vec<Vec<u32>>) -> Vec<Self> {
        let broken: Vec<Self> = (broken.into_iter().zip(&captions))
            .filter(|(ids, of)| ids != *of)
            .map(|(ids, of)| {
                let intact = ids.iter().zip(of).take_while(|(a, b)| a == b).count();
                // An end token inside of a caption may end the broken one.
                Self { intact: intact.min(ids.len() - 1), ids }
            })
            .collect();
        captions.into_iter().map(|ids| Self { intact: ids.len(), ids }).chain(broken).collect()
    }
}

/// Size of a whole batch, for means over it.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchSize {
    texts: usize,
    tokens: usize,
    /// Tokens of whole captions that follow another one.
    next_words: usize,
}

impl BatchSize {
    pub(super) fn of(texts: &[Text]) -> Self {
        let whole = texts.iter().filter(|text| text.is_whole());
        Self {
            texts: texts.len(),
            tokens: texts.iter().map(|text| text.ids.len()).sum(),
            next_words: whole.map(|text| text.ids.len() - 1).sum(),
        }
    }
}

/// `count` parts of about as many tokens, or all texts in their order for one part.
pub(super) fn parts_by_length(mut texts: Vec<Text>, count: usize) -> Vec<Vec<Text>> {
    if count == 1 {
        return vec![texts];
    }
    texts.sort_by_key(|text| text.ids.len());
    let mut parts = vec![Vec::new(); count.min(texts.len())];
    for (place, text) in texts.into_iter().enumerate() {
        let part = place % parts.len();
        parts[part].push(text);
    }
    parts
}

/// What some texts of a batch add to its loss, their states at the end token, `[N, D]`, and to the
/// numbers that are logged.
pub(super) fn grammar_loss(
    model: &Tuned,
    texts: &[Text],
    random: &[u32],
    total: BatchSize,
    settings: &GrammarSettings,
    device: &Device,
) -> Result<(Tensor<1>, Tensor<2>, Numbers), TrainError> {
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| text.ids.clone()).collect();
    let mut numbers = Numbers::new();
    let mut loss = Tensor::zeros([1], device);
    let states = if settings.prefix_weight > 0.0 || model.next.is_some() {
        let states = model.clip.token_states_by_length(&ids, LENGTH_BATCH, device)?;
        if settings.prefix_weight > 0.0 {
            let intact = texts.iter().flat_map(|t| (0..t.ids.len()).map(|place| place < t.intact));
            let logits = model.head.forward(states.clone());
            let prefix = cross_entropy(logits, intact.map(i64::from)) / total.tokens as f64;
            numbers.push(("prefix_loss".into(), scalar(prefix.clone())));
            loss = loss + prefix * settings.prefix_weight;
        }
        if let Some(next) = &model.next {
            let next = next_word_loss(next, &model.clip, states.clone(), texts, random)
                / total.next_words as f64;
            numbers.push(("next_word_loss".into(), scalar(next.clone())));
            loss = loss + next * settings.next_word_weight;
        }
        let ends: Vec<i64> = (texts.iter())
            .scan(-1, |end, text| {
                *end += text.ids.len() as i64;
                Some(*end)
            })
            .collect();
        states.select(0, Tensor::from_data(ends.as_slice(), device))
    } else {
        model.clip.text_states_by_length(&ids, LENGTH_BATCH, device)?
    };
    let logits = model.head.forward(states.clone());
    let whole: Vec<bool> = texts.iter().map(|text| text.is_whole()).collect();
    let accuracy = count_right(logits.clone().inner(), &whole) as f64 / total.texts as f64;
    let grammar = cross_entropy(logits, whole.into_iter().map(i64::from)) / total.texts as f64;
    loss = loss + grammar.clone() * settings.grammar_weight;
    numbers.extend([("grammar_loss".into(), scalar(grammar)), ("accuracy".into(), accuracy)]);
    Ok((loss, states, numbers))
}

/// Cross entropy of every next token of the captions that are whole, among the tokens of the same
/// captions and `random` ones, summed.
///
/// # Shapes
/// - states: `[T, D]`, those of all tokens of `texts`, one text after the other
/// - output: `[1]`
fn next_word_loss(
    next: &Linear,
    clip: &Clip,
    states: Tensor<2>,
    texts: &[Text],
    random: &[u32],
) -> Tensor<1> {
    let (mut rows, mut targets, mut first) = (Vec::new(), Vec::new(), 0);
    for text in texts {
        if text.is_whole() {
            rows.extend((first..first + text.ids.len() as i64).take(text.ids.len() - 1));
            targets.extend_from_slice(&text.ids[1..]);
        }
        first += text.ids.len() as i64;
    }
    if targets.is_empty() {
        return states.sum() * 0.0;
    }
    let words: BTreeSet<u32> = targets.iter().chain(random).copied().collect();
    let words: Vec<u32> = words.into_iter().collect();
    let device = states.device();
    let ids: Vec<i64> = words.iter().map(|&id| id.into()).collect();
    let embeddings = clip.token_embeddings().select(0, Tensor::from_data(ids.as_slice(), &device));
    let predicted = next.forward(states.select(0, Tensor::from_data(rows.as_slice(), &device)));
    let place = |id: &u32| words.binary_search(id).unwrap_or(0) as i64;
    cross_entropy(predicted.matmul(embeddings.transpose()), targets.iter().map(place))
}

/// Cross entropy summed over the rows.
///
/// # Shapes
/// - logits: `[N, C]`; classes: `N`
/// - output: `[1]`
fn cross_entropy(logits: Tensor<2>, classes: impl Iterator<Item = i64>) -> Tensor<1> {
    let [n, _] = logits.dims();
    let classes = TensorData::new(classes.collect::<Vec<i64>>(), [n, 1]);
    let classes = Tensor::<2, Int>::from_data(classes, &logits.device());
    -log_softmax(logits, 1).gather(1, classes).sum()
}

/// Number of rows whose class is the likelier one.
fn count_right(logits: Tensor<2>, whole: &[bool]) -> usize {
    let probability: Vec<f32> =
        softmax(logits, 1).narrow(1, 1, 1).into_data().iter::<f32>().collect();
    probability.iter().zip(whole).filter(|(p, whole)| (**p > 0.5) == **whole).count()
}

pub(super) fn scalar(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}

#[cfg(test)]
mod tests {
    use burn::module::Initializer;
    use burn::nn::LinearConfig;
    use burn::tensor::Distribution;
    use finecap_clip::ClipConfig;

    use super::*;

    #[test]
    fn broken_texts_are_whole_until_they_differ() {
        // 8 begins and 9 ends; a word was removed, one was put in, and one beyond the context.
        let captions = vec![vec![8, 1, 2, 9], vec![8, 1, 9], vec![8, 1, 2, 9]];
        let broken = vec![vec![8, 1, 9], vec![8, 3, 1, 9], vec![8, 1, 2, 9]];
        let texts = Text::of(captions, broken);
        let intact: Vec<usize> = texts.iter().map(|text| text.intact).collect();
        assert_eq!(intact, [4, 3, 4, 2, 1], "the last can't be told from its caption");
    }

    #[test]
    fn the_next_word_is_one_of_the_captions_and_some_random_ones() {
        let device = Device::flex();
        let clip = ClipConfig::tiny(20, 18, 19).init(&device).unwrap();
        let [_, d] = clip.token_embeddings().dims();
        let whole = |ids: &[u32]| Text { ids: ids.to_vec(), intact: ids.len() };
        let broken = Text { ids: vec![18, 7, 7, 19], intact: 2 };
        let texts = [whole(&[18, 1, 2, 19]), broken, whole(&[18, 2, 19])];
        let states = Tensor::<2>::random([11, d], Distribution::Default, &device);
        let loss =
            |next: &Linear| scalar(next_word_loss(next, &clip, states.clone(), &texts, &[1, 5, 6]));
        // Nothing is known: 5 next words, each one of {1, 2, 19} and {5, 6}.
        let zeros = Initializer::Zeros;
        let next =
            Linear { weight: zeros.init([d, d], &device), bias: Some(zeros.init([d], &device)) };
        assert!((loss(&next) - 5.0 * 5f64.ln()).abs() < 1e-5);

        // The same by hand, with states that are what stands in the rows.
        let next = LinearConfig::new(d, d).init(&device);
        let predicted: Vec<f32> = next.forward(states.clone()).into_data().iter::<f32>().collect();
        let embeddings: Vec<f32> = clip.token_embeddings().into_data().iter::<f32>().collect();
        let logit = |row: usize, id: usize| -> f64 {
            (0..d).map(|i| f64::from(predicted[row * d + i] * embeddings[id * d + i])).sum()
        };
        let expected: f64 = [(0, 1), (1, 2), (2, 19), (8, 2), (9, 19)]
            .map(|(row, target)| {
                let sum: f64 = [1, 2, 5, 6, 19].map(|id| logit(row, id).exp()).iter().sum();
                sum.ln() - logit(row, target)
            })
            .iter()
            .sum();
        assert!((loss(&next) - expected).abs() < 1e-4);
    }

    #[test]
    fn cross_entropy_is_pytorchs() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_data([[1.0, 2.0], [0.5, -0.5]], &device);
        // -ln σ(1) for both rows: the first is of class 1, the second of class 0.
        let expected = (1.0 + (-1.0f64).exp()).ln();
        let sum = scalar(cross_entropy(logits.clone(), [1, 0].into_iter()));
        assert!((sum - 2.0 * expected).abs() < 1e-6);
        assert_eq!(count_right(logits, &[true, false]), 2);
    }
}
