//! What image features are: a captioner may only be given features like those it was trained on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who made image features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureSource {
    /// A CLIP image tower, from pictures.
    Clip,
    /// Another program, which left files that were imported.
    Files,
    /// The program that trains or describes, which handed them over.
    Program,
}

/// What image features are: the tower that made them and how pictures were prepared for it. `None`
/// stands for what nobody has told, as of imported files.
///
/// It is kept with a store of features and with a captioner that was trained on them, so that two
/// of them can be [compared](Self::conflicts). The pictures themselves are no part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// Who made them.
    pub source: FeatureSource,
    /// Number of positions `P` and width `F` of the features of one picture.
    pub grid: [usize; 2],
    /// What of the tower was kept: `grid` for a ResNet's last stage or a ViT's last hidden states
    /// of the patches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Kind and sizes of the tower, as [`resnet`](Self::resnet) writes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Hash of the tower's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Activation of the tower, which its weights do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<String>,
    /// Side of the square picture that the tower reads, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// How a picture becomes a square: `centre_crop` or `squash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<String>,
    /// Filter of the resizing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resample: Option<String>,
    /// Mean of red, green and blue, for values from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<[f32; 3]>,
    /// Standard deviation of red, green and blue, for values from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<[f32; 3]>,
}

/// A field in which two specs differ, with both values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureDifference {
    /// Name of the field.
    pub field: &'static str,
    /// The value of the first spec.
    pub first: String,
    /// The value of the second spec.
    pub second: String,
}

impl FeatureSpec {
    /// Features of which only their maker and their shape `[P, F]` are known.
    pub fn unknown(source: FeatureSource, grid: [usize; 2]) -> Self {
        Self {
            source,
            grid,
            layer: None,
            model: None,
            weights: None,
            activation: None,
            size: None,
            fit: None,
            resample: None,
            mean: None,
            std: None,
        }
    }

    /// The words for a ResNet of CLIP in [`model`](Self::model).
    pub fn resnet(layers: [usize; 4], width: usize, heads: usize) -> String {
        format!("ResNet of {layers:?} blocks, width {width}, {heads} heads")
    }

    /// Name and value of every field.
    fn fields(&self) -> [(&'static str, Option<String>); 11] {
        let [positions, width] = self.grid;
        let colours = |values: [f32; 3]| format!("{values:?}");
        [
            ("source", Some(self.source.to_string())),
            ("grid", Some(format!("{positions} positions of width {width}"))),
            ("layer", self.layer.clone()),
            ("model", self.model.clone()),
            ("weights", self.weights.clone()),
            ("activation", self.activation.clone()),
            ("size", self.size.map(|size| size.to_string())),
            ("fit", self.fit.clone()),
            ("resample", self.resample.clone()),
            ("mean", self.mean.map(colours)),
            ("std", self.std.map(colours)),
        ]
    }

    /// Every field that is not the same, what is known and what is not included: empty for equal
    /// specs only.
    pub fn differences(&self, other: &Self) -> Vec<FeatureDifference> {
        let unknown = || "unknown".to_string();
        self.pairs(other)
            .filter(|(_, first, second)| first != second)
            .map(|(field, first, second)| FeatureDifference {
                field,
                first: first.unwrap_or_else(unknown),
                second: second.unwrap_or_else(unknown),
            })
            .collect()
    }

    /// The fields that are known of both and differ: features with any of them cannot stand for
    /// each other. Who made them does not matter.
    pub fn conflicts(&self, other: &Self) -> Vec<FeatureDifference> {
        self.pairs(other)
            .filter_map(|(field, first, second)| {
                let (first, second) = (first?, second?);
                (first != second && field != "source").then_some(FeatureDifference {
                    field,
                    first,
                    second,
                })
            })
            .collect()
    }

    /// The fields that cannot be compared, because one of the two does not tell them.
    pub fn untold(&self, other: &Self) -> Vec<&'static str> {
        self.pairs(other)
            .filter(|(_, first, second)| first.is_none() || second.is_none())
            .map(|(field, ..)| field)
            .collect()
    }

