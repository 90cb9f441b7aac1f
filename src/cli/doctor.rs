//! `finecap doctor`

use finecap::device::{Backend, DeviceChoice};

/// Prints the version, processor features, and each backend's state.
pub fn run() {
    println!("finecap   {}", env!("CARGO_PKG_VERSION"));
    println!("system    {} {}", std::env::consts::OS, std::env::consts::ARCH);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("threads   {cores}");
    println!("simd      {}", simd());
    println!("backends");
    for backend in Backend::ALL {
        println!("  {:8} {}", backend.name(), state(backend));
    }
    match std::env::var("FINECAP_DEVICE") {
        Ok(name) => println!("FINECAP_DEVICE is set to {name}"),
        Err(_) => println!(
            "FINECAP_DEVICE is not set; `auto` takes the first backend above that is compiled in"
        ),
    }
}

/// The widest vector instructions that the flex backend uses here.
fn simd() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "AVX-512";
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            return "AVX2 with FMA";
        }
        "SSE2"
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "unknown"
    }
}

/// Compiled in or not, and whether a small computation works.
fn state(backend: Backend) -> String {
    let device = match DeviceChoice::Backend(backend, None).resolve() {
        Ok(device) => device,
        Err(_) => return format!("not compiled in; add --features {}", backend.name()),
    };
    // A backend without a working driver panics when it is first used; here that is an answer,
    // not a crash.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let sum = std::panic::catch_unwind(|| {
        burn::tensor::Tensor::<1>::ones([8], &device).sum().into_scalar::<f32>()
    });
    std::panic::set_hook(hook);
    match sum {
        Ok(8.0) => "compiled in, works".into(),
        Ok(value) => format!("compiled in, but adds 8 ones up to {value}"),
        Err(_) => "compiled in, but no usable device or driver was found".into(),
    }
}
