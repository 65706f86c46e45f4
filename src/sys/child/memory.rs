//! Memory of this process: dropping pages, and erasing the arguments.

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use syscalls::raw;

/// Segments of the program that hold code and constants; a program has two or three.
#[derive(Default)]
struct Segments {
    /// First byte and length, in whole pages; a length of 0 is none.
    ranges: [(usize, usize); 4],
    count: usize,
}

impl Segments {
    fn of_this_program() -> Segments {
        extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, found: *mut libc::c_void) -> libc::c_int {
            // SAFETY: dl_iterate_phdr(3) passes a description that is valid while this runs; the first object is the program. `found` is
            // what `of_this_program` passes.
            let (info, found) = unsafe { (&*info, &mut *found.cast::<Segments>()) };
            // SAFETY: the description says where the program headers are, and how many there are.
            let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
            let constant =
                |header: &&libc::Elf64_Phdr| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0;
            for header in headers.iter().filter(constant) {
                let start = (info.dlpi_addr + header.p_vaddr) & !4095;
                let end = (info.dlpi_addr + header.p_vaddr + header.p_memsz + 4095) & !4095;
                if let Some(range) = found.ranges.get_mut(found.count) {
                    *range = (start as usize, (end - start) as usize);
                    found.count += 1;
                }
            }
            1
        }
        let mut found = Segments::default();
        // SAFETY: the callback has the type that is asked for, and uses what it is passed while this call lasts.
        unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut found).cast()) };
        found
    }
}

/// poll(2), with the pages of this program's code and constants dropped from memory while it waits. They belong to its file, and are
/// read again when they are needed: starting a sandbox touches most of the program, and waiting for it needs little. `timeout` is in
/// milliseconds, and negative for ever. Gives what the system call does.
pub(in crate::sys) fn poll_without_code(set: &mut [libc::pollfd], timeout: i32) -> isize {
    let segments = Segments::of_this_program();
    let time = libc::timespec { tv_sec: (timeout / 1000).into(), tv_nsec: (timeout % 1000 * 1_000_000).into() };
    let time = if timeout < 0 { std::ptr::null() } else { &raw const time };
    drop_and_poll(&segments, set, time)
}

/// What follows the first call has to be in one place: each page that is used again brings those around it back. So it calls nothing.
#[inline(never)]
fn drop_and_poll(segments: &Segments, set: &mut [libc::pollfd], time: *const libc::timespec) -> isize {
    let (fds, count) = (set.as_mut_ptr() as usize, set.len());
    // SAFETY: segments without PF_W are never changed, so that dropping their pages loses nothing: they are read from the file again.
    // The kernel writes to `revents` of `count` structures, and reads a time that is valid or none.
    unsafe {
        for (start, length) in segments.ranges {
            raw::syscall3(libc::SYS_madvise as usize, start, length, libc::MADV_DONTNEED as usize);
        }
        raw::syscall5(libc::SYS_ppoll as usize, fds, count, time as usize, 0, 8) as isize
    }
}

static ARGUMENTS: AtomicPtr<libc::c_char> = AtomicPtr::new(std::ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Keeps in mind where the arguments lie that [`forget_arguments`] overwrites.
///
/// # Safety
///
/// From `start` on, as many bytes are this process's own to write, at any time, and nothing refers to them.
pub(in crate::sys) unsafe fn remember_arguments(start: *mut libc::c_char, length: usize) {
    ARGUMENTS.store(start, Ordering::Relaxed);
    LENGTH.store(length, Ordering::Relaxed);
}

/// Overwrites the arguments of this process, which everybody may read in /proc/PID/cmdline.
pub fn forget_arguments() {
    let (start, length) = (ARGUMENTS.load(Ordering::Relaxed), LENGTH.load(Ordering::Relaxed));
    if !start.is_null() {
        // SAFETY: what `remember_arguments` was given may be written, and nothing refers to it.
        unsafe { std::ptr::write_bytes(start, 0, length) };
    }
}
