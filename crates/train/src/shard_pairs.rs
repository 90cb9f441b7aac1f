//! Pairs for the CLIP phase from shards, in an order that depends on seed and step alone.

use std::fs;
use std::path::{Path, PathBuf};

use finecap_clip::{PreprocessConfig, prompted};
use finecap_data::{Columns, Sample, Shards, each_sample};
use finecap_files::write_json;
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::config::Config;
use crate::job::Job;
use crate::pairs::{PairBatch, Pairs, stacked};
use crate::seeds::{Purpose, stream};

/// Samples that wait to be drawn: only where they lie, about 300 bytes each.
const POOL: usize = 16_384;

/// Pairs of shards. In every epoch the shards come in an order of their own, and samples are drawn
/// from a pool that is filled shard by shard.
pub(crate) struct ShardPairs<'a> {
    config: &'a Config,
    shards: Shards,
    skip_bad: bool,
    epoch: u64,
    /// Shards of the epoch that are not in the pool yet, the next one last.
    waiting: Vec<PathBuf>,
    pool: Vec<Sample>,
    rng: ChaCha8Rng,
    /// Samples drawn in this epoch, and in a whole one once that is known.
    drawn: u64,
    in_epoch: Option<u64>,
    /// The step that comes next, from 1.
    next_step: usize,
}

/// What a run notes of its shards.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
struct Noted {
    shards: Vec<(String, u64)>,
}

impl<'a> ShardPairs<'a> {
    /// Pairs of `shards`; pictures that can't be read are passed over if `skip_bad` says so.
    ///
    /// # Errors
    /// Shards that can't be read, or hold fewer than two pairs.
    pub fn open(job: &Job<'a>, shards: &Shards, skip_bad: bool) -> Result<Self, TrainError> {
        let mut pairs = Self {
            config: job.config,
            shards: shards.clone(),
            skip_bad,
            epoch: 0,
            waiting: Vec::new(),
            pool: Vec::new(),
            rng: stream(job.config.seed, 0, Purpose::Order),
            drawn: 0,
            in_epoch: None,
            next_step: 1,
        };
        pairs.begin_epoch(0);
        pairs.fill()?;
        if pairs.pool.len() < 2 {
            return Err(nothing_in(shards));
        }
        Ok(pairs)
    }

