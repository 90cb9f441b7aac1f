//! Caption metrics: plain lists in, plain numbers out.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, anyhow};
use finecap::data::{FineCapEval, Names};
use finecap::metrics::{
    self, DocumentFrequencies, Evaluation, Interval, MetricScores, Ranks, TextStatistics, Ties,
    WordIds, bootstrap,
};
use finecap::reward::CiderTable;
use numpy::{PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rayon::prelude::*;

use crate::work::work;

/// A score over all images, and one for each.
type Scored = (f64, Vec<f64>);

/// Penn Treebank words of captions, joined by spaces.
#[pyfunction]
pub fn ptb_tokenize(py: Python<'_>, captions: Vec<String>) -> PyResult<Vec<String>> {
    work(py, None, move |_| {
        Ok(captions.par_iter().map(|caption| metrics::ptb_tokenize(caption)).collect())
    })
}

/// BLEU-1 to BLEU-4 over all images, and each of them for each image.
#[pyfunction]
pub fn bleu(
    py: Python<'_>,
    candidates: Vec<String>,
    references: Vec<Vec<String>>,
) -> PyResult<([f64; 4], Vec<[f64; 4]>)> {
    work(py, None, move |_| {
        let scores = metrics::bleu(&candidates, &references)?;
        let all: Vec<usize> = (0..candidates.len()).collect();
        Ok((scores.of(&all), all.iter().map(|&image| scores.of(&[image])).collect()))
    })
}

/// ROUGE-L of each image.
#[pyfunction]
pub fn rouge_l(
    py: Python<'_>,
    candidates: Vec<String>,
    references: Vec<Vec<String>>,
) -> PyResult<Vec<f64>> {
    work(py, None, move |_| Ok(metrics::rouge_l(&candidates, &references)?.per_image))
}

/// Document frequencies of CIDEr and CIDEr-D.
#[pyclass(frozen, module = "finecap._finecap")]
pub struct Frequencies(Arc<(WordIds, DocumentFrequencies)>);

#[pymethods]
impl Frequencies {
    /// Reads a table that `finecap prepare` wrote.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        work(py, None, move |_| Ok(Self(Arc::new(CiderTable::load(&path)?.into_parts()))))
    }

    /// Takes the number of images, and each n-gram with the number of images that have it.
    #[staticmethod]
    fn of(py: Python<'_>, images: usize, counts: Vec<(Vec<String>, u32)>) -> PyResult<Self> {
        work(py, None, move |_| {
            let mut words = WordIds::default();
            let counts: Vec<(Vec<u32>, u32)> = (counts.iter())
                .map(|(ngram, count)| (ngram.iter().map(|word| words.id(word)).collect(), *count))
                .collect();
            Ok(Self(Arc::new((words, DocumentFrequencies::from_counts(images, &counts)?))))
        })
    }

    /// Counts over the references of every image, words between spaces.
    #[staticmethod]
    fn count(py: Python<'_>, references: Vec<Vec<String>>) -> PyResult<Self> {
        work(py, None, move |_| {
            let table = CiderTable::build(&references, String::new())?;
            Ok(Self(Arc::new(table.into_parts())))
        })
    }

    /// The table that `__reduce__` has packed.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: String) -> PyResult<Self> {
        work(py, None, move |_| Ok(Self(Arc::new(serde_json::from_str(&text)?))))
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, (String,))> {
        let table = self.0.clone();
        let text = work(py, None, move |_| Ok(serde_json::to_string(table.as_ref())?))?;
        Ok((py.get_type::<Self>().getattr("from_json")?.unbind(), (text,)))
    }

    /// Number of images counted.
    #[getter]
    fn images(&self) -> usize {
        self.0.1.images()
    }
}

/// CIDEr-D of each image, or plain CIDEr.
#[pyfunction]
#[pyo3(signature = (candidates, references, frequencies=None, plain=false))]
pub fn cider_d(
    py: Python<'_>,
    candidates: Vec<String>,
    references: Vec<Vec<String>>,
    frequencies: Option<&Frequencies>,
    plain: bool,
) -> PyResult<Vec<f64>> {
    let table = frequencies.map(|table| table.0.clone());
    work(py, None, move |_| {
        let scores = metrics::ciders(&candidates, &references, table.as_deref())?;
        Ok(if plain { scores.cider.per_image } else { scores.cider_d.per_image })
    })
}

/// METEOR's data.
#[pyclass(frozen, module = "finecap._finecap")]
pub struct Meteor(Arc<metrics::Meteor>);

