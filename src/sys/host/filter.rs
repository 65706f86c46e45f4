//! Reading seccomp filters from files.

use seccompiler::{BpfProgram, sock_filter};

/// A seccomp filter from the bytes of a file: instructions (struct sock_filter) of eight bytes, in native byte order.
/// `None` if the length is not a multiple of eight.
pub fn filter_from_bytes(bytes: &[u8]) -> Option<BpfProgram> {
    let (whole, rest) = bytes.as_chunks::<8>();
    let one = |b: &[u8; 8]| sock_filter {
        code: u16::from_ne_bytes([b[0], b[1]]),
        jt: b[2],
        jf: b[3],
        k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
    };
    rest.is_empty().then(|| whole.iter().map(one).collect())
}