    fn begin_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.drawn = 0;
        self.rng = stream(self.config.seed, epoch, Purpose::Order);
        self.waiting = self.shards.paths.clone();
        self.waiting.shuffle(&mut self.rng);
        self.pool.clear();
    }

    /// Reads the names of further shards until the pool is full.
    fn fill(&mut self) -> Result<(), TrainError> {
        while self.pool.len() < POOL
            && let Some(shard) = self.waiting.pop()
        {
            each_sample(&shard, |sample| {
                if sample.is_whole() {
                    self.pool.push(sample);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn draw(&mut self) -> Result<Sample, TrainError> {
        self.fill()?;
        if self.pool.is_empty() {
            self.in_epoch = Some(self.drawn);
            self.begin_epoch(self.epoch + 1);
            self.fill()?;
            if self.pool.is_empty() {
                return Err(nothing_in(&self.shards));
            }
        }
        let at = self.rng.random_range(0..self.pool.len());
        self.drawn += 1;
        Ok(self.pool.swap_remove(at))
    }

    /// Passes over what was drawn before `step`; whole epochs are not read once their length is
    /// known.
    fn go_to(&mut self, step: usize, size: usize) -> Result<(), TrainError> {
        let mut left = (step - self.next_step) as u64 * size as u64;
        while left > 0 {
            if let Some(length) = self.in_epoch
                && self.drawn == 0
                && left >= length
            {
                self.begin_epoch(self.epoch + left / length);
                left %= length;
                continue;
            }
            self.draw()?;
            left -= 1;
            if self.pool.is_empty() && self.waiting.is_empty() {
                self.in_epoch = Some(self.drawn);
                self.begin_epoch(self.epoch + 1);
            }
        }
        self.next_step = step;
        Ok(())
    }

    fn noted(&self) -> Result<Noted, TrainError> {
        let one = |path: &PathBuf| {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            let length = fs::metadata(path).map_err(TrainError::io("read", path))?.len();
            Ok((name, length))
        };
        let shards = self.shards.paths.iter().map(one).collect::<Result<_, TrainError>>()?;
        Ok(Noted { shards })
    }
}

impl Pairs for ShardPairs<'_> {
    fn opened(&self, dir: &Path) -> Result<(), TrainError> {
        let path = dir.join("shards.json");
        let noted = self.noted()?;
        let Ok(text) = fs::read_to_string(&path) else { return Ok(write_json(&path, &noted)?) };
        match serde_json::from_str::<Noted>(&text) {
            Ok(old) if old == noted => Ok(()),
            _ => {
                let problem = "names the shards that the run began with, and they are others now: \
                               give the same ones, or choose another --out";
                Err(TrainError::file(&path, problem))
            }
        }
    }

    fn batch(
        &mut self,
        step: usize,
        size: usize,
        preprocess: &PreprocessConfig,
    ) -> Result<PairBatch, TrainError> {
        self.go_to(step, size)?;
        let samples = (0..size).map(|_| self.draw()).collect::<Result<Vec<_>, _>>()?;
        self.next_step = step + 1;
        let read = |sample: &Sample| -> Result<(Vec<f32>, Vec<String>), TrainError> {
            let Some(picture) = &sample.picture else { return Ok(Default::default()) };
            let captions = sample.captions(&Columns::default())?;
            let pixels = preprocess.pixels(&picture.picture()?)?;
            Ok((pixels, captions.into_iter().map(|caption| caption.raw).collect()))
        };
        let read: Vec<_> = samples.par_iter().map(read).collect();
        let prompt = &self.config.clip.prompt;
        let mut rng = stream(self.config.seed, step as u64, Purpose::Captions);
        let (mut names, mut pixels, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let mut skipped = Vec::new();
        for (sample, read) in samples.into_iter().zip(read) {
            match read {
                Ok((values, captions)) => {
                    let text = captions.choose(&mut rng);
                    texts.push(text.map_or_else(String::new, |text| prompted(prompt, text)));
                    pixels.push(values);
                    names.push(sample.key);
                }
                Err(error) if self.skip_bad => skipped.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        if names.is_empty() {
            return Err(TrainError::setting("data", "gave a batch in which nothing can be read"));
        }
        Ok(PairBatch { names, pixels: stacked(pixels, preprocess), texts, skipped })
    }
}

fn nothing_in(shards: &Shards) -> TrainError {
    let problem = "holds no pairs of a picture and a .txt or .json beside it";
    let first = shards.paths.first().map_or(Path::new("the shards"), PathBuf::as_path);
    TrainError::file(first, problem)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use burn::tensor::Device;

    use super::*;
    use crate::data::Dataset;

    /// Shards `0.tar` to `4.tar` with 3, 4, 5, 6 and 7 pairs.
    fn shards(dir: &Path) -> Shards {
        for shard in 0..5u8 {
            let file = File::create(dir.join(format!("{shard}.tar"))).unwrap();
            let mut builder = tar::Builder::new(file);
            for i in 0..3 + shard {
                let mut png = std::io::Cursor::new(Vec::new());
                let picture = image::RgbImage::from_pixel(2, 2, image::Rgb([shard, i, 0]));
                picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
                for (ending, content) in
                    [("png", png.into_inner()), ("txt", format!("{shard} {i}").into_bytes())]
                {
                    let mut header = tar::Header::new_gnu();
                    header.set_size(content.len() as u64);
                    builder
                        .append_data(&mut header, format!("{shard}-{i}.{ending}"), &content[..])
                        .unwrap();
                }
            }
            builder.finish().unwrap();
        }
        Shards::find(&dir.join("{0..4}.tar")).unwrap()
    }

    #[test]
    fn a_step_has_the_same_pairs_wherever_training_began() {
        let dir = tempfile::tempdir().unwrap();
        let shards = shards(dir.path());
        let (config, device) = (Config::default(), Device::flex());
        let nothing = Dataset { images: Vec::new() };
        let job = Job::new(dir.path(), &config, &nothing, &device);
        let preprocess = PreprocessConfig::openai(2);
        let mut all = ShardPairs::open(&job, &shards, false).unwrap();
        let mut seen = Vec::new();
        let batches: Vec<PairBatch> =
            (1..=30).map(|step| all.batch(step, 4, &preprocess).unwrap()).collect();
        for (step, batch) in (1..).zip(&batches) {
            assert_eq!(batch.pixels.shape().as_slice(), [4, 3, 2, 2]);
            seen.extend(batch.names.clone());
            for (name, text) in batch.names.iter().zip(&batch.texts) {
                assert!(text.ends_with(&name.replace('-', " ")), "{name}: {text}");
            }
            let mut resumed = ShardPairs::open(&job, &shards, false).unwrap();
            let again = resumed.batch(step, 4, &preprocess).unwrap();
            assert_eq!((&again.names, &again.texts), (&batch.names, &batch.texts), "step {step}");
            assert_eq!(again.pixels, batch.pixels);
        }
        for epoch in seen.chunks_exact(25) {
            let mut epoch = epoch.to_vec();
            epoch.sort();
            epoch.dedup();
            assert_eq!(epoch.len(), 25, "every pair once");
        }
        assert_ne!(seen[..25], seen[25..50], "every epoch in the same order");
    }

    #[test]
    fn other_shards_are_noticed_and_bad_pictures_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let shards = shards(dir.path());
        let (config, device) = (Config::default(), Device::flex());
        let nothing = Dataset { images: Vec::new() };
        let job = Job::new(dir.path(), &config, &nothing, &device);
        let pairs = ShardPairs::open(&job, &shards, false).unwrap();
        pairs.opened(dir.path()).unwrap();
        pairs.opened(dir.path()).unwrap();
        let fewer = Shards { paths: shards.paths[1..].to_vec() };
        let error = ShardPairs::open(&job, &fewer, false).unwrap().opened(dir.path()).unwrap_err();
        assert!(error.to_string().contains("shards.json"), "{error}");

        // The pixels of every picture of a shard.
        let mut bytes = fs::read(&shards.paths[4]).unwrap();
        for at in 0..bytes.len() - 4 {
            if bytes[at..].starts_with(b"IDAT") {
                bytes[at] = b'X';
            }
        }
        fs::write(&shards.paths[4], bytes).unwrap();
        let preprocess = PreprocessConfig::openai(2);
        let mut strict = ShardPairs::open(&job, &shards, false).unwrap();
        let error = strict.batch(1, 25, &preprocess).err().unwrap().to_string();
        assert!(error.contains("4.tar:4-"), "{error}");
        let mut lenient = ShardPairs::open(&job, &shards, true).unwrap();
        let batch = lenient.batch(1, 25, &preprocess).unwrap();
        assert_eq!((batch.names.len(), batch.skipped.len()), (18, 7));
    }
}
