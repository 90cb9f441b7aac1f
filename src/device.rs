//! Choosing a compute device by name, among those that were compiled in.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

/// A backend of Burn, in order of preference for `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// NVIDIA GPUs.
    Cuda,
    /// AMD GPUs.
    Rocm,
    /// Apple GPUs through Metal.
    Metal,
    /// Any GPU through Vulkan.
    Vulkan,
    /// Any GPU through the graphics API that wgpu finds.
    Wgpu,
    /// The fast CPU backend.
    Flex,
    /// The older CPU backend.
    Ndarray,
}

impl Backend {
    /// All backends, compiled in or not.
    pub const ALL: [Self; 7] =
        [Self::Cuda, Self::Rocm, Self::Metal, Self::Vulkan, Self::Wgpu, Self::Flex, Self::Ndarray];

    /// Name on the command line, which is also the cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
            Self::Metal => "metal",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
        }
    }

    /// Whether this binary contains it.
    pub fn is_compiled(self) -> bool {
        match self {
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Rocm => cfg!(feature = "rocm"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Flex => cfg!(feature = "flex"),
            Self::Ndarray => cfg!(feature = "ndarray"),
        }
    }

    /// Device `index` of this backend, or `None` where it is not compiled in.
    #[allow(unused_variables, deprecated)]
    fn device(self, index: Option<usize>) -> Option<Device> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(Device::cuda(index.unwrap_or(0))),
            #[cfg(feature = "rocm")]
            Self::Rocm => Some(Device::rocm(index.unwrap_or(0))),
            #[cfg(feature = "metal")]
            Self::Metal => Some(Device::metal(gpu(index))),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Some(Device::vulkan(gpu(index))),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Some(Device::wgpu(gpu(index))),
            #[cfg(feature = "flex")]
            Self::Flex => Some(Device::flex()),
            #[cfg(feature = "ndarray")]
            Self::Ndarray => Some(Device::ndarray()),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }
}

#[cfg(feature = "wgpu")]
fn gpu(index: Option<usize>) -> burn::tensor::DeviceKind {
    match index {
        Some(index) => burn::tensor::DeviceKind::DiscreteGpu(index),
        None => burn::tensor::DeviceKind::DefaultDevice,
    }
}

/// What the user asked for: `auto`, or a backend with an optional index (`cuda:1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first CPU backend or GPU backend that is compiled in; GPUs first.
    Auto,
    /// A backend and the index of its device.
    Backend(Backend, Option<usize>),
}

/// Why a device cannot be had; each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// A name that no backend has.
    #[error(
        "there is no device called `{0}`: use auto, flex, ndarray, wgpu, vulkan, metal, rocm or cuda, GPUs with an optional index as in cuda:1"
    )]
    Unknown(String),
    /// A backend that is not in this binary.
    #[error(
        "the device `{name}` is not compiled in (this binary has {compiled}): build again with --features {name}"
    )]
    NotCompiled {
        /// The backend.
        name: &'static str,
        /// Those that are there.
        compiled: String,
    },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let unknown = || DeviceError::Unknown(text.to_string());
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let backend = Backend::ALL.into_iter().find(|b| b.name() == name).ok_or_else(unknown)?;
        if index.is_some() && matches!(backend, Backend::Flex | Backend::Ndarray) {
            return Err(unknown());
        }
        Ok(Self::Backend(backend, index))
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Backend(backend, None) => f.write_str(backend.name()),
            Self::Backend(backend, Some(index)) => write!(f, "{}:{index}", backend.name()),
        }
    }
}

impl DeviceChoice {
    /// The device, without gradients; `auto` takes the first of [`Backend::ALL`] that is compiled
    /// in.
    ///
    /// # Errors
    /// [`DeviceError::NotCompiled`], naming the feature to add.
    pub fn resolve(self) -> Result<Device, DeviceError> {
        let compiled = || Backend::ALL.into_iter().filter(|b| b.is_compiled());
        let (backend, index) = match self {
            Self::Backend(backend, index) => (backend, index),
            Self::Auto => (compiled().next().unwrap_or(Backend::Flex), None),
        };
        backend.device(index).ok_or_else(|| DeviceError::NotCompiled {
            name: backend.name(),
            compiled: match compiled().map(Backend::name).collect::<Vec<_>>() {
                names if names.is_empty() => "no device at all".into(),
                names => names.join(", "),
            },
        })
    }
}

/// The device that `name` asks for; without a name the environment variable `FINECAP_DEVICE`
/// decides, and without that `auto`.
///
/// # Errors
/// An unknown name or a backend that is not compiled in.
pub fn choose(name: Option<&str>) -> Result<Device, DeviceError> {
    let from_environment = std::env::var("FINECAP_DEVICE").ok();
    name.or(from_environment.as_deref()).unwrap_or("auto").parse::<DeviceChoice>()?.resolve()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed() {
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert_eq!("cuda:1".parse(), Ok(DeviceChoice::Backend(Backend::Cuda, Some(1))));
        assert_eq!("flex".parse(), Ok(DeviceChoice::Backend(Backend::Flex, None)));
        for bad in ["gpu", "cuda:x", "flex:0", ""] {
            let error = bad.parse::<DeviceChoice>().unwrap_err();
            assert_eq!(error, DeviceError::Unknown(bad.to_string()));
        }
    }

    #[test]
    fn a_missing_backend_names_its_feature() {
        for backend in Backend::ALL.into_iter().filter(|b| !b.is_compiled()) {
            let error = DeviceChoice::Backend(backend, None).resolve().unwrap_err().to_string();
            assert!(error.contains(&format!("--features {}", backend.name())), "{error}");
        }
    }
}
