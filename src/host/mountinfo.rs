//! The mounts of this process's mount namespace.

use std::cell::OnceCell;
use std::io::Read;

/// The text of /proc/self/mountinfo, read once it is asked for: the kernel makes it anew for each that reads it.
#[derive(Debug, Default)]
pub(super) struct MountInfo(OnceCell<Vec<u8>>);

impl MountInfo {
    /// The text, as far as it can be read.
    pub fn text(&self) -> &[u8] {
        self.0.get_or_init(|| {
            let mut text = Vec::with_capacity(16 << 10);
            let Ok(mut file) = std::fs::File::open("/proc/self/mountinfo") else { return Vec::new() };
            let mut part = [0; 4096];
            loop {
                match file.read(&mut part) {
                    Ok(0) => return text,
                    Ok(length) => text.extend_from_slice(part.get(..length).unwrap_or_default()),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    // What was read is better than nothing.
                    Err(_) => return text,
                }
            }
        })
    }
}
