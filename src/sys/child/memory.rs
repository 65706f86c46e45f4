//! Memory of this process: dropping pages, and erasing the arguments.

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Drops the pages of this program's code and constants from memory. They belong to its file, and are read again when
/// they are needed. Starting a sandbox touches most of the program, and waiting for it needs little.
pub fn release_code() {
    extern "C" fn segment(info: *mut libc::dl_phdr_info, _: usize, _: *mut libc::c_void) -> libc::c_int {
        // SAFETY: dl_iterate_phdr(3) passes a description that is valid while this runs; the first object is the
        // program.
        let info = unsafe { &*info };
        // SAFETY: the description says where the program headers are, and how many there are.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0)
        {
            let start = (info.dlpi_addr + header.p_vaddr) & !4095;
            let end = (info.dlpi_addr + header.p_vaddr + header.p_memsz + 4095) & !4095;
            // SAFETY: a segment without PF_W is never changed, so dropping its pages loses nothing: they are read from
            // the file again.
            unsafe { libc::madvise(start as *mut libc::c_void, (end - start) as usize, libc::MADV_DONTNEED) };
        }
        1
    }
    // SAFETY: the callback has the type that is asked for, and keeps nothing of what it is passed.
    unsafe { libc::dl_iterate_phdr(Some(segment), std::ptr::null_mut()) };
}

static ARGUMENTS: AtomicPtr<libc::c_char> = AtomicPtr::new(std::ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Records where the arguments of `main` are in memory: one after the other, as the kernel has put them there.
extern "C" fn remember_arguments(count: libc::c_int, values: *const *mut libc::c_char) {
    if count < 1 || values.is_null() {
        return;
    }
    // SAFETY: these are what `main` is called with: `count` strings that end with a NUL.
    unsafe {
        let (first, last) = (*values, *values.add(count as usize - 1));
        let end = last.add(libc::strlen(last));
        ARGUMENTS.store(first, Ordering::Relaxed);
        LENGTH.store(end.offset_from(first).max(0) as usize, Ordering::Relaxed);
    }
}

// glibc calls the functions of this section before `main`, and passes them the arguments of `main`.
#[cfg(target_env = "gnu")]
#[used]
// SAFETY: the section holds pointers to functions of this kind.
#[unsafe(link_section = ".init_array")]
static REMEMBER: extern "C" fn(libc::c_int, *const *mut libc::c_char) = remember_arguments;

/// Overwrites the arguments of this process with zeroes: everybody may read them in /proc/PID/cmdline. `std::env::args`
/// must not be used afterwards.
pub fn forget_arguments() {
    let (start, length) = (ARGUMENTS.load(Ordering::Relaxed), LENGTH.load(Ordering::Relaxed));
    if !start.is_null() {
        // SAFETY: the range was computed from the arguments of this process, which are writable and its own.
        unsafe { std::ptr::write_bytes(start, 0, length) };
    }
}
