use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};

use super::{distance, features, tiny};
use crate::{Captioner, Teacher, token_log_probs};

fn log_probs(model: &Captioner, teacher: &Teacher, grid: Tensor<3>) -> Tensor<2> {
    token_log_probs(
        model.logits(&model.encode(grid), teacher.inputs.clone()),
        teacher.targets.clone(),
    )
}

#[test]
fn every_weight_gets_a_finite_gradient() {
    struct Visit<'a>(&'a Gradients, Vec<String>, Vec<String>);
    impl ModuleVisitor for Visit<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.1.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.1.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = self.1.join(".");
            let sum: f32 = param
                .val()
                .grad(self.0)
                .unwrap_or_else(|| panic!("{name} has no gradient"))
                .abs()
                .sum()
                .into_scalar();
            // A key's bias adds the same to every score of a query, which the softmax ignores.
            let none = name.ends_with("k.bias");
            assert!(sum.is_finite() && (none || sum > 0.0), "{name}: {sum}");
            self.2.push(name);
        }
    }

    for seed in [0, 1] {
        let device = Device::flex().autodiff();
        let model = tiny(seed, &device);
        let words: [&[u32]; 4] = [&[1, 2], &[3, 4, 5], &[6, 7, 8, 9, 10, 1, 2, 3], &[]];
        let teacher = Teacher::new(&words, 8, &device);
        let grid = features(2, seed, &device.clone().inner());
        let loss = -(log_probs(&model, &teacher, grid) * teacher.mask.clone()).sum();
        let grads = loss.backward();
        let mut visit = Visit(&grads, Vec::new(), Vec::new());
        model.visit(&mut visit);
        assert_eq!(visit.2.len(), 2 + 16 + 2 + 1 + 2 * 26 + 2 + 2);
    }
}

#[test]
fn dropout_acts_in_training_only() {
    let device = Device::flex().autodiff();
    let model = tiny(2, &device);
    let grid = features(2, 2, &device.clone().inner());
    let teacher = Teacher::new(&[[1, 2, 3], [4, 5, 6]], 8, &device);
    let trained = || log_probs(&model, &teacher, grid.clone()).inner();
    assert!(distance(trained(), trained()) > 1e-3);

    let valid = model.valid();
    let teacher = Teacher::new(&[[1, 2, 3], [4, 5, 6]], 8, &device.inner());
    let evaluated = || log_probs(&valid, &teacher, grid.clone());
    assert_eq!(distance(evaluated(), evaluated()), 0.0);
}

/// Without dropout, the graph that training records gives the fused path's numbers.
#[test]
fn training_and_evaluation_agree_without_dropout() {
    let device = Device::flex().autodiff();
    let model = tiny(5, &device);
    let grid = features(2, 5, &device.clone().inner());
    let words = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 1, 2]];
    // `freeze` switches dropout off and leaves the model on its device.
    let frozen = model.clone().freeze();
    let trained = log_probs(&frozen, &Teacher::new(&words, 8, &device), grid.clone()).inner();
    let teacher = Teacher::new(&words, 8, &device.inner());
    assert!(distance(trained, log_probs(&model.valid(), &teacher, grid)) < 1e-5);
}
