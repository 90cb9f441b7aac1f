//! Embeddings against those of `transformers`, and folders that both can read.

mod common;

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use common::{Expected, TOLERANCE, assert_close, fixture};
use finecap_clip::{
    Clip, ClipConfig, ClipPipeline, ClipTokenizer, PreprocessConfig, contrastive_loss, normalize,
};

/// The model of a fixture, with a tokenizer and preprocessing that only have to fit.
fn model(name: &str) -> Clip {
    let json = std::fs::read_to_string(fixture(name).join("config.json")).unwrap();
    let config: ClipConfig = serde_json::from_str(&json).unwrap();
    let mut model = config.init(&Device::flex()).unwrap();
    model.load_weights(&fixture(name).join("model.safetensors")).unwrap();
    model
}

#[test]
fn embeddings_agree_with_transformers() {
    for name in ["clip_tiny", "clip_tiny_gelu"] {
        let expected = Expected::read(name);
        let model = model(name);
        let device = Device::flex();
        let image = model.encode_image(expected.floats("pixel_values"));
        let patches = expected.floats::<3>("vision_last_hidden");
        let [b, n, d] = patches.dims();
        let without_class = patches.slice([0..b, 1..n, 0..d]);
        assert_close(image.grid, without_class, "patch states");
        let raw = expected.floats::<2>("image_embeds_raw");
        assert_close(image.embedding.clone(), raw, "image projection");
        let image = normalize(image.embedding);
        assert_close(image.clone(), expected.floats("image_embeds"), "image embedding");

        for key in ["input_ids", "input_ids_eos_padded"] {
            let text = model.encode_tokens(&expected.ids(key), &device).unwrap();
            assert_close(text.clone(), expected.floats("text_embeds_raw"), "text projection");
            let text = normalize(text);
            assert_close(text.clone(), expected.floats("text_embeds"), "text embedding");
            let logits =
                image.clone().matmul(text.transpose()) * model.logit_scale().exp().reshape([1, 1]);
            let difference: f32 =
                (logits - expected.floats("logits_per_image")).abs().max().into_scalar();
            // Logits are cosines times a scale of about 14.
            assert!(difference < 14.0 * TOLERANCE, "logits differ by {difference}");
        }
    }
}

#[test]
fn a_batch_row_equals_a_single_run() {
    let expected = Expected::read("clip_tiny");
    let model = model("clip_tiny");
    let device = Device::flex();
    let ids = expected.ids("input_ids");
    let batch = model.encode_tokens(&ids, &device).unwrap();
    for (row, ids) in ids.iter().enumerate() {
        let single = model.encode_tokens(std::slice::from_ref(ids), &device).unwrap();
        assert_close(batch.clone().narrow(0, row, 1), single, "text row");
    }
}

#[test]
fn captions_that_cannot_be_read_are_named() {
    let model = model("clip_tiny");
    let message = |captions: &[Vec<u32>]| {
        model.encode_tokens(captions, &Device::flex()).unwrap_err().to_string()
    };
    assert!(message(&[vec![598, 1, 599], vec![598, 2]]).contains("caption 1"));
    let long: Vec<u32> = std::iter::repeat_n(5, 40).chain([599]).collect();
    assert!(message(&[long]).contains("context of 16"));
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let json = std::fs::read_to_string(fixture("clip_tiny").join("config.json")).unwrap();
    let mut config: ClipConfig = serde_json::from_str(&json).unwrap();
    let weights = fixture("clip_tiny").join("model.safetensors");
    let message = |config: &ClipConfig| {
        let mut model = config.init(&Device::flex()).unwrap();
        model.load_weights(&weights).unwrap_err().to_string()
    };
    config.text_config.num_hidden_layers = 1;
    let more = message(&config);
    assert!(more.contains("text_model.encoder.layers.1") && more.contains("no place"), "{more}");
    config.text_config.num_hidden_layers = 3;
    let fewer = message(&config);
    assert!(fewer.contains("text_model.encoder.layers.2") && fewer.contains("missing"), "{fewer}");
    config.text_config.num_hidden_layers = 2;
    config.projection_dim = 25;
    let shape = message(&config);
    assert!(shape.contains("projection") && !shape.contains('\n'), "{shape}");
    let mut model = config.init(&Device::flex()).unwrap();
    let missing = model.load_weights(&fixture("none.safetensors")).unwrap_err().to_string();
    assert!(missing.contains("none.safetensors"), "{missing}");
}

/// A pipeline for a small world of words.
fn pipeline() -> ClipPipeline {
    let tokenizer = ClipTokenizer::from_words("a red star above blue ring".split(' ')).unwrap();
    let config = ClipConfig::tiny(tokenizer.vocab_size(), tokenizer.bos_id(), tokenizer.eos_id());
    let device = Device::flex();
    device.seed(3);
    let model = config.init(&device).unwrap();
    ClipPipeline::new(config, model, tokenizer, PreprocessConfig::openai(48)).unwrap()
}

