//! Refusing settings that need more memory than the machine has, before anything is allocated.

use std::fs;

use burn::tensor::Device;

use crate::TrainError;

/// What a step keeps in memory at the least, in bytes, by name.
///
/// It is a lower bound: activations inside of a model and what the allocator keeps come on top, so that
/// nothing is refused that would fit.
#[derive(Debug, Default)]
pub(crate) struct Memory(Vec<(&'static str, u128)>);

impl Memory {
    /// Adds float32 numbers of a shape.
    pub fn floats(mut self, what: &'static str, shape: &[usize]) -> Self {
        let numbers = shape.iter().fold(4u128, |size, &side| size.saturating_mul(side as u128));
        self.0.push((what, numbers));
        self
    }

    /// Adds weights with their gradient and the two moments of Adam.
    pub fn weights(self, count: usize) -> Self {
        self.floats("weights, gradients and moments", &[count, 4])
    }

    /// Refuses what is more than the machine, or the container that the process runs in, has. Only CPUs
    /// are known; the memory of a GPU is not.
    ///
    /// # Errors
    /// [`TrainError::Setting`] with both numbers and the largest part.
    pub fn check(self, phase: &'static str, device: &Device) -> Result<(), TrainError> {
        let name = format!("{device:?}").to_ascii_lowercase();
        let is_cpu = name.contains("flex") || name.contains("ndarray");
        match machine().filter(|_| is_cpu) {
            Some(bytes) => self.check_against(phase, bytes),
            None => Ok(()),
        }
    }

    fn check_against(self, phase: &'static str, machine: u64) -> Result<(), TrainError> {
        let total: u128 = self.0.iter().map(|(_, bytes)| bytes).sum();
        if total <= u128::from(machine) {
            return Ok(());
        }
        let gib = |bytes: u128| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
        let largest = self.0.iter().max_by_key(|(_, bytes)| bytes);
        let largest =
            largest.map_or(String::new(), |(what, bytes)| format!("{} of {what}", gib(*bytes)));
        let problem = format!(
            "needs at least {} of memory for a step ({largest}), and this machine has {}: lower the batch \
             size or the model's sizes",
            gib(total),
            gib(machine.into())
        );
        Err(TrainError::setting(phase, problem))
    }
}

/// The memory of the machine, or what its container allows, in bytes.
fn machine() -> Option<u64> {
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
    });
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    [total, limit].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_not_refused_and_numbers_are_named() {
        let step = || Memory::default().weights(1 << 20).floats("logits", &[1 << 10, 1 << 10, 256]);
        step().check_against("mle", 2 << 30).unwrap();
        let error = step().check_against("mle", 1 << 30).unwrap_err().to_string();
        for part in ["`mle`", "1.0 GiB of logits", "has 1.0 GiB", "batch size"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let huge = Memory::default().floats("logits", &[usize::MAX; 4]);
        assert!(huge.check_against("scst", u64::MAX).is_err());
    }
}
