//! Numbers of the files that the kernel knows.

/// Number of the directory at the top.
pub const TOP: u64 = 1;

/// Numbers from here on are of files whose inode number is another node's already.
const OWN: u64 = 1 << 58;

/// Inode numbers of a device are shown as they are up to here; the device is counted above.
const INODES: u64 = 1 << 48;

/// Devices whose inode numbers are shown.
const DEVICES: usize = 512;

/// Gives numbers to files: that of the host's inode where it can be shown. `D` names a device.
pub struct Numbers<D> {
    devices: Vec<D>,
    next: u64,
}

impl<D> Default for Numbers<D> {
    fn default() -> Numbers<D> {
        Numbers { devices: Vec::new(), next: 0 }
    }
}

impl<D: PartialEq> Numbers<D> {
    /// The number that a file of the host has by its device and inode, if that can be shown.
    pub fn shown(&mut self, device: D, ino: u64) -> Option<u64> {
        let index = self.devices.iter().position(|other| *other == device).or_else(|| {
            (self.devices.len() < DEVICES).then(|| {
                self.devices.push(device);
                self.devices.len() - 1
            })
        })?;
        (ino > TOP && ino < INODES).then(|| INODES * index as u64 + ino)
    }

    /// A number that is no inode's, and not taken.
    pub fn own(&mut self, is_taken: impl Fn(u64) -> bool) -> u64 {
        loop {
            self.next += 1;
            if !is_taken(OWN + self.next) {
                return OWN + self.next;
            }
        }
    }
}
