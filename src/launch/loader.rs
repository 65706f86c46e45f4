//! The loader that a program's file names: ld.so(8).

use crate::sys;
use std::path::Path;

/// As much of a file as is looked at: its header, the headers of its segments, and the name, which linkers put behind them.
const START: usize = 4096;

/// The type of the segment that is the loader's name: elf(5), PT_INTERP.
const INTERPRETER: u64 = 3;

/// The path of the loader; none if the file names none, as one that is linked statically, or is no program of this byte order.
pub(super) fn of(file: &Path) -> Option<String> {
    read(&sys::read_start(file, START).ok()?)
}

fn read(start: &[u8]) -> Option<String> {
    // Where the fields lie, by the width of addresses: elf(5).
    let wide = match start.strip_prefix(b"\x7fELF")?.first()? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let word = if wide { 8 } else { 4 };
    let (headers, size, count) = if wide { (32, 54, 56) } else { (28, 42, 44) };
    let (offset, length) = if wide { (8, 32) } else { (4, 16) };
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let mut whole = [0; 8];
        whole.get_mut(..bytes)?.copy_from_slice(start.get(at..at.checked_add(bytes)?)?);
        usize::try_from(u64::from_le_bytes(whole)).ok()
    };
    let (headers, size, count) = (number(headers, word)?, number(size, 2)?, number(count, 2)?);
    let mut segments = (0..count).map_while(|index| headers.checked_add(index.checked_mul(size)?));
    let segment = segments.find(|at| number(*at, 4).and_then(|kind| u64::try_from(kind).ok()) == Some(INTERPRETER))?;
    let at = number(segment.checked_add(offset)?, word)?;
    let name = start.get(at..at.checked_add(number(segment.checked_add(length)?, word)?)?)?;
    let name = std::str::from_utf8(name.strip_suffix(b"\0")?).ok()?;
    (name.starts_with('/') && !name.contains('\0')).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of this width with one segment, which names a loader, and is said to be so long.
    fn file(wide: bool, length: u32) -> Vec<u8> {
        let mut file = vec![0; 256];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, if wide { b"\x7fELF\x02" } else { b"\x7fELF\x01" });
        let (headers, size, count, offset, long) = if wide { (32, 54, 56, 8, 32) } else { (28, 42, 44, 4, 16) };
        put(headers, &[64]);
        put(size, &[if wide { 56 } else { 32 }]);
        put(count, &[2]);
        let second = 64 + if wide { 56 } else { 32 };
        put(64, &[6]);
        put(second, &[3]);
        put(second + offset, &[200]);
        put(second + long, &length.to_le_bytes());
        put(200, b"/lib/ld.so\0");
        file
    }

    #[test]
    fn the_name_is_found_and_nothing_is_taken_on_trust() {
        for wide in [true, false] {
            assert_eq!(read(&file(wide, 11)).as_deref(), Some("/lib/ld.so"), "{wide}");
            for length in [0, 10, 12, 57, u32::MAX] {
                assert_eq!(read(&file(wide, length)), None, "{wide} {length}");
            }
            let whole = file(wide, 11);
            for short in 0..211 {
                assert_eq!(read(&whole[..short]), None, "{wide} {short}");
            }
        }
        assert_eq!((read(b"#!/bin/sh\n"), read(&[0xff; 100])), (None, None));
    }
}
