//! `finecap convert`

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use finecap::captioner::ReferenceCaptioner;
use finecap::clip::{Activation, ClipWeights, released_name, tensor_names};
use finecap::files::write_folder;
use finecap::reward::GrammarScorer;

/// Whose folder is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Layout {
    /// `config.json` and `model.safetensors`, as `transformers` has them; it has no ResNets.
    HuggingFace,
    /// `open_clip_config.json` and `open_clip_model.safetensors`.
    OpenClip,
}

#[derive(Clone, Copy, ValueEnum)]
enum ActivationName {
    /// OpenAI's models.
    QuickGelu,
    /// Most of OpenCLIP's models.
    Gelu,
}

#[derive(Args)]
pub struct Convert {
    /// Folder or file of a CLIP model (safetensors, PyTorch, TorchScript, Lightning), or a captioner
    /// of the reference project (`clipRN50_*-last.ckpt`). The options below apply to CLIP models only.
    input: PathBuf,
    /// Folder to write; it must not exist.
    output: PathBuf,
    /// Layout of the folder; by default Hugging Face's, and OpenCLIP's for a ResNet.
    #[arg(long, value_enum)]
    layout: Option<Layout>,
    /// Activation that the model was trained with, where the file does not say.
    #[arg(long, value_enum)]
    activation: Option<ActivationName>,
}

impl Convert {
    pub fn run(self, device: &Device) -> Result<()> {
        if self.output.exists() {
            bail!("{} exists already: name another folder", self.output.display());
        }
        if self.input.is_file() && ReferenceCaptioner::recognise(&self.input)? {
            return self.captioner(device);
        }
        let activation = self.activation.map(|name| match name {
            ActivationName::QuickGelu => Activation::QuickGelu,
            ActivationName::Gelu => Activation::Gelu,
        });
        let weights = ClipWeights::open(&self.input, activation)?;
        let layout = match self.layout {
            None => weights.config().natural_layout(),
            Some(Layout::HuggingFace) => finecap::clip::Layout::HuggingFace,
            Some(Layout::OpenClip) => finecap::clip::Layout::OpenClip,
        };
        let (loaded, others) = weights.load_part(device)?;
        let (pipeline, file) = (&loaded.pipeline, weights.file());
        let grammar = match others.as_slice() {
            [] => None,
            others => Some(GrammarScorer::from_checkpoint(pipeline.clone(), file, others, device)?),
        };
        let counters = weights.counters()?;
        write_folder(&self.output, |dir| -> Result<()> {
            pipeline.save_as(dir, layout, &counters)?;
            if let Some(grammar) = &grammar {
                grammar.save_head(dir)?;
            }
            Ok(())
        })?;

        let names = tensor_names(&pipeline.model, layout);
        for source in &loaded.sources {
            let name = names.get(&source.path).map_or("", String::as_str);
            println!("{}\t{:?}\t{name}", source.name, source.shape);
        }
        others.iter().for_each(|name| println!("{name}\tthe grammar head"));
        let sources = loaded.sources.iter().map(|source| source.name.as_str());
        let mapped: BTreeSet<&str> = sources.chain(others.iter().copied()).collect();
        let rest = file.tensors().iter().map(|tensor| tensor.name.as_str());
        let constants: Vec<&str> = rest.filter(|name| !mapped.contains(name)).collect();
        for name in &constants {
            let kept = counters.keys().any(|counter| name.ends_with(counter));
            println!("{name}\t{}", if kept { "kept as it is" } else { "no weight: left out" });
        }
        let config = &pipeline.config;
        eprintln!(
            "{}: {} tensors and {} constants, all accounted for, {}, written to {}",
            released_name(config).unwrap_or("a CLIP of other sizes than the released ones"),
            mapped.len(),
            constants.len(),
            config.text_config.hidden_act,
            self.output.display()
        );
        Ok(())
    }

    /// Writes a captioner of the reference project as training writes its own.
    fn captioner(&self, device: &Device) -> Result<()> {
        if self.layout.is_some() || self.activation.is_some() {
            bail!("{} is a captioner, which has no --layout or --activation", self.input.display());
        }
        let ReferenceCaptioner { model, vocab, tensors } =
            ReferenceCaptioner::load(&self.input, device)?;
        write_folder(&self.output, |dir| -> Result<()> { Ok(model.save(dir, &vocab)?) })?;
        for tensor in &tensors {
            println!("{}\t{:?}\t{}", tensor.name, tensor.shape, tensor.becomes);
        }
        let words = vocab.words().len();
        let config = model.config();
        eprintln!(
            "a captioner of {} and {} layers, {} tensors and {words} words, all accounted for, written to {}",
            config.n_encoder_layers,
            config.n_decoder_layers,
            tensors.len(),
            self.output.display()
        );
        Ok(())
    }
}
