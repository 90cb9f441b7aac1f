//! `finecap-reward` in a program of your own: which caption fits its references best, and what
//! would a policy gradient make of it?
//!
//! `cargo run --release --example score_captions`

use finecap_reward::{Baseline, Candidate, CiderReward, Reward, Term, WeightedSum};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let references = vec![
        vec!["a brown dog runs on the beach", "a dog is running along the shore"],
        vec!["two cats sleep on a red couch", "cats lying on a couch"],
        vec!["a plane in a cloudy sky", "an airplane flies through clouds"],
    ];
    // Any number of rewards add up; `ClipScore` is another, see the example `embed`.
    let cider = Term::new(1.0, CiderReward::new(&references)?);
    let mut reward = WeightedSum::new(vec![cider])?;

    let samples = ["a dog runs on the beach", "a dog", "a cat runs on the beach"];
    let candidates = samples.map(|text| Candidate::new(0, text));
    let scores = reward.score(&candidates)?;
    let advantages = Baseline::LeaveOneOut.advantages(&scores, &[], samples.len())?;
    for ((caption, score), advantage) in samples.iter().zip(&scores).zip(&advantages) {
        println!("{score:6.3} {advantage:+6.3}  {caption}");
    }
    Ok(())
}
