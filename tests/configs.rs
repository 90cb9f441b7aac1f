//! Every configuration that ships can be read, and the paper's presets hold its values.

use std::path::{Path, PathBuf};

use finecap::reward::Baseline;
use finecap::train::{
    Config, DecayGroups, Export, GrammarOptimizer, Reduction, Schedule, TermSettings, Tower,
};

fn configs() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("configs")
}

fn paper(name: &str) -> Config {
    Config::read(Some(&configs().join("paper").join(name)), &[]).unwrap()
}

#[test]
fn every_configuration_is_valid() {
    let mut count = 0;
    for dir in [configs(), configs().join("paper")] {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                Config::read(Some(&path), &[]).unwrap();
                count += 1;
            }
        }
    }
    assert!(count >= 16, "{count}");
}

#[test]
fn the_presets_are_the_references() {
    let mle = paper("mle.toml");
    let sizes = &mle.captioner;
    assert_eq!((sizes.d_model, sizes.d_ff, sizes.n_heads), (512, 2048, 8));
    assert_eq!((sizes.n_encoder_layers, sizes.n_decoder_layers), (6, 6));
    assert_eq!((sizes.dropout, sizes.feature_dropout), (0.1, 0.5));
    assert_eq!(mle.mle.schedule, Schedule::Noam { factor: 1.0, warmup: 20_000 });
    // The paper's text and the released code: 15 and 25 epochs of MLE, 25 and 15 of SCST.
    assert_eq!((mle.mle.steps, paper("mle_text.toml").mle.steps), (25 * 567, 15 * 567));
    for (name, epoch) in [("cider", 567), ("clip_s", 709), ("cider_clip_s", 709)] {
        let (code, text) = (paper(&format!("{name}.toml")), paper(&format!("{name}_text.toml")));
        assert_eq!((code.scst.steps, text.scst.steps), (15 * epoch, 25 * epoch), "{name}");
        assert_eq!(code.scst.reward, text.scst.reward, "{name}");
        assert_eq!(code.scst.schedule, Schedule::Constant { lr: 5e-6, warmup: 0 });
        assert_eq!((code.scst.baseline, code.scst.reduction), (Baseline::Greedy, Reduction::Token));
        assert_eq!((code.scst.samples, code.scst.clip_norm), (5, 0.1));
    }
    assert_eq!(paper("cider.toml").scst.batch_size, 200);
    assert_eq!(paper("clip_s.toml").scst.batch_size, 160);
    let both = paper("cider_clip_s.toml").scst.reward;
    assert_eq!((both.clip_s.weight, both.cider.weight, both.grammar.weight), (2.0, 1.0, 0.0));

    let grammar =
        |weight| TermSettings { weight, baseline: Some(Baseline::Greedy), normalize: false };
    let (code, text) = (paper("clip_s_grammar.toml"), paper("clip_s_grammar_text.toml"));
    assert_eq!((code.scst.reward.clip_s, code.scst.reward.grammar), (2.0.into(), grammar(1.0)));
    assert_eq!((text.scst.reward.clip_s, text.scst.reward.grammar), (1.0.into(), grammar(2.0)));
    assert_eq!(code.scst.reward.tower, Tower::Grammar);
    assert_eq!(code.scst.reward.grammar_prompt.as_deref(), Some("A photo depicts"));

    for config in [code, text] {
        let reward = config.scst.reward;
        assert_eq!((reward.prompt.as_str(), reward.clip_s_w), ("A photo depicts", 2.5));
        assert_eq!((config.scst.batch_size, config.scst.divide_by_spread), (160, false));
        assert_eq!((config.scst.kl_beta, config.scst.entropy_bonus), (0.0, 0.0));
    }

    let grammar = paper("grammar.toml");
    assert_eq!((grammar.grammar.contrastive_weight, grammar.grammar.grammar_weight), (1.0, 1.0));
    assert_eq!((grammar.grammar.prefix_weight, grammar.grammar.next_word_weight), (0.0, 0.0));
    assert_eq!((grammar.grammar.weight_decay, grammar.grammar.clip_norm), (0.01, 0.0));
    assert_eq!(grammar.grammar.optimizer, GrammarOptimizer::Adamw);
    assert!(grammar.grammar.prompt.is_empty());
    assert_eq!((grammar.grammar.batch_size, grammar.grammar.steps), (1600, 30 * 71));
    assert_eq!(grammar.grammar.decay_groups, DecayGroups::Reference);
    assert_eq!(grammar.grammar.schedule, Schedule::Constant { lr: 1e-4, warmup: 0 });
    assert_eq!(grammar.checkpoint.export, Export::Best);
}
