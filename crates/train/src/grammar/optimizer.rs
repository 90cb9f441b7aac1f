use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamWConfig, AdjustLrFn, ModuleOptimizer, MuonConfig};

use crate::config::{DecayGroups, GrammarOptimizer, GrammarSettings};

/// AdamW as in the reference (betas 0.9 and 0.999, epsilon 1e-6), or Muon beside it.
pub(super) fn optimizer(settings: &GrammarSettings) -> ModuleOptimizer {
    let adamw = AdamWConfig::new().with_beta_2(0.999).with_epsilon(1e-6);
    let undecayed = match settings.decay_groups {
        // Its pattern "LayerNorm.weight" meets none of CLIP's names, so only biases are left out.
        DecayGroups::Reference => vec![".bias", ".beta"],
        DecayGroups::Standard => vec![".bias", ".beta", ".gamma", "logit_scale"],
    };
    let optimizer = adamw.clone().with_weight_decay(settings.weight_decay).init().with_group(
        ParamGroup::from_any_predicates(undecayed),
        adamw.with_weight_decay(0.0).build(),
        None,
    );
    match settings.optimizer {
        GrammarOptimizer::Adamw => optimizer,
        GrammarOptimizer::Muon => {
            let decay = WeightDecayConfig::new(settings.weight_decay);
            let muon = MuonConfig::new()
                .with_weight_decay(Some(decay))
                .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
            // The matrices of attention and of the layers after it.
            let matrices = vec!["_proj.weight", "fc1.weight", "fc2.weight"];
            optimizer.with_group(ParamGroup::from_any_predicates(matrices), muon.build(), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Initializer, Module, Param};
    use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor};

    use super::*;

    #[derive(Module, Debug)]
    struct Small {
        norm: LayerNorm,
        linear: Linear,
        logit_scale: Param<Tensor<1>>,
    }

    /// What of a tensor of ones is left after one step with a gradient of 0.
    fn decayed(groups: DecayGroups) -> [f32; 5] {
        let device = Device::flex().autodiff();
        let ones = Initializer::Ones;
        let mut norm = LayerNormConfig::new(1).init(&device);
        norm.beta = Some(ones.init([1], &device));
        let mut linear = LinearConfig::new(1, 1).init(&device);
        (linear.weight, linear.bias) = (ones.init([1, 1], &device), Some(ones.init([1], &device)));
        let model = Small { norm, linear, logit_scale: ones.init([1], &device) };
        let x = Tensor::<2>::zeros([1, 1], &device);
        let y = model.linear.forward(model.norm.forward(x)).sum() + model.logit_scale.val().sum();
        let gradients = GradientsParams::from_grads((y * 0.0).backward(), &model);
        let settings =
            GrammarSettings { weight_decay: 0.5, decay_groups: groups, ..Default::default() };
        let model = optimizer(&settings).step(1.0, model, gradients);
        [
            model.linear.weight.val().into_scalar(),
            model.linear.bias.unwrap().val().into_scalar(),
            model.norm.gamma.val().into_scalar(),
            model.norm.beta.unwrap().val().into_scalar(),
            model.logit_scale.val().into_scalar(),
        ]
    }

    #[test]
    fn the_reference_decays_norms_and_the_standard_does_not() {
        assert_eq!(decayed(DecayGroups::Reference), [0.5, 1.0, 0.5, 1.0, 0.5]);
        assert_eq!(decayed(DecayGroups::Standard), [0.5, 1.0, 1.0, 1.0, 1.0]);
    }

    #[derive(Module, Debug)]
    struct Block {
        fc1: Linear,
        other: Linear,
    }

    /// What one step at a rate of 1 adds to two 2 by 2 matrices of zeros, all of whose gradients
    /// are 5.
    fn stepped(kind: GrammarOptimizer) -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        let zeros = |device: &Device| {
            let zeros = Initializer::Zeros;
            LinearConfig::new(2, 2).with_bias(false).with_initializer(zeros).init(device)
        };
        let model = Block { fc1: zeros(&device), other: zeros(&device) };
        let x = Tensor::<2>::ones([1, 2], &device) * 5.0;
        let y = model.fc1.forward(x.clone()).sum() + model.other.forward(x).sum();
        let gradients = GradientsParams::from_grads(y.backward(), &model);
        let settings = GrammarSettings { weight_decay: 0.0, optimizer: kind, ..Default::default() };
        let model = optimizer(&settings).step(1.0, model, gradients);
        [model.fc1, model.other].map(|of| of.weight.val().into_data().iter::<f32>().collect())
    }

    #[test]
    fn muon_orthogonalises_the_steps_of_blocks_and_of_nothing_else() {
        let near = |of: &[f32], value: f32, off: f32| of.iter().all(|v| (v - value).abs() < off);
        let [fc1, other] = stepped(GrammarOptimizer::Adamw);
        assert!(near(&fc1, -1.0, 1e-4) && near(&other, -1.0, 1e-4), "{fc1:?} {other:?}");
        let [fc1, other] = stepped(GrammarOptimizer::Muon);
        assert!(near(&other, -1.0, 1e-4), "{other:?}");
        // The nearest orthogonal matrix of rank 1 has entries of 1/2, which the iteration meets
        // within a factor of 0.7 to 1.2; the step is 0.2 times the root of the width long.
        assert!(near(&fc1, -0.5 * 0.95 * 0.2 * 2.0f32.sqrt(), 0.25 * 0.5 * 0.29), "{fc1:?}");
        assert!(near(&fc1, fc1[0], 1e-6), "{fc1:?}");
    }
}
