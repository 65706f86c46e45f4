//! The configuration that a kernel was built with: which of its parts there are.

use crate::sys::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The longest file that is read, before and after it is unpacked, in bytes. A distribution's has 300 KB.
const LARGEST: u64 = 8 << 20;

/// What a kernel was built with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelConfig {
    /// The file that says it.
    pub file: PathBuf,
    /// The kernel, in the words of the file's head; empty if that has none.
    pub kernel: String,
    /// The options that are set, without `CONFIG_`.
    options: BTreeMap<String, Built>,
}

/// How an option is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Built {
    /// Into the kernel.
    In,
    /// As a module, which is loaded when it is needed, if it is installed.
    Module,
    /// Not at all.
    Not,
}

impl KernelConfig {
    /// The configuration of the running kernel.
    ///
    /// # Errors
    ///
    /// There is no file with it that can be read. The text says where it was looked for.
    pub fn of_this_kernel() -> Result<KernelConfig, String> {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let release = release.trim();
        let mut files = vec![PathBuf::from("/proc/config.gz")];
        if !release.is_empty() && !release.contains('/') {
            files.push(format!("/boot/config-{release}").into());
            files.push(format!("/lib/modules/{release}/config").into());
        }
        let mut tried = Vec::new();
        for file in files {
            match KernelConfig::read(&file) {
                Ok(config) => return Ok(config),
                Err(why) => tried.push(why),
            }
        }
        Err(tried.join("; "))
    }

    /// The configuration in a file, which may be packed by gzip.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none. The text says which.
    pub fn read(file: &Path) -> Result<KernelConfig, String> {
        let shown = file.display();
        let failed = |error: std::io::Error| format!("{shown}: {}", Errno::from(error));
        let mut bytes = Vec::new();
        File::open(file).map_err(failed)?.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.starts_with(b"\x1f\x8b") {
            let mut text = Vec::new();
            let unpacked = flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(LARGEST + 1).read_to_end(&mut text);
            unpacked.map_err(|error| format!("{shown}: it cannot be unpacked: {error}"))?;
            bytes = text;
        }
        if bytes.len() as u64 > LARGEST {
            return Err(format!(
                "{shown}: it has more than {} MiB, and is no configuration of a kernel",
                LARGEST >> 20
            ));
        }
        let config = KernelConfig::parse(&String::from_utf8_lossy(&bytes));
        if config.options.is_empty() {
            return Err(format!("{shown}: it is no configuration of a kernel: no line begins with CONFIG_"));
        }
        Ok(KernelConfig { file: file.to_owned(), ..config })
    }

    fn parse(text: &str) -> KernelConfig {
        let mut config = KernelConfig::default();
        for line in text.lines().map(str::trim) {
            if let Some((name, value)) = line.strip_prefix("CONFIG_").and_then(|line| line.split_once('=')) {
                let built = match value {
                    "n" => Built::Not,
                    "m" => Built::Module,
                    _ => Built::In,
                };
                config.options.insert(name.to_owned(), built);
            } else if let Some(name) = line.strip_prefix("# CONFIG_").and_then(|line| line.strip_suffix(" is not set"))
            {
                config.options.insert(name.to_owned(), Built::Not);
            } else if let Some(kernel) =
                line.strip_prefix("# ").and_then(|line| line.strip_suffix(" Kernel Configuration"))
                && config.kernel.is_empty()
            {
                config.kernel = kernel.to_owned();
            }
        }
        config
    }

    /// How an option, named without `CONFIG_`, is built.
    pub fn built(&self, option: &str) -> Built {
        self.options.get(option).copied().unwrap_or(Built::Not)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &str = "#\n# Linux/x86 6.1.0 Kernel Configuration\n#\nCONFIG_USER_NS=y\nCONFIG_TUN=m\n# CONFIG_KEYS is not set\nCONFIG_HZ=250\nCONFIG_LSM=\"landlock\"\nCONFIG_ODD=n\n";

    #[test]
    fn options_are_built_in_modules_or_not_there() {
        let config = KernelConfig::parse(TEXT);
        assert_eq!(config.kernel, "Linux/x86 6.1.0");
        for (option, built) in [
            ("USER_NS", Built::In),
            ("TUN", Built::Module),
            ("KEYS", Built::Not),
            ("ODD", Built::Not),
            ("LSM", Built::In),
            ("USER", Built::Not),
        ] {
            assert_eq!(config.built(option), built, "{option}");
        }
    }

    #[test]
    fn files_are_read_packed_or_not_and_what_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let packed = |text: &[u8]| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(text).unwrap();
            out.finish().unwrap()
        };
        std::fs::write(path("plain"), TEXT).unwrap();
        std::fs::write(path("packed"), packed(TEXT.as_bytes())).unwrap();
        let plain = KernelConfig::read(&path("plain")).unwrap();
        assert_eq!(KernelConfig::read(&path("packed")).unwrap().options, plain.options);
        let refused = |name: &str| KernelConfig::read(&path(name)).unwrap_err();
        std::fs::write(path("text"), "a text\n").unwrap();
        assert!(refused("text").contains("no line begins with CONFIG_"));
        let whole = packed(TEXT.as_bytes());
        std::fs::write(path("torn"), &whole[..whole.len() / 2]).unwrap();
        assert!(refused("torn").contains("cannot be unpacked"));
        std::fs::write(path("bomb"), packed(&vec![b'#'; LARGEST as usize * 4])).unwrap();
        assert!(refused("bomb").contains("more than 8 MiB"));
        assert!(refused("none").contains("no such file"));
        assert!(KernelConfig::read(dir.path()).is_err());
    }
}