    /// What is known of either; of both, what this one says.
    pub fn or(self, other: &Self) -> Self {
        let other = other.clone();
        Self {
            source: self.source,
            grid: self.grid,
            layer: self.layer.or(other.layer),
            model: self.model.or(other.model),
            weights: self.weights.or(other.weights),
            activation: self.activation.or(other.activation),
            size: self.size.or(other.size),
            fit: self.fit.or(other.fit),
            resample: self.resample.or(other.resample),
            mean: self.mean.or(other.mean),
            std: self.std.or(other.std),
        }
    }

    fn pairs(
        &self,
        other: &Self,
    ) -> impl Iterator<Item = (&'static str, Option<String>, Option<String>)> {
        let both = self.fields().into_iter().zip(other.fields());
        both.map(|((field, first), (_, second))| (field, first, second))
    }
}

impl fmt::Display for FeatureSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clip => "a CLIP model",
            Self::Files => "imported files",
            Self::Program => "another program",
        })
    }
}

impl fmt::Display for FeatureDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {} and {}", self.field, self.first, self.second)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A spec with every field told, from a few numbers.
    fn spec(n: u32) -> FeatureSpec {
        let word = |name: &str| Some(format!("{name}-{n}"));
        let colours = |base: f32| Some([base + n as f32, base / 3.0, base + 0.1]);
        FeatureSpec {
            source: FeatureSource::Clip,
            grid: [n as usize + 1, 8],
            layer: word("layer"),
            model: word("model"),
            weights: word("weights"),
            activation: word("activation"),
            size: Some(n),
            fit: word("fit"),
            resample: word("resample"),
            mean: colours(0.5),
            std: colours(0.25),
        }
    }

    /// The same with one field of another, by name, as JSON.
    fn with(spec: &FeatureSpec, field: &str, value: Value) -> FeatureSpec {
        let mut json = serde_json::to_value(spec).unwrap();
        json[field] = value;
        if json[field].is_null() {
            json.as_object_mut().unwrap().remove(field);
        }
        serde_json::from_value(json).unwrap()
    }

    fn fields(differences: &[FeatureDifference]) -> Vec<&'static str> {
        differences.iter().map(|difference| difference.field).collect()
    }

    proptest! {
        /// Whatever field differs, it is named with both values; nothing else is.
        #[test]
        fn a_single_other_field_is_named(a in 0u32..1000, b in 0u32..1000, place in 0usize..11) {
            prop_assume!(a != b);
            let (first, other) = (spec(a), serde_json::to_value(spec(b)).unwrap());
            prop_assert_eq!(first.differences(&first), []);
            let (field, value) = other.as_object().unwrap().iter().nth(place).unwrap();
            let value = if field == "source" { json!("files") } else { value.clone() };
            let second = with(&first, field, value);
            let differences = first.differences(&second);
            prop_assert_eq!(fields(&differences), [field.as_str()]);
            prop_assert_ne!(&differences[0].first, &differences[0].second);
            let conflicts = first.conflicts(&second);
            if field == "source" {
                prop_assert_eq!(conflicts, []);
                return Ok(());
            }
            prop_assert_eq!(&conflicts, &differences);

            // What one side does not tell is no conflict, but no equality either.
            if field != "grid" {
                let silent = with(&first, field, Value::Null);
                prop_assert_eq!(first.conflicts(&silent), []);
                prop_assert_eq!(first.untold(&silent), [field.as_str()]);
                prop_assert_eq!(fields(&first.differences(&silent)), [field.as_str()]);
                prop_assert_eq!(&silent.clone().or(&first), &first);
            }
        }

        #[test]
        fn a_file_gives_back_every_number(mean in any::<[f32; 3]>(), size in any::<u32>()) {
            prop_assume!(mean.iter().all(|x| x.is_finite()));
            let spec = FeatureSpec { mean: Some(mean), size: Some(size), ..spec(7) };
            let text = serde_json::to_string(&spec).unwrap();
            prop_assert_eq!(serde_json::from_str::<FeatureSpec>(&text).unwrap(), spec);
        }
    }
}
