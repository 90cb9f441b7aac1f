//! `finecap-clip` in a program of your own: embeddings of texts and pictures, on a device that is
//! chosen when the program starts.
//!
//! `cargo run --release --example embed -- CLIP_FOLDER PICTURE TEXT...`
//!
//! CLIP_FOLDER is a model in Hugging Face's layout, for instance the `clip/model` folder of a run.

use std::path::Path;

use finecap_clip::{ClipPipeline, load_image};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, picture, texts @ ..] = arguments.as_slice() else {
        return Err("usage: embed CLIP_FOLDER PICTURE TEXT...".into());
    };
    // The environment variable FINECAP_DEVICE decides; your own program would make a device of
    // Burn's, as in `Device::flex()`.
    let device = finecap::device::choose(None)?;
    let clip = ClipPipeline::load(Path::new(folder), &device)?;
    let image = clip.embed_images(&[load_image(Path::new(picture))?], &device)?.embedding;
    let cosines = clip.embed_texts(texts, &device)?.matmul(image.transpose());
    for (text, cosine) in texts.iter().zip(cosines.into_data().iter::<f32>()) {
        println!("{cosine:+.4}  {text}");
    }
    Ok(())
}
