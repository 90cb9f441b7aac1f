//! Learning rates as a function of the step.

use serde::{Deserialize, Serialize};

use crate::TrainError;

/// A learning-rate schedule. Steps count from 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Linear warm-up, then constant.
    Constant {
        /// Learning rate after the warm-up.
        lr: f64,
        /// Steps of warm-up.
        #[serde(default)]
        warmup: usize,
    },
    /// Linear warm-up, then half a cosine down to 0 at the last step.
    Cosine {
        /// Learning rate after the warm-up.
        lr: f64,
        /// Steps of warm-up.
        #[serde(default)]
        warmup: usize,
    },
    /// `factor · d^-0.5 · min(s^-0.5, s · warmup^-1.5)`, Vaswani et al. (2017).
    Noam {
        /// Overall factor.
        factor: f64,
        /// Steps until the peak.
        warmup: usize,
    },
}

impl Schedule {
    /// Learning rate of `step` (from 1) out of `steps`, for a model of width `d_model`.
    pub fn lr(&self, step: usize, steps: usize, d_model: usize) -> f64 {
        let s = step as f64;
        let ramp = |warmup: usize| (s / warmup.max(1) as f64).min(1.0);
        match *self {
            Self::Constant { lr, warmup } => lr * ramp(warmup),
            Self::Cosine { lr, warmup } if step <= warmup => lr * ramp(warmup),
            Self::Cosine { lr, warmup } => {
                let done = (step - warmup) as f64 / (steps.saturating_sub(warmup)).max(1) as f64;
                lr * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
            }
            Self::Noam { factor, warmup } => {
                let warmup = warmup.max(1) as f64;
                factor * (d_model as f64).powf(-0.5) * s.powf(-0.5).min(s * warmup.powf(-1.5))
            }
        }
    }

    /// # Errors
    /// [`TrainError::Setting`] for a rate that is not a positive number.
    pub fn check(&self, field: &str) -> Result<(), TrainError> {
        let (name, value) = match *self {
            Self::Constant { lr, .. } | Self::Cosine { lr, .. } => ("lr", lr),
            Self::Noam { factor, .. } => ("factor", factor),
        };
        if value.is_finite() && value > 0.0 {
            return Ok(());
        }
        Err(TrainError::setting(
            format!("{field}.{name}"),
            format!("is {value}: it must be above 0"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noam_matches_the_recipe() {
        // 14,175 steps at width 512 with 20,000 steps of warm-up end at 2.21e-4.
        let lr = Schedule::Noam { factor: 1.0, warmup: 20_000 }.lr(14_175, 14_175, 512);
        assert!((lr - 2.21e-4).abs() < 1e-6, "{lr}");
    }

    #[test]
    fn cosine_rises_and_falls_to_zero() {
        let schedule = Schedule::Cosine { lr: 1.0, warmup: 10 };
        assert!((schedule.lr(5, 100, 1) - 0.5).abs() < 1e-12);
        assert!((schedule.lr(55, 100, 1) - 0.5).abs() < 1e-12);
        assert!(schedule.lr(100, 100, 1).abs() < 1e-12);
    }

    #[test]
    fn constant_without_warmup_is_constant() {
        let schedule = Schedule::Constant { lr: 0.3, warmup: 0 };
        assert_eq!(schedule.lr(1, 10, 1), 0.3);
        assert_eq!(schedule.lr(10, 10, 1), 0.3);
    }

    #[test]
    fn a_negative_rate_is_refused_by_name() {
        let schedule = Schedule::Constant { lr: -0.1, warmup: 0 };
        let message = schedule.check("mle.schedule").unwrap_err().to_string();
        assert!(message.contains("`mle.schedule.lr`"), "{message}");
    }
}
