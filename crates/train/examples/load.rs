//! How long a data set takes to load, and how much memory it needs then.
//!
//!     cargo run --release -p finecap-train --example load -- dataset_coco.json [IMAGES]

use std::path::Path;
use std::time::Instant;

use finecap_data::ReadOptions;
use finecap_train::Dataset;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file =
        arguments.next().ok_or("give a file of captions, and perhaps a folder of pictures")?;
    let images = arguments.next();
    let started = Instant::now();
    let images = images.as_deref().map(Path::new);
    let (dataset, _) = Dataset::read(Path::new(&file), images, &ReadOptions::default())?;
    let seconds = started.elapsed().as_secs_f64();
    let captions: usize = dataset.images.iter().map(|image| image.captions.len()).sum();
    println!("{} images, {captions} captions in {seconds:.2} s", dataset.images.len());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    Ok(())
}
