//! Reads every tensor of a weight file and keeps it, as loading a model does, and reports the time
//! and the most memory that it took.
//!
//! ```sh
//! cargo run --release -p finecap-weights --example read_all -- ViT-L-14.pt
//! ```

use std::error::Error;
use std::time::Instant;

use finecap_weights::WeightFile;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a weight file")?;
    let start = Instant::now();
    let file = WeightFile::open(path.as_ref())?;
    let mut tensors = Vec::new();
    for tensor in file.tensors().iter().filter(|tensor| tensor.dtype.is_float()) {
        tensors.push(file.read_f32(&tensor.name)?);
    }
    let bytes = 4 * tensors.iter().map(Vec::len).sum::<usize>();
    println!("{} tensors of a {} file in {:.1?}", tensors.len(), file.format(), start.elapsed());
    println!("as float32  {} MB", bytes / 1_000_000);
    // Only Linux has it.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status")
        && let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        && let Ok(kilobytes) = peak.trim().trim_end_matches(" kB").parse::<usize>()
    {
        let times = (kilobytes << 10) as f64 / bytes as f64;
        println!("at most     {} MB, {times:.2} times that", (kilobytes << 10) / 1_000_000);
    }
    Ok(())
}
