//! SCST with a reward of one's own: captions of generated scenes that say more different words.
//!
//!     cargo run --release --example own_reward
#![recursion_limit = "256"]

use std::error::Error;
use std::path::Path;

use finecap::reward::{Candidate, Reward, RewardError, Term, WeightedSum};
use finecap::scenes::{ScenesConfig, generate};
use finecap::train::*;

/// How many different words a caption has, less half a point for each that it repeats.
struct Variety;

impl Reward for Variety {
    fn name(&self) -> &str {
        "variety"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        let score = |candidate: &Candidate| {
            let mut words: Vec<&str> = candidate.text.split_whitespace().collect();
            let all = words.len() as f32;
            words.sort_unstable();
            words.dedup();
            1.5 * words.len() as f32 - 0.5 * all
        };
        Ok(candidates.iter().map(score).collect())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    finecap::terminal::show();
    let out = std::env::args().nth(1).unwrap_or_else(|| "runs/own_reward".into());
    let device = finecap::device::choose(None)?;
    let scenes = ScenesConfig { train: 400, val: 40, test: 0, ..ScenesConfig::default() };
    let dataset = Dataset::scenes(&generate(&scenes)?, scenes.image_size);
    let settings = ["clip.steps=20", "mle.steps=120", "scst.steps=60", "scst.schedule.lr=0.0005"];
    let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/scenes_quick.toml");
    let config = Config::read(Some(&preset), &settings.map(String::from))?;

    let job = Job::new(out.as_ref(), &config, &dataset, &device);
    let clip = train_clip(&job, None)?;
    let features =
        FeatureStore::open_or_build(&job.run.join("features"), &dataset, &clip, &device)?;
    let before = train_mle(&job, &features, fresh_captioner(&job, &features)?)?;
    let mut reward = WeightedSum::new(vec![Term::new(1.0, Variety)])?;
    let after = train_scst(&job, &features, &mut reward, before.clone())?;

    let held_out = dataset.split(Split::Val);
    let mut mean = |captioner| -> Result<f32, Box<dyn Error>> {
        let captions = greedy_captions(captioner, &features, &held_out, &device)?;
        println!("  {}", captions[0].text);
        let candidates: Vec<Candidate> =
            captions.iter().map(|caption| Candidate::new(0, &caption.text)).collect();
        Ok(reward.score(&candidates)?.iter().sum::<f32>() / candidates.len() as f32)
    };
    let (before, after) = (mean(&before)?, mean(&after)?);
    println!("mean reward of held-out scenes: {before:.2} before, {after:.2} after");
    if after > before { Ok(()) } else { Err("the reward did not rise".into()) }
}
