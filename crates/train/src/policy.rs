//! The loss of policy-gradient training.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Tensor, TensorData};
use finecap_captioner::{Teacher, token_log_probs};

use crate::config::{Reduction, ScstSettings};

/// What a batch of samples says about the policy that drew them. All are of shape `[1]`.
pub struct PolicyLoss {
    /// What is made smaller.
    pub loss: Tensor<1>,
    /// Mean entropy of the next word, in nats.
    pub entropy: Tensor<1>,
    /// Mean divergence from the reference policy, in nats, where it has a price.
    pub kl: Option<Tensor<1>>,
}

impl PolicyLoss {
    /// `-Σ log p · advantage · mask / Σ mask` by token, or `-Σ log p · advantage · mask / N` by
    /// sequence, minus `entropy_bonus` times the entropy, plus `kl_beta` times the divergence.
    ///
    /// # Shapes
    /// - logits: `[N, T, V]`, those of the samples' next words as `teacher` lays them out
    /// - advantages: `N`
    /// - reference: `[N, T, V]`, the logits of another policy; called where `kl_beta` is above 0
    pub fn new(
        settings: &ScstSettings,
        logits: Tensor<3>,
        teacher: &Teacher,
        advantages: &[f32],
        reference: impl FnOnce() -> Tensor<3>,
    ) -> Self {
        let n = advantages.len();
        let words = match settings.entropy_bonus > 0.0 {
            true => logits.clone(),
            // Only logged: no graph is kept for it.
            false => Tensor::from_inner(logits.clone().inner()),
        };
        let entropy = teacher.mean(entropy(words));
        let log_probs = token_log_probs(logits.clone(), teacher.targets.clone());
        let advantages = TensorData::new(advantages.to_vec(), [n, 1]);
        let gains = log_probs * Tensor::from_data(advantages, &logits.device());
        let mut loss = match settings.reduction {
            Reduction::Token => -teacher.mean(gains),
            Reduction::Sequence => -(gains * teacher.mask.clone()).sum() / n as f64,
        };
        if settings.entropy_bonus > 0.0 {
            loss = loss - entropy.clone() * settings.entropy_bonus;
        }
        let mut kl = None;
        if settings.kl_beta > 0.0 {
            let divergence = teacher.mean(divergence(logits, reference()));
            loss = loss + divergence.clone() * settings.kl_beta;
            kl = Some(divergence);
        }
        Self { loss, entropy, kl }
    }
}

/// Entropy of the next-word distribution, in nats.
///
/// # Shapes
/// - logits: `[N, T, V]`; output: `[N, T]`
fn entropy(logits: Tensor<3>) -> Tensor<2> {
    let terms = softmax(logits.clone(), 2) * log_softmax(logits, 2);
    -terms.sum_dim(2).squeeze_dim::<2>(2)
}

/// Kullback-Leibler divergence of the next-word distributions, `Σ p (ln p - ln q)`, in nats.
///
/// # Shapes
/// - policy (`p`), reference (`q`): logits `[N, T, V]`; output: `[N, T]`
fn divergence(policy: Tensor<3>, reference: Tensor<3>) -> Tensor<2> {
    let ratio = log_softmax(policy.clone(), 2) - log_softmax(reference, 2);
    (softmax(policy, 2) * ratio).sum_dim(2).squeeze_dim::<2>(2)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn value(tensor: Tensor<1>) -> f64 {
        f64::from(tensor.into_scalar::<f32>())
    }

    /// Two samples, "1, end" and "end", with probabilities of 3/4, 1/2 and 1/4; the place after
    /// the second sample's end must not count.
    fn batch(settings: ScstSettings) -> PolicyLoss {
        let device = Device::flex().autodiff();
        let ln3 = 3f32.ln();
        let logits = [[[0.0, ln3], [0.5, 0.5]], [[0.0, ln3], [40.0, -40.0]]];
        let logits = Tensor::<3>::from_data(logits, &device);
        let samples: [&[u32]; 2] = [&[1], &[]];
        let teacher = Teacher::new(&samples, 5, &device);
        let uniform = || Tensor::zeros([2, 2, 2], &device);
        PolicyLoss::new(&settings, logits, &teacher, &[2.0, -1.0], uniform)
    }

    /// `Σ log p · advantage`, worked out by hand.
    fn gains() -> f64 {
        2.0 * 0.75f64.ln() + 2.0 * 0.5f64.ln() - 0.25f64.ln()
    }

    /// Entropies of the three places that count: those of 1/4, 1/2 and 3/4.
    fn entropies() -> f64 {
        let binary = |p: f64| -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
        (binary(0.25) + binary(0.5) + binary(0.75)) / 3.0
    }

    #[test]
    fn the_loss_is_a_mean_over_tokens_or_over_sequences() {
        let token = batch(ScstSettings::default());
        assert!((value(token.loss) + gains() / 3.0).abs() < 1e-6);
        assert!((value(token.entropy) - entropies()).abs() < 1e-6);
        assert!(token.kl.is_none());
        let reduction = Reduction::Sequence;
        let sequence = batch(ScstSettings { reduction, ..ScstSettings::default() });
        assert!((value(sequence.loss) + gains() / 2.0).abs() < 1e-6);
    }

    #[test]
    fn entropy_lowers_the_loss_and_divergence_raises_it() {
        let priced = ScstSettings { entropy_bonus: 0.5, kl_beta: 0.25, ..Default::default() };
        let found = batch(priced);
        // From a uniform policy, `Σ p ln p - ln 1/2`.
        let kl = 2f64.ln() - entropies();
        let expected = -gains() / 3.0 - 0.5 * entropies() + 0.25 * kl;
        assert!((value(found.loss) - expected).abs() < 1e-6);
        assert!((value(found.kl.unwrap()) - kl).abs() < 1e-6);
    }

    #[test]
    fn entropy_and_divergence_are_those_of_the_textbook() {
        let device = Device::flex();
        // p = (3/4, 1/4), q = (1/2, 1/2).
        let p = Tensor::<3>::from_data([[[3f32.ln(), 0.0]]], &device);
        let q = Tensor::<3>::zeros([1, 1, 2], &device);
        let value = |t: Tensor<2>| f64::from(t.into_scalar::<f32>());
        let expected = -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        assert!((value(entropy(p.clone())) - expected).abs() < 1e-6);
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((value(divergence(p.clone(), q)) - expected).abs() < 1e-6);
        assert!(value(divergence(p.clone(), p)).abs() < 1e-6);
    }
}
