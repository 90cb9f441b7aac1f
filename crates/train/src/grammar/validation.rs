//! How well the head does on captions that it was not trained on.

use burn::tensor::Tensor;
use finecap_clip::{contrastive_loss, prompted};
use finecap_metrics::{Ranks, Ties};
use finecap_reward::{Corruption, GrammarScorer, Negatives};

use super::loss::scalar;
use super::{broken_versions, random_captions};
use crate::TrainError;
use crate::features::FeatureStore;
use crate::job::Job;
use crate::phase::Numbers;
use crate::seeds::{Purpose, stream};

/// One random caption of every image against a random broken version of it, the same each time;
/// the first number is the score, minus the loss. Nothing
/// where there are no images.
pub(super) fn validate(
    job: &Job,
    scorer: &GrammarScorer,
    images: &[usize],
    features: Option<&FeatureStore>,
    negatives: &Negatives,
) -> Result<Numbers, TrainError> {
    let Job { config, dataset, device, .. } = *job;
    if images.is_empty() {
        return Ok(Numbers::new());
    }
    let settings = &config.grammar;
    let mut rng = stream(config.seed, 0, Purpose::Validation);
    let positives = random_captions(dataset, images, &mut rng);
    let broken = broken_versions(negatives, &positives, &mut rng);
    let of_positives = scorer.probabilities(&positives, device)?;
    let texts: Vec<&str> = broken.iter().map(|negative| negative.text.as_str()).collect();
    let of_broken = scorer.probabilities(&texts, device)?;
    let log = |p: f32| f64::from(p.max(f32::MIN_POSITIVE)).ln();
    let sum: f64 = of_positives.iter().map(|&p| log(p)).sum::<f64>()
        + of_broken.iter().map(|&p| log(1.0 - p)).sum::<f64>();
    let mut loss = -sum / (2 * images.len()) as f64 * f64::from(settings.grammar_weight);
    let mut numbers = confusion(&of_positives, &of_broken);
    for kind in Corruption::ALL {
        let of_kind: Vec<f32> = (broken.iter().zip(&of_broken))
            .filter(|(negative, _)| negative.kind == kind)
            .map(|(_, &p)| p)
            .collect();
        if !of_kind.is_empty() {
            let found = of_kind.iter().filter(|&&p| p <= 0.5).count();
            let name = format!("accuracy_{}", kind.name());
            numbers.push((name, found as f64 / of_kind.len() as f64));
        }
    }
    if let Some(features) = features {
        let texts: Vec<String> =
            positives.iter().map(|caption| prompted(&settings.prompt, caption)).collect();
        let text = scorer.pipeline.embed_texts(&texts, device)?;
        let image = features.embeddings(images, device);
        if settings.contrastive_weight > 0.0 {
            let scale = scorer.pipeline.model.logit_scale();
            let contrastive = scalar(contrastive_loss(image.clone(), text.clone(), scale));
            loss += contrastive * f64::from(settings.contrastive_weight);
        }
        numbers.extend(retrieval(text, image)?);
    }
    numbers.insert(0, ("score".into(), -loss));
    numbers.push(("validation_images".into(), images.len() as f64));
    Ok(numbers)
}

/// Precision, recall, accuracy and F1 of "is a sentence", at a probability above one half.
fn confusion(of_positives: &[f32], of_broken: &[f32]) -> Numbers {
    let above = |of: &[f32]| of.iter().filter(|&&p| p > 0.5).count() as f64;
    let (true_positives, false_positives) = (above(of_positives), above(of_broken));
    let (positives, broken) = (of_positives.len() as f64, of_broken.len() as f64);
    let precision = true_positives / (true_positives + false_positives).max(1.0);
    let recall = true_positives / positives;
    let f1 = 2.0 * true_positives / (true_positives + false_positives + positives).max(1.0);
    let accuracy = (true_positives + broken - false_positives) / (positives + broken);
    [("accuracy", accuracy), ("precision", precision), ("recall", recall), ("f1", f1)]
        .map(|(name, value)| (name.to_string(), value))
        .into()
}

/// R@1, 5 and 10 from texts to their images and back, in percent.
///
/// # Shapes
/// - text, image: `[N, E]`, rows of length 1 that belong together
fn retrieval(text: Tensor<2>, image: Tensor<2>) -> Result<Numbers, TrainError> {
    let [n, _] = text.dims();
    let own: Vec<usize> = (0..n).collect();
    let texts_by_images = text.matmul(image.transpose());
    let mut numbers = Numbers::new();
    for (name, matrix) in
        [("text_to_image", texts_by_images.clone()), ("image_to_text", texts_by_images.transpose())]
    {
        let similarities: Vec<f32> = matrix.into_data().iter::<f32>().collect();
        let ranks = Ranks::new(&similarities, n, &own, Ties::Fair)?;
        for k in [1, 5, 10] {
            numbers.push((format!("{name}_r{k}"), ranks.recall(k)));
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_and_recall_have_their_right_names() {
        // 4 sentences, of which 3 are recognised; 5 broken ones, of which 1 is taken for good.
        let numbers = confusion(&[0.9, 0.8, 0.7, 0.2], &[0.6, 0.1, 0.1, 0.1, 0.1]);
        let of = |wanted: &str| numbers.iter().find(|(name, _)| name == wanted).unwrap().1;
        assert_eq!((of("precision"), of("recall")), (0.75, 0.75));
        assert!((of("accuracy") - 7.0 / 9.0).abs() < 1e-12);
        assert!((of("f1") - 0.75).abs() < 1e-12);
        let none = confusion(&[0.9], &[0.9, 0.9, 0.9]);
        assert_eq!((none[1].1, none[2].1), (0.25, 1.0));
    }
}
