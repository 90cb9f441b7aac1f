//! What files call the model's tensors.

use burn::module::ModuleVisitor;

/// Whose names and shapes a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `transformers`: module paths of this crate, queries, keys and values apart.
    HuggingFace,
    /// OpenAI's, which OpenCLIP kept: queries, keys and values in one matrix.
    OpenClip,
}

/// Where a file keeps one of the model's tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub name: String,
    /// Which third of the first dimension, for queries, keys and values in one matrix.
    pub third: Option<usize>,
    /// Burn's linear layers hold `[in, out]`; most files have `[out, in]`.
    pub transposed: bool,
}

/// Path of the parameter that is visited, in PyTorch's words.
#[derive(Default)]
pub(crate) struct ModulePath(Vec<(String, String)>);

impl ModulePath {
    pub fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.to_string(), container.to_string()));
    }

    pub fn exit(&mut self) {
        self.0.pop();
    }

    /// The path; which kind the image tower is does not show in it.
    pub fn name(&self) -> String {
        let names = self.0.iter().filter(|(_, container)| !container.starts_with("Enum:"));
        let names: Vec<&str> = names
            .map(|(name, container)| match (name.as_str(), container.as_str()) {
                ("gamma", "Struct:LayerNorm") => "weight",
                ("beta", "Struct:LayerNorm") => "bias",
                (name, _) => name,
            })
            .collect();
        names.join(".")
    }

    pub fn is_linear_weight(&self) -> bool {
        matches!(self.0.last(), Some((name, of)) if name == "weight" && of == "Struct:Linear")
    }
}

/// All paths of a module, with whether each is the weight of a linear layer.
#[derive(Default)]
pub(crate) struct Paths {
    path: ModulePath,
    pub found: Vec<(String, bool)>,
}

impl ModuleVisitor for Paths {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, _: &burn::module::Param<burn::tensor::Tensor<D>>) {
        self.found.push((self.path.name(), self.path.is_linear_weight()));
    }
}

impl Layout {
    /// Where the parameter at `path` is kept.
    pub(crate) fn place(self, path: &str, is_linear_weight: bool) -> Place {
        let plain = |name: String| Place { name, third: None, transposed: is_linear_weight };
        match self {
            Self::HuggingFace => plain(path.to_string()),
            Self::OpenClip => open_clip(path, is_linear_weight).unwrap_or_else(|| {
                // What is left: the logit scale, and a ResNet, whose paths are the file's.
                plain(path.replacen("vision_model.", "visual.", 1))
            }),
        }
    }
}

fn open_clip(path: &str, transposed: bool) -> Option<Place> {
    let plain = |name: String| Place { name, third: None, transposed };
    // Multiplied from the right in the file, so nothing is transposed.
    match path {
        "text_projection.weight" => {
            return Some(Place { transposed: false, ..plain("text_projection".into()) });
        }
        "visual_projection.weight" => {
            return Some(Place { transposed: false, ..plain("visual.proj".into()) });
        }
        _ => {}
    }
    for (ours, theirs) in [
        ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
        ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
        ("vision_model.embeddings.class_embedding", "visual.class_embedding"),
        ("vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight"),
        ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"),
    ] {
        if path == ours {
            return Some(plain(theirs.into()));
        }
    }
    for (ours, theirs) in [
        ("text_model.final_layer_norm.", "ln_final."),
        ("vision_model.pre_layrnorm.", "visual.ln_pre."),
        ("vision_model.post_layernorm.", "visual.ln_post."),
    ] {
        if let Some(rest) = path.strip_prefix(ours) {
            return Some(plain(format!("{theirs}{rest}")));
        }
    }
    for (ours, theirs) in [
        ("text_model.encoder.layers.", "transformer.resblocks."),
        ("vision_model.encoder.layers.", "visual.transformer.resblocks."),
    ] {
        let Some((number, rest)) = path.strip_prefix(ours).and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        let (part, kind) = rest.rsplit_once('.')?;
        let (part, third) = match part {
            "layer_norm1" => ("ln_1.", None),
            "layer_norm2" => ("ln_2.", None),
            "mlp.fc1" => ("mlp.c_fc.", None),
            "mlp.fc2" => ("mlp.c_proj.", None),
            "self_attn.out_proj" => ("attn.out_proj.", None),
            "self_attn.q_proj" => ("attn.in_proj_", Some(0)),
            "self_attn.k_proj" => ("attn.in_proj_", Some(1)),
            "self_attn.v_proj" => ("attn.in_proj_", Some(2)),
            _ => return None,
        };
        return Some(Place { name: format!("{theirs}{number}.{part}{kind}"), third, transposed });
    }
    None
}

/// Tensors that files carry along and no model is made of: constants, and batch norm's counters.
pub(crate) fn is_constant(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(
        last,
        "position_ids"
            | "attn_mask"
            | "num_batches_tracked"
            | "input_resolution"
            | "context_length"
            | "vocab_size"
    )
}
