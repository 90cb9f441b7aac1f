//! What SCST rewards.

use std::fmt;

use finecap_reward::{Baseline, RefClipDefinition};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::ExternalSettings;
use crate::TrainError;

/// One term of the reward: a plain weight, or a table with its own treatment, as in
/// `grammar = { weight = 1.0, baseline = "none", normalize = true }`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TermSettings {
    /// Factor on the score; a term of weight 0 is not computed.
    pub weight: f32,
    /// What its scores are compared with; by default `scst.baseline`.
    pub baseline: Option<Baseline>,
    /// Divide its advantages by their standard deviation over the batch before weighing.
    pub normalize: bool,
}

/// The table form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TermTable {
    weight: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baseline: Option<Baseline>,
    #[serde(default)]
    normalize: bool,
}

impl From<f32> for TermSettings {
    fn from(weight: f32) -> Self {
        Self { weight, ..Self::default() }
    }
}

impl Serialize for TermSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { weight, baseline, normalize } = *self;
        match *self == Self::from(weight) {
            true => weight.serialize(serializer),
            false => TermTable { weight, baseline, normalize }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TermSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Term;

        impl<'de> Visitor<'de> for Term {
            type Value = TermSettings;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a weight, or a table with `weight`, `baseline` and `normalize`")
            }

            fn visit_f64<E>(self, weight: f64) -> Result<TermSettings, E> {
                Ok(TermSettings::from(weight as f32))
            }

            fn visit_i64<E>(self, weight: i64) -> Result<TermSettings, E> {
                Ok(TermSettings::from(weight as f32))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TermSettings, A::Error> {
                let table = TermTable::deserialize(MapAccessDeserializer::new(map))?;
                let TermTable { weight, baseline, normalize } = table;
                Ok(TermSettings { weight, baseline, normalize })
            }
        }

        deserializer.deserialize_any(Term)
    }
}

/// Which CLIP text tower scores captions against pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tower {
    /// That of the CLIP model.
    Clip,
    /// That of the grammar model, which was tuned together with its head; the reference's choice
    /// in CLIP-S+Grammar.
    Grammar,
}

/// Terms of the reward, and what they share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewardSettings {
    /// CLIP-S.
    pub clip_s: TermSettings,
    /// RefCLIP-S, which looks at the references too.
    pub ref_clip_s: TermSettings,
    /// How much better a caption fits its own picture than the others in the batch, as a log
    /// probability.
    pub contrastive: TermSettings,
    /// Probability that the caption is a sentence, by the grammar model.
    pub grammar: TermSettings,
    /// CIDEr-D against the references, end of caption included.
    pub cider: TermSettings,
    /// BLEU-4 against the references.
    pub bleu: TermSettings,
    /// Prompt of CLIP-S and what is built on it.
    pub prompt: String,
    /// Factor `w` inside CLIP-S.
    pub clip_s_w: f32,
    /// Which RefCLIP-S.
    pub ref_clip_s_definition: RefClipDefinition,
    /// Text tower of CLIP-S and what is built on it.
    pub tower: Tower,
    /// Rewards of other programs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<ExternalSettings>,
    /// Prompt of the grammar head; by default the one that it was trained with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grammar_prompt: Option<String>,
}

impl Default for RewardSettings {
    fn default() -> Self {
        Self {
            clip_s: 1.0.into(),
            ref_clip_s: 0.0.into(),
            contrastive: 0.0.into(),
            grammar: 0.0.into(),
            cider: 0.0.into(),
            bleu: 0.0.into(),
            prompt: "A photo depicts".into(),
            clip_s_w: 2.5,
            ref_clip_s_definition: RefClipDefinition::Hessel,
            tower: Tower::Clip,
            external: Vec::new(),
            grammar_prompt: None,
        }
    }
}

impl RewardSettings {
    /// Every term with its name.
    pub fn terms(&self) -> impl Iterator<Item = (&'static str, TermSettings)> {
        [
            ("clip_s", self.clip_s),
            ("ref_clip_s", self.ref_clip_s),
            ("contrastive", self.contrastive),
            ("grammar", self.grammar),
            ("cider", self.cider),
            ("bleu", self.bleu),
        ]
        .into_iter()
    }

    /// Whether a grammar model is needed.
    pub fn needs_grammar(&self) -> bool {
        let reads_tower = [self.clip_s, self.ref_clip_s, self.contrastive];
        self.grammar.weight != 0.0
            || self.tower == Tower::Grammar && reads_tower.iter().any(|term| term.weight != 0.0)
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        let weights = self.terms().map(|(name, term)| (name, term.weight));
        for (name, value) in weights.chain([("clip_s_w", self.clip_s_w)]) {
            if !value.is_finite() {
                let field = format!("scst.reward.{name}");
                return Err(TrainError::setting(field, "must be a finite number"));
            }
        }
        let mut names: Vec<&str> = self.terms().map(|(name, _)| name).collect();
        for external in &self.external {
            external.check(&names)?;
            names.push(&external.name);
        }
        let external = self.external.iter().map(|external| external.weight);
        if self.terms().map(|(_, term)| term.weight).chain(external).all(|weight| weight == 0.0) {
            return Err(TrainError::setting("scst.reward", "has no term of a weight other than 0"));
        }
        Ok(())
    }
}

/// The terms with their weights, as in "clip_s + 0.5 grammar".
impl fmt::Display for RewardSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.terms().map(|(name, term)| (name, term.weight));
        let external = self.external.iter().map(|external| (&*external.name, external.weight));
        let terms = own.chain(external).filter(|(_, weight)| *weight != 0.0);
        for (place, (name, weight)) in terms.enumerate() {
            let plus = if place > 0 { " + " } else { "" };
            match weight {
                1.0 => write!(f, "{plus}{name}")?,
                weight => write!(f, "{plus}{weight} {name}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_a_weight_or_a_table() {
        let settings: RewardSettings = toml::from_str(
            "clip_s = 2\ncider = 0.5\ngrammar = { weight = 1.0, baseline = \"none\" }",
        )
        .unwrap();
        assert_eq!((settings.clip_s, settings.cider), (2.0.into(), 0.5.into()));
        let none = Some(Baseline::None);
        let grammar = TermSettings { weight: 1.0, baseline: none, normalize: false };
        assert_eq!(settings.grammar, grammar);
        let written = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<RewardSettings>(&written).unwrap(), settings);
        assert!(settings.needs_grammar());
    }

    #[test]
    fn a_wrong_term_is_explained() {
        for (text, expected) in [
            ("clip_s = \"much\"", "a weight, or a table"),
            ("clip_s = { weigth = 1.0 }", "unknown field `weigth`"),
            ("clip_s = { weight = 1.0, baseline = \"beam\" }", "unknown variant `beam`"),
        ] {
            let message = toml::from_str::<RewardSettings>(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let nan: RewardSettings = toml::from_str("cider = nan").unwrap();
        let message = nan.check().unwrap_err().to_string();
        assert!(message.contains("`scst.reward.cider` must be a finite number"), "{message}");
    }
}
