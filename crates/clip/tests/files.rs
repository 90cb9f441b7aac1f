//! One model in every kind of file that released weights come in.

mod common;

use std::fs;

use burn::tensor::Device;
use common::{Expected, assert_close, fixture};
use finecap_clip::{Activation, ClipWeights, VisionConfig};

const FILES: [&str; 4] = ["script.pt", "state.pt", "lightning.ckpt", "half.safetensors"];

#[test]
fn every_kind_of_file_gives_the_embeddings_of_open_clip() {
    let expected = Expected::read("clip_files");
    let device = Device::flex();
    for name in FILES {
        // OpenAI alone released TorchScript, so that says the activation.
        let activation = (name != "script.pt").then_some(Activation::QuickGelu);
        let path = fixture("clip_files").join(name);
        let weights = ClipWeights::open(&path, activation).unwrap();
        let text = &weights.config().text_config;
        assert_eq!((text.max_position_embeddings, text.eos_token_id), (24, 19), "{name}");
        let VisionConfig::Vit(vit) = &weights.config().vision_config else {
            panic!("{name} holds a vision Transformer")
        };
        assert_eq!((vit.image_size, vit.patch_size, vit.intermediate_size), (8, 4, 8), "{name}");
        let (model, sources) = weights.load_model(&device).unwrap();
        assert!(sources.iter().any(|source| source.path == "logit_scale"));
        let image = model.encode_image(expected.floats("pixel_values")).embedding;
        assert_close(image, expected.floats("image_embeds_raw"), name);
        let text = model.encode_tokens(&expected.ids("input_ids"), &device).unwrap();
        assert_close(text, expected.floats("text_embeds_raw"), name);
    }
}

#[test]
fn openais_archives_are_not_read_with_another_activation() {
    let path = fixture("clip_files").join("script.pt");
    let error = ClipWeights::open(&path, Some(Activation::Gelu)).unwrap_err().to_string();
    assert!(error.contains("script.pt") && error.contains("QuickGELU"), "{error}");
}

#[test]
fn openais_archives_are_not_read_with_the_configuration_of_others() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(fixture("clip_files/script.pt"), dir.path().join("open_clip_pytorch_model.bin"))
        .unwrap();
    let config = |more: &str| {
        let json = format!(
            r#"{{"model_cfg": {{"embed_dim": 8, {more}
                "vision_cfg": {{"image_size": 8, "layers": 1, "width": 64, "patch_size": 4,
                               "mlp_ratio": 0.125}},
                "text_cfg": {{"context_length": 24, "vocab_size": 20, "width": 64, "heads": 1,
                             "layers": 1, "mlp_ratio": 0.125}}}}}}"#
        );
        fs::write(dir.path().join("open_clip_config.json"), json).unwrap();
        ClipWeights::open(dir.path(), None)
    };
    let error = config("").unwrap_err().to_string();
    assert!(error.contains("trained with QuickGELU") && error.contains("says GELU"), "{error}");
    let weights = config(r#""quick_gelu": true,"#).unwrap();
    weights.load_model(&Device::flex()).unwrap();
}

#[test]
fn a_file_that_is_cut_short_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for name in FILES {
        let bytes = fs::read(fixture("clip_files").join(name)).unwrap();
        let path = dir.path().join(name);
        for kept in [0, 1, 100, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..kept]).unwrap();
            let opened = ClipWeights::open(&path, Some(Activation::QuickGelu));
            let loaded = opened.and_then(|weights| weights.load_model(&Device::flex()));
            let error = loaded.expect_err("a part of a file").to_string();
            assert!(error.contains(name) && !error.contains('\n'), "{kept} of {name}: {error}");
        }
    }
}