#[test]
fn a_folder_gives_back_the_same_embeddings() {
    let pipeline = pipeline();
    let dir = tempfile::tempdir().unwrap();
    pipeline.save(dir.path()).unwrap();
    let device = Device::flex();
    let again = ClipPipeline::load(dir.path(), &device).unwrap();
    assert_eq!(again.config, pipeline.config);
    let texts = ["a red star", "a blue ring above a red star", "", "a red star"];
    let ours = pipeline.embed_texts(&texts, &device).unwrap();
    assert_eq!(ours.to_data(), again.embed_texts(&texts, &device).unwrap().to_data());
    // Equal captions have equal rows, different ones don't.
    let row = |i: usize| ours.clone().narrow(0, i, 1).into_data();
    assert_eq!(row(0), row(3));
    assert_ne!(row(0), row(1));
}

/// Writes a folder for `fixtures/check_transformers.py`, which loads it with `transformers` and
/// compares: `FINECAP_WRITE_CLIP=FOLDER cargo test --release --workspace --test parity -- --ignored`.
#[test]
#[ignore = "writes a folder for fixtures/check_transformers.py; the comment above says how"]
fn a_folder_for_transformers() {
    let dir = std::env::var_os("FINECAP_WRITE_CLIP").map(PathBuf::from);
    let dir = dir.expect("FINECAP_WRITE_CLIP names the folder to write");
    let pipeline = pipeline();
    pipeline.save(&dir).unwrap();
    let device = Device::flex();
    let pixels = Tensor::<4>::random([2, 3, 48, 48], burn::tensor::Distribution::Default, &device);
    let texts = ["a red star above a blue ring", "a ring"];
    let ids = pipeline.tokenizer.encode_batch(&texts, 32).unwrap();
    let width = ids.iter().map(Vec::len).max().unwrap();
    let padded: Vec<i64> = ids
        .iter()
        .flat_map(|row| {
            let padding = std::iter::repeat_n(pipeline.tokenizer.pad_id(), width - row.len());
            row.iter().copied().chain(padding).map(i64::from).collect::<Vec<_>>()
        })
        .collect();
    let image = normalize(pipeline.model.encode_image(pixels.clone()).embedding);
    let text = normalize(pipeline.model.encode_tokens(&ids, &device).unwrap());
    let bytes =
        |data: TensorData| -> Vec<u8> { data.iter::<f32>().flat_map(f32::to_le_bytes).collect() };
    let id_bytes: Vec<u8> = padded.iter().flat_map(|id| id.to_le_bytes()).collect();
    let (pixel_bytes, image_bytes, text_bytes) =
        (bytes(pixels.into_data()), bytes(image.into_data()), bytes(text.into_data()));
    let view = |dtype, shape: Vec<usize>, bytes| {
        safetensors::tensor::TensorView::new(dtype, shape, bytes).unwrap()
    };
    use safetensors::Dtype::{F32, I64};
    let tensors = [
        ("pixel_values", view(F32, vec![2, 3, 48, 48], &pixel_bytes)),
        ("input_ids", view(I64, vec![2, width], &id_bytes)),
        ("image_embeds", view(F32, vec![2, 128], &image_bytes)),
        ("text_embeds", view(F32, vec![2, 128], &text_bytes)),
    ];
    safetensors::serialize_to_file(tensors, None, &dir.join("expected.safetensors")).unwrap();
}

#[test]
fn the_loss_is_the_cross_entropy_of_both_directions() {
    let device = Device::flex();
    let image = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 2.0]], &device);
    let text = Tensor::<2>::from_data([[3.0, 0.0], [3.0, 3.0]], &device);
    let scale = Tensor::<1>::from_data([2.0f32.ln()], &device);
    // Cosines [[1, 0.7071068], [0, 0.7071068]], doubled; worked out by hand:
    // -ln softmax over rows 0.442548, 0.217622, over columns 0.126928, 0.693147.
    let loss: f32 = contrastive_loss(image, text, scale).into_scalar();
    let expected = (0.442548 + 0.217622 + 0.126928 + 2f32.ln()) / 4.0;
    assert!((loss - expected).abs() < 1e-5, "{loss} and {expected}");
}

#[test]
fn the_logit_scale_is_clamped() {
    let device = Device::flex();
    let embeddings = || Tensor::<2>::from_data([[1.0, 0.2], [0.3, 1.0]], &device);
    let loss = |scale: f32| -> f32 {
        let scale = Tensor::<1>::from_data([scale], &device);
        contrastive_loss(embeddings(), embeddings(), scale).into_scalar()
    };
    assert_eq!(loss(100f32.ln()), loss(100f32.ln() + 3.0));
    assert!(loss(2.0) > loss(3.0));
}
