use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::CaptionerError;
use crate::feature_spec::FeatureSpec;
use crate::init;
use crate::model::Captioner;

/// Which layer normalisation a model uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// `a·(x − mean)/(std + 1e-6) + b` with the unbiased standard deviation, as in the reference
    /// implementation; its checkpoints need this one.
    Reference,
    /// `a·(x − mean)/√(var + 1e-5) + b` with the biased variance (Ba et al. 2016).
    Standard,
}

/// The shape of a [`Captioner`]; saved as JSON beside the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptionerConfig {
    /// Width `F` of the image features.
    pub feature_dim: usize,
    /// Number of ids `V`, see [`Vocab::len`](crate::Vocab::len).
    pub vocab_size: usize,
    /// Width `D` of the model.
    pub d_model: usize,
    /// Width of the hidden layer of the feed-forward blocks.
    pub d_ff: usize,
    /// Attention heads `H`; they divide `d_model`.
    pub n_heads: usize,
    /// Encoder layers.
    pub n_encoder_layers: usize,
    /// Decoder layers.
    pub n_decoder_layers: usize,
    /// Dropout after every sublayer, inside the feed-forward blocks, on the attention weights and
    /// on the decoder's input.
    pub dropout: f64,
    /// Dropout on the embedded image features.
    pub feature_dropout: f64,
    /// The longest sequence the decoder reads: tokens of a caption, its end token included.
    pub max_len: usize,
    /// Layer normalisation.
    pub norm: Norm,
    /// The features it was trained on, where that is known. The model does not compute with it;
    /// see [`check_spec`](Self::check_spec).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeatureSpec>,
}

impl CaptionerConfig {
    /// The reference's captioner (Cho et al. 2022, `configs/phase1/clipRN50_mle.yml`) for
    /// features of width `feature_dim` and a vocabulary of `vocab_size` ids.
    pub fn new(feature_dim: usize, vocab_size: usize) -> Self {
        Self {
            feature_dim,
            vocab_size,
            d_model: 512,
            d_ff: 2048,
            n_heads: 8,
            n_encoder_layers: 6,
            n_decoder_layers: 6,
            dropout: 0.1,
            feature_dropout: 0.5,
            max_len: 20,
            norm: Norm::Reference,
            features: None,
        }
    }

    /// Checks that a model can have these sizes.
    ///
    /// # Errors
    /// [`CaptionerError::Config`], naming the first such field.
    pub fn check(&self) -> Result<(), CaptionerError> {
        let wrong = |field, rule: &str, found: String| {
            Err(CaptionerError::Config { field, rule: rule.into(), found })
        };
        for (field, value) in [
            ("feature_dim", self.feature_dim),
            ("d_ff", self.d_ff),
            ("n_heads", self.n_heads),
            ("n_encoder_layers", self.n_encoder_layers),
            ("n_decoder_layers", self.n_decoder_layers),
            ("max_len", self.max_len),
        ] {
            if value == 0 {
                return wrong(field, "at least 1", value.to_string());
            }
        }
        if self.vocab_size < 2 {
            return wrong(
                "vocab_size",
                "at least 2 (the end token and UNK)",
                self.vocab_size.to_string(),
            );
        }
        if self.d_model < 2 || !self.d_model.is_multiple_of(2) {
            return wrong("d_model", "an even number above 0", self.d_model.to_string());
        }
        if !self.d_model.is_multiple_of(self.n_heads) {
            return wrong(
                "n_heads",
                &format!("a divisor of d_model = {}", self.d_model),
                self.n_heads.to_string(),
            );
        }
        for (field, value) in [("dropout", self.dropout), ("feature_dropout", self.feature_dropout)]
        {
            if !(0.0..1.0).contains(&value) {
                return wrong(field, "at least 0 and below 1", value.to_string());
            }
        }
        if let Some(FeatureSpec { grid: [_, width], .. }) = self.features
            && width != self.feature_dim
        {
            let rule = format!("of the width feature_dim = {}", self.feature_dim);
            return wrong("features.grid", &rule, width.to_string());
        }
        Ok(())
    }

    /// Checks that features of this kind may be given to the model: that nothing is known to be
    /// other than what it was trained on. Returns the names of what cannot be compared because
    /// one side does not tell it, which a user should see once.
    ///
    /// # Errors
    /// [`CaptionerError::Features`] and [`CaptionerError::OtherFeatures`].
    pub fn check_spec(&self, found: &FeatureSpec) -> Result<Vec<&'static str>, CaptionerError> {
        let [positions, width] = found.grid;
        if width != self.feature_dim {
            return Err(CaptionerError::Features { expected: self.feature_dim, found: width });
        }
        let unknown = || FeatureSpec::unknown(found.source, [positions, width]);
        let own = self.features.clone().unwrap_or_else(unknown);
        let differences = own.conflicts(found);
        if differences.is_empty() {
            return Ok(own.untold(found));
        }
        Err(CaptionerError::OtherFeatures { differences })
    }

    /// Builds a model with fresh weights on `device`.
    ///
    /// Weights are drawn in a fixed order from the device's generator, so that
    /// `device.seed(s)` before this call makes them reproducible.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub fn init(&self, device: &Device) -> Result<Captioner, CaptionerError> {
        let model = self.build(device)?;
        init::materialise(&model);
        Ok(model)
    }

    /// Builds a model whose weights are drawn only when they are first read.
    pub(crate) fn build(&self, device: &Device) -> Result<Captioner, CaptionerError> {
        self.check()?;
        Ok(Captioner::new(self, device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FeatureSource;

    #[test]
    fn defaults_are_the_references() {
        let config = CaptionerConfig::new(2048, 9488);
        config.check().unwrap();
        assert_eq!((config.d_model, config.d_ff, config.n_heads), (512, 2048, 8));
    }

    #[test]
    fn wrong_fields_are_named() {
        let good = CaptionerConfig::new(16, 30);
        let narrow = FeatureSpec::unknown(FeatureSource::Files, [4, 15]);
        let cases: [(&str, CaptionerConfig); 9] = [
            ("feature_dim", CaptionerConfig { feature_dim: 0, ..good.clone() }),
            ("vocab_size", CaptionerConfig { vocab_size: 1, ..good.clone() }),
            ("d_model", CaptionerConfig { d_model: 7, n_heads: 7, ..good.clone() }),
            ("n_heads", CaptionerConfig { n_heads: 7, ..good.clone() }),
            ("n_decoder_layers", CaptionerConfig { n_decoder_layers: 0, ..good.clone() }),
            ("dropout", CaptionerConfig { dropout: 1.0, ..good.clone() }),
            ("feature_dropout", CaptionerConfig { feature_dropout: f64::NAN, ..good.clone() }),
            ("max_len", CaptionerConfig { max_len: 0, ..good.clone() }),
            ("features.grid", CaptionerConfig { features: Some(narrow), ..good.clone() }),
        ];
        for (field, config) in cases {
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(&format!("`{field}`")), "{message}");
            assert!(config.init(&Device::flex()).is_err());
        }
    }

    #[test]
    fn unknown_and_missing_fields_are_refused() {
        let mut json = serde_json::to_value(CaptionerConfig::new(16, 30)).unwrap();
        json["layers"] = 3.into();
        assert!(serde_json::from_value::<CaptionerConfig>(json.clone()).is_err());
        let object = json.as_object_mut().unwrap();
        object.remove("layers");
        object.remove("norm");
        assert!(serde_json::from_value::<CaptionerConfig>(json).is_err());
    }
}
