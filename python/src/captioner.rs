//! Trained captioners.

use std::collections::BTreeMap;
use std::path::PathBuf;

use finecap::captioner::{BeamSearch, Vocab};
use finecap::clip::ClipPipeline;
use finecap::train::{RunFolder, clip_of, each_batch, preprocess_for};
use pyo3::prelude::*;

use crate::clip::Place;
use crate::pictures::Input;
use crate::work::work;

/// A captioner and the CLIP model that sees for it.
#[pyclass(frozen, module = "finecap._finecap")]
pub struct Captioner {
    model: finecap::captioner::Captioner,
    vocab: Vocab,
    clip: ClipPipeline,
    place: Place,
    /// What about the pictures could not be compared with training.
    #[pyo3(get)]
    unsure: Vec<&'static str>,
}

/// The captions of each picture, best first, and their log-probabilities.
type Found = Vec<Vec<(String, f32)>>;

#[pymethods]
impl Captioner {
    #[staticmethod]
    fn load(
        py: Python<'_>,
        run: PathBuf,
        clip: Option<PathBuf>,
        device: Option<String>,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        work(py, None, move |_| {
            let place = Place::new(device.as_deref(), threads)?;
            let folder = RunFolder::new(&run).captioner()?;
            let (model, vocab) = finecap::captioner::Captioner::load(&folder, &place.device)?;
            let clip = match clip {
                Some(clip) => clip,
                None => clip_of(&folder)?,
            };
            let mut clip = place.run(|| ClipPipeline::load(&clip, &place.device))?;
            let (preprocess, unsure) = preprocess_for(model.config(), &clip)?;
            clip.preprocess = preprocess;
            Ok(Self { model, vocab, clip, place, unsure })
        })
    }

    /// The longest caption in tokens.
    #[getter]
    fn max_len(&self) -> usize {
        self.model.config().max_len
    }

    #[allow(clippy::too_many_arguments)]
    fn caption(
        &self,
        py: Python<'_>,
        images: Vec<Input>,
        beam: usize,
        n_best: usize,
        length_penalty: f32,
        block_trigrams: bool,
        no_unknown: bool,
        no_bad_endings: bool,
        max_len: Option<usize>,
        progress: bool,
    ) -> PyResult<(Found, BTreeMap<usize, String>)> {
        let bad_endings = if no_bad_endings { self.vocab.bad_endings() } else { Vec::new() };
        let search = BeamSearch {
            n_best,
            length_penalty,
            block_trigrams,
            suppress_unknown: no_unknown,
            bad_endings,
            ..BeamSearch::new(beam, max_len.unwrap_or_else(|| self.max_len()))
        };
        let (model, vocab) = (self.model.clone(), self.vocab.clone());
        let (clip, place) = (self.clip.clone(), self.place.clone());
        work(py, progress.then_some("pictures"), move |steps| {
            search.check(model.config())?;
            steps.expect(images.len());
            let mut captions = vec![Vec::new(); images.len()];
            let mut errors = BTreeMap::new();
            let load = |i: usize| images[i].read();
            place.run(|| {
                each_batch(0..images.len(), &clip.preprocess, &place.device, load, |batch| {
                    let failed = batch.failed.iter();
                    errors.extend(failed.map(|(at, error)| (*at, error.to_string())));
                    if let Some(pixels) = batch.pixels {
                        let grid = clip.model.encode_grid(pixels);
                        let found = model.beam_search(grid, &search)?;
                        for (&at, found) in batch.places.iter().zip(found) {
                            let text = |one: finecap::captioner::Hypothesis| {
                                (vocab.decode(&one.caption.ids), one.score)
                            };
                            captions[at] = found.into_iter().map(text).collect();
                        }
                    }
                    steps.reach(batch.range.end)
                })
            })?;
            Ok((captions, errors))
        })
    }
}
