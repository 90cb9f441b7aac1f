//! How the process holds on to memory.

/// Makes the C library keep freed memory instead of handing it back to the system at once.
///
/// A training step allocates and frees the same large blocks over and over, and getting them from
/// the system anew, zeroed page by page, takes a tenth of the time of small models on a CPU. For
/// programs, at the beginning of `main`; no effect except on Linux with glibc.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const MIB: i32 = 1 << 20;
        let settings = [
            // The most that glibc allows.
            (libc::M_MMAP_THRESHOLD, 32 * MIB),
            (libc::M_TRIM_THRESHOLD, i32::MAX),
            (libc::M_TOP_PAD, 256 * MIB),
        ];
        for (name, value) in settings {
            // SAFETY: mallopt only changes numbers inside the allocator, and refuses wrong ones.
            unsafe { libc::mallopt(name, value) };
        }
    }
}
