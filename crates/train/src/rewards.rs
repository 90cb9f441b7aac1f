//! From settings to the reward that SCST computes.

use burn::tensor::Device;
use finecap_captioner::Vocab;
use finecap_clip::ClipPipeline;
use finecap_reward::{
    BleuReward, CiderReward, CiderTable, ClipScore, ClipScoreConfig, ContrastiveReward,
    ExternalImage, ExternalReward, GrammarReward, GrammarScorer, RefClipScore, Reward, Term,
    TextEncoder, WeightedSum,
};

use crate::TrainError;
use crate::config::{RewardSettings, TermSettings, Tower};
use crate::data::{Dataset, ImageRecord, ImageSource, Split};
use crate::features::FeatureStore;
use crate::fingerprint::image_tower_fingerprint;

/// The frozen models and tables that rewards are computed with.
#[derive(Clone, Copy)]
pub struct RewardModels<'a> {
    /// The CLIP that the image features came from.
    pub clip: &'a ClipPipeline,
    /// The grammar model, where a term needs it.
    pub grammar: Option<&'a GrammarScorer>,
    /// CIDEr-D's document frequencies; by default counted over the training references.
    pub cider: Option<&'a CiderTable>,
}

impl<'a> RewardModels<'a> {
    /// Only a CLIP.
    pub fn new(clip: &'a ClipPipeline) -> Self {
        Self { clip, grammar: None, cider: None }
    }

    /// The weighted sum that the settings ask for, over all images of the data set, for a
    /// captioner with this vocabulary.
    ///
    /// # Errors
    /// Features with the embeddings of another CLIP, a grammar term without a grammar model or with
    /// that of another CLIP, a CIDEr table of another vocabulary, an image
    /// without references where a term needs them.
    pub fn build(
        &self,
        settings: &RewardSettings,
        dataset: &Dataset,
        features: &FeatureStore,
        vocab: &Vocab,
        device: &Device,
    ) -> Result<WeightedSum, TrainError> {
        features.check_clip(self.clip)?;
        let grammar = match (self.grammar, settings.needs_grammar()) {
            (_, false) => None,
            (Some(grammar), true) => {
                Some((grammar, TextEncoder::new(grammar.pipeline.clone(), device)))
            }
            (None, true) => {
                let problem = "needs a grammar model: train one with `finecap train grammar`";
                return Err(TrainError::setting("scst.reward.grammar", problem));
            }
        };
        let encoder = match (&grammar, settings.tower) {
            (Some((scorer, encoder)), Tower::Grammar) => {
                let own = image_tower_fingerprint(&scorer.pipeline.model)?;
                if own != image_tower_fingerprint(&self.clip.model)? {
                    let problem = "is \"grammar\", but the grammar model was not tuned from the \
                                   CLIP that the image features came from: tune one from it with \
                                   `finecap train grammar`, or set the tower to \"clip\"";
                    return Err(TrainError::setting("scst.reward.tower", problem));
                }
                encoder.clone()
            }
            _ => TextEncoder::new(self.clip.clone(), device),
        };
        let all: Vec<usize> = (0..dataset.images.len()).collect();
        let config = ClipScoreConfig { prompt: settings.prompt.clone(), weight: settings.clip_s_w };
        let clip_s = ClipScore::with_encoder(config, encoder, features.embeddings(&all, device));
        let references: Vec<&[String]> =
            dataset.images.iter().map(|image| image.captions.as_slice()).collect();

        let mut terms = Vec::new();
        let mut add = |settings: TermSettings, reward: Box<dyn Reward>| {
            let TermSettings { weight, baseline, normalize } = settings;
            terms.push(Term { weight, baseline, normalize, reward });
        };
        if settings.clip_s.weight != 0.0 {
            add(settings.clip_s, Box::new(clip_s.clone()));
        }
        if settings.ref_clip_s.weight != 0.0 {
            let definition = settings.ref_clip_s_definition;
            let reward = RefClipScore::new(clip_s.clone(), definition, &references)?;
            add(settings.ref_clip_s, Box::new(reward));
        }
        if settings.contrastive.weight != 0.0 {
            add(settings.contrastive, Box::new(ContrastiveReward::new(clip_s.clone())));
        }
        if let Some((scorer, encoder)) = grammar.filter(|_| settings.grammar.weight != 0.0) {
            let mut scorer = scorer.clone();
            if let Some(prompt) = &settings.grammar_prompt {
                scorer.prompt.clone_from(prompt);
            }
            add(settings.grammar, Box::new(GrammarReward::new(&scorer, encoder)));
        }
        if settings.cider.weight != 0.0 {
            let own;
            let table = match self.cider {
                Some(table) => table,
                None => {
                    own = cider_table(dataset, vocab)?;
                    &own
                }
            };
            let reward = CiderReward::with_table(table, &vocab.fingerprint(), &references)?;
            add(settings.cider, Box::new(reward));
        }
        if settings.bleu.weight != 0.0 {
            add(settings.bleu, Box::new(BleuReward::new(&references)?));
        }
        for external in settings.external.iter().filter(|external| external.weight != 0.0) {
            let images = dataset.images.iter().map(external_image).collect::<Vec<_>>();
            let (endpoint, limit) = (external.endpoint()?, external.limit());
            let reward = ExternalReward::new(&external.name, endpoint, limit, images)?;
            add(external.term(), Box::new(reward));
        }
        Ok(WeightedSum::new(terms)?)
    }
}

fn external_image(image: &ImageRecord) -> ExternalImage {
    let path = match &image.source {
        ImageSource::File(path) => Some(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
        _ => None,
    };
    ExternalImage { name: image.name.clone(), path, references: image.captions.clone() }
}

/// CIDEr-D's document frequencies over the training references.
///
/// # Errors
/// A data set without training images.
pub fn cider_table(dataset: &Dataset, vocab: &Vocab) -> Result<CiderTable, TrainError> {
    let references: Vec<&[String]> = dataset
        .split(Split::Train)
        .into_iter()
        .map(|image| dataset.images[image].captions.as_slice())
        .collect();
    Ok(CiderTable::build(&references, vocab.fingerprint())?)
}