#[pymethods]
impl Meteor {
    /// Reads the folder with `meteor-1.5.jar`.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        work(py, None, move |_| Ok(Self(Arc::new(metrics::Meteor::load(&path)?))))
    }
}

/// METEOR over all images and of each.
#[pyfunction]
pub fn meteor(
    py: Python<'_>,
    data: &Meteor,
    candidates: Vec<String>,
    references: Vec<Vec<String>>,
) -> PyResult<Scored> {
    let data = data.0.clone();
    work(py, None, move |_| {
        let scores = data.score(&candidates, &references)?;
        let all: Vec<usize> = (0..candidates.len()).collect();
        Ok((scores.of(&all), all.iter().map(|&image| scores.of(&[image])).collect()))
    })
}

/// What `evaluate` finds.
#[derive(IntoPyObject)]
pub struct Evaluated {
    names: Vec<String>,
    scores: Vec<f64>,
    per_image: Vec<Vec<f64>>,
    /// Low, high and p of the scores, then of the differences to the baseline.
    intervals: Vec<(f64, f64, f64)>,
    baseline: Option<Vec<f64>>,
}

/// Scores one or two systems by the metrics of these names.
#[pyfunction]
#[pyo3(signature = (systems, references, metrics, meteor, frequencies, per_image, resamples, seed, progress))]
#[allow(clippy::too_many_arguments)]
pub fn evaluate(
    py: Python<'_>,
    systems: Vec<Vec<String>>,
    references: Vec<Vec<String>>,
    metrics: Vec<String>,
    meteor: Option<&Meteor>,
    frequencies: Option<&Frequencies>,
    per_image: bool,
    resamples: usize,
    seed: u64,
    progress: bool,
) -> PyResult<Evaluated> {
    let meteor = meteor.map(|meteor| meteor.0.clone());
    let frequencies = frequencies.map(|table| table.0.clone());
    work(py, progress.then_some("metrics"), move |steps| {
        let asked = |name: &str| metrics.iter().any(|metric| metric == name);
        // Both kinds of CIDEr are computed at once.
        let with_d = asked("CIDEr-D");
        let kinds = || metrics.iter().filter(move |metric| !(with_d && *metric == "CIDEr"));
        // METEOR takes as long as all the others.
        let jobs: Vec<(usize, &String)> = (0..systems.len())
            .flat_map(|system| kinds().map(move |metric| (system, metric)))
            .collect();
        steps.expect(jobs.len() + resamples);
        let done = AtomicUsize::new(0);
        let compute = |&(system, metric): &(usize, &String)| {
            let captions = &systems[system];
            let mean = |name: &'static str, values| MetricScores::Mean(name.into(), values);
            let found = match (metric.as_str(), &meteor) {
                ("BLEU", _) => vec![MetricScores::Bleu(metrics::bleu(captions, &references)?)],
                ("METEOR", Some(meteor)) => {
                    vec![MetricScores::Meteor(meteor.score(captions, &references)?)]
                }
                ("ROUGE-L", _) => {
                    vec![mean("ROUGE-L", metrics::rouge_l(captions, &references)?.per_image)]
                }
                ("CIDEr-D" | "CIDEr", _) => {
                    let found = metrics::ciders(captions, &references, frequencies.as_deref())?;
                    let both = [("CIDEr-D", found.cider_d), ("CIDEr", found.cider)];
                    let both = both.into_iter().filter(|(name, _)| asked(name));
                    both.map(|(name, scores)| mean(name, scores.per_image)).collect()
                }
                (other, _) => return Err(anyhow!("there is no metric `{other}`")),
            };
            steps.reach(done.fetch_add(1, Ordering::Relaxed) + 1)?;
            Ok(found)
        };
        let found: Vec<Vec<MetricScores>> =
            jobs.par_iter().with_max_len(1).map(compute).collect::<Result<_>>()?;
        let scored: Vec<Evaluation> = (found.chunks(kinds().count()))
            .map(|metrics| metrics.iter().flatten().cloned().collect())
            .collect();
        let done = done.into_inner();
        let count = references.len();
        let all: Vec<usize> = (0..count).collect();
        let (ours, other) = (&scored[0], scored.get(1));
        let resampled = std::cell::Cell::new(0);
        let numbers = |images: &[usize]| {
            resampled.set(resampled.get() + 1);
            // Stopped work draws the rest in vain, but quickly.
            let images =
                if steps.reach(done + resampled.get()).is_ok() { images } else { &images[..1] };
            ours.numbers_beside(other, images)
        };
        let intervals = match resamples {
            0 => Vec::new(),
            times => bootstrap(count, times, seed, numbers)?,
        };
        let bounds = |found: Interval| (found.low, found.high, found.p);
        Ok(Evaluated {
            names: ours.names().into_iter().map(String::from).collect(),
            scores: ours.numbers(&all),
            per_image: match per_image {
                true => all.iter().map(|&image| ours.numbers(&[image])).collect(),
                false => Vec::new(),
            },
            intervals: intervals.into_iter().map(bounds).collect(),
            baseline: other.map(|other| other.numbers(&all)),
        })
    })
}

