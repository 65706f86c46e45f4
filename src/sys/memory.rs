//! Memory of this process.

/// Gives the pages of the program's own code and constants back. They are the file's; what is used again is mapped again.
/// Starting up touches most of the program, and waiting needs little of it.
pub fn release_code() {
    extern "C" fn segment(info: *mut libc::dl_phdr_info, _: usize, _: *mut libc::c_void) -> libc::c_int {
        // SAFETY: dl_iterate_phdr(3) passes a valid description with `dlpi_phnum` headers; the first object is the program.
        // Segments without PF_W are never changed, so dropping their pages loses nothing.
        unsafe {
            let info = &*info;
            for index in 0..usize::from(info.dlpi_phnum) {
                let header = &*info.dlpi_phdr.add(index);
                if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0 {
                    let start = (info.dlpi_addr + header.p_vaddr) & !4095;
                    let end = (info.dlpi_addr + header.p_vaddr + header.p_memsz + 4095) & !4095;
                    libc::madvise(start as *mut libc::c_void, (end - start) as usize, libc::MADV_DONTNEED);
                }
            }
        }
        1
    }
    // SAFETY: the callback keeps nothing.
    unsafe { libc::dl_iterate_phdr(Some(segment), std::ptr::null_mut()) };
}