/// Statistics of captions that were cut into words.
#[pyfunction]
pub fn statistics(py: Python<'_>, captions: Vec<String>) -> PyResult<Bound<'_, PyDict>> {
    let found = work(py, None, move |_| Ok(TextStatistics::of(&captions)?))?;
    let all = PyDict::new(py);
    all.set_item("captions", found.captions)?;
    all.set_item("mean_words", found.mean_words)?;
    all.set_item("distinct", found.distinct)?;
    all.set_item("vocabulary", found.vocabulary)?;
    all.set_item("distinct_1", found.distinct_1)?;
    all.set_item("distinct_2", found.distinct_2)?;
    all.set_item("repetition", found.repetition)?;
    Ok(all)
}

/// Criterion, how words are matched, and a number for each image.
type Criterion = (&'static str, &'static str, Vec<f64>);

/// Scores by FineCapEval, the names of the images in the same order, and the number of rows left out.
#[pyfunction]
pub fn fine_cap_eval(
    py: Python<'_>,
    names: Vec<String>,
    captions: Vec<String>,
    path: PathBuf,
    allow_missing: bool,
) -> PyResult<(Vec<Criterion>, Vec<String>, usize)> {
    work(py, None, move |_| {
        let file = path.display();
        let data = FineCapEval::read(&path)?;
        let given = Names::new(names.iter().map(String::as_str));
        let places = given.pair(&data.names()).map_err(|clash| anyhow!("{file}: {clash}"))?;
        let mut rows = Vec::new();
        for ((name, caption), place) in names.into_iter().zip(captions).zip(places) {
            match place {
                Some(place) => rows.push((place, caption, name)),
                None if allow_missing => {}
                None => return Err(anyhow!("{file}: has no image `{name}`")),
            }
        }
        rows.sort_by_key(|(place, ..)| *place);
        let absent = (0..data.images.len())
            .find(|place| rows.binary_search_by_key(place, |(place, ..)| *place).is_err());
        if let (Some(place), false) = (absent, allow_missing) {
            let name = &data.images[place].name;
            return Err(anyhow!(
                "image `{name}` of {file} has no caption: give allow_missing=True to score the rest"
            ));
        }
        let names = rows.iter().map(|(.., name)| name.clone()).collect();
        let rows: Vec<(usize, String)> =
            rows.into_iter().map(|(place, caption, _)| (place, caption)).collect();
        let scores = data.score(&rows)?;
        let scores = scores.into_iter().map(|s| (s.criterion, s.mode, s.per_image)).collect();
        Ok((scores, names, data.left_out))
    })
}

/// Ranks of images for texts and of texts for images, counted from 1.
#[pyfunction]
pub fn retrieval(
    py: Python<'_>,
    images: PyReadonlyArray2<'_, f32>,
    texts: PyReadonlyArray2<'_, f32>,
    image_of_text: Vec<usize>,
    fair: bool,
) -> PyResult<(Measures, Measures)> {
    let width = images.shape()[1];
    if texts.shape()[1] != width {
        return Err(PyValueError::new_err(format!(
            "images are embedded in {width} numbers and texts in {}: embed both with the same model",
            texts.shape()[1]
        )));
    }
    let (images, texts) = (
        images.as_array().iter().copied().collect::<Vec<f32>>(),
        texts.as_array().iter().copied().collect::<Vec<f32>>(),
    );
    let ties = if fair { Ties::Fair } else { Ties::LaterFirst };
    work(py, None, move |_| {
        let found = metrics::retrieval(&images, &texts, width, &image_of_text, ties)?;
        Ok((measures(&found.text_to_image)?, measures(&found.image_to_text)?))
    })
}

/// Recall in percent at 1, 5, 10 and 50, median and mean rank, all ranks.
type Measures = ([f64; 4], f64, f64, Vec<usize>);

fn measures(ranks: &Ranks) -> Result<Measures> {
    let recall = [1, 5, 10, 50].map(|k| ranks.recall(k));
    Ok((recall, ranks.median(), ranks.mean(), ranks.as_slice().to_vec()))
}
