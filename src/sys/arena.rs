//! An allocator for programs that plan once and then wait.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the arena. A start takes some 150 KiB, and what is never touched takes no memory.
const SIZE: usize = 512 * 1024;

/// Sizes are rounded up to this, which is the strictest alignment that is served.
const STEP: usize = 16;

/// Larger blocks are the C library's.
const LARGEST: usize = 1024;

/// A global allocator that gives small blocks from memory of the program's own, by size, and leaves everything else to the C library:
/// large blocks, all blocks once the arena is used up, and all blocks as soon as the process has had a second thread.
///
/// A start allocates some 4,000 blocks and is over; glibc's malloc(3) spends a sixth of its instructions on them, this some 20 for each.
pub struct Arena(UnsafeCell<State>);

#[repr(C, align(4096))]
struct State {
    memory: [u8; SIZE],
    used: usize,
    /// For each size, the first free block, which holds the address of the next.
    free: [*mut u8; LARGEST / STEP],
}

// SAFETY: the state is used only while the process has one thread; see `single_threaded`.
unsafe impl Sync for Arena {}

impl Arena {
    /// An arena of which nothing is used.
    #[expect(clippy::new_without_default, reason = "a static's value")]
    pub const fn new() -> Arena {
        Arena(UnsafeCell::new(State { memory: [0; SIZE], used: 0, free: [null_mut(); LARGEST / STEP] }))
    }

    fn holds(&self, block: *mut u8) -> bool {
        let start = self.0.get() as usize;
        (start..start + SIZE).contains(&(block as usize))
    }
}

/// The list that blocks of a layout are on; none if they are not the arena's.
fn list(layout: Layout) -> Option<usize> {
    let fits = (1..=LARGEST).contains(&layout.size()) && layout.align() <= STEP;
    fits.then(|| (layout.size() - 1) / STEP)
}

/// Whether this process has never had a second thread. One that has keeps what it got from the arena, and gives nothing back.
#[cfg(target_env = "gnu")]
fn single_threaded() -> bool {
    unsafe extern "C" {
        // glibc 2.32; true until the first thread is started (sys/single_threaded.h).
        static __libc_single_threaded: std::ffi::c_char;
    }
    // SAFETY: the C library writes it before a second thread runs, and never again while there is more than one.
    unsafe { __libc_single_threaded != 0 }
}

#[cfg(not(target_env = "gnu"))]
fn single_threaded() -> bool {
    false
}

/// Whether this process allocates nothing from here on. A child that is made without CLONE_VM has its own.
static FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// From here on, an allocation ends this process, where debug assertions are on.
pub fn forbid_allocation() {
    FORBIDDEN.store(cfg!(debug_assertions), Ordering::Relaxed);
}

fn check() {
    if cfg!(debug_assertions) && FORBIDDEN.load(Ordering::Relaxed) {
        let _ = nix::unistd::write(crate::sys::STREAMS[2], b"sbx: an allocation where there must be none\n");
        std::process::abort();
    }
}

// SAFETY: blocks are disjoint parts of `memory`, aligned to STEP since it starts at a page, as long as their list says, and are on a
// list only while nobody has them. Whatever is not served here is System's from its allocation to its end, told by its address.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        let Some(list) = list(layout).filter(|_| single_threaded()) else {
            // SAFETY: the caller's contract is the same.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: there is one thread, and nothing below calls back into the allocator. A block on a list holds the next one's address.
        unsafe {
            let state = self.0.get();
            let head = &raw mut (*state).free[list];
            if !(*head).is_null() {
                let block = *head;
                *head = block.cast::<*mut u8>().read();
                return block;
            }
            let size = (list + 1) * STEP;
            let used = (*state).used;
            if used + size > SIZE {
                return System.alloc(layout);
            }
            (*state).used = used + size;
            (&raw mut (*state).memory).cast::<u8>().add(used)
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !self.holds(block) {
            // SAFETY: it came from System.
            return unsafe { System.dealloc(block, layout) };
        }
        if let Some(list) = list(layout).filter(|_| single_threaded()) {
            // SAFETY: as in `alloc`; a block has room for an address.
            unsafe {
                let head = &raw mut (*self.0.get()).free[list];
                block.cast::<*mut u8>().write(*head);
                *head = block;
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check();
        if !self.holds(block) {
            // SAFETY: it came from System, which keeps it.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller sees to it that the size is valid with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if list(wanted).is_some_and(|wanted| Some(wanted) == list(layout)) {
            return block;
        }
        // SAFETY: both blocks are at least as long as the shorter of the two sizes, and disjoint.
        unsafe {
            let new = self.alloc(wanted);
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn what_is_not_the_arenas_is_left_to_the_library() {
        assert_eq!(list(layout(1)), Some(0));
        assert_eq!(list(layout(16)), Some(0));
        assert_eq!(list(layout(17)), Some(1));
        assert_eq!(list(layout(LARGEST)), Some(LARGEST / STEP - 1));
        assert_eq!(list(layout(LARGEST + 1)), None);
        assert_eq!(list(Layout::from_size_align(16, 32).unwrap()), None);
    }

    #[test]
    fn in_a_process_of_many_threads_nothing_is_the_arenas() {
        static ARENA: Arena = Arena::new();
        let arena = &ARENA;
        std::thread::scope(|scope| drop(scope.spawn(|| ())));
        // SAFETY: the layout has a size, and the block ends with the layout that it was made with.
        unsafe {
            let block = arena.alloc(layout(40));
            assert!(!arena.holds(block));
            arena.dealloc(block, layout(40));
        }
    }

    #[test]
    fn a_process_that_has_said_that_it_allocates_nothing_ends_when_it_does() {
        use crate::sys::{Waited, fork, wait_for};
        static ARENA: Arena = Arena::new();
        let child = |allocates: bool| {
            let child = fork(|| {
                forbid_allocation();
                // SAFETY: the layout has a size.
                i32::from(allocates && unsafe { ARENA.alloc(layout(40)) }.is_null())
            });
            wait_for(child.unwrap())
        };
        assert_eq!(child(false), Ok(Waited::Exited(0)));
        assert_eq!(child(true), Ok(Waited::Signaled(libc::SIGABRT)));
    }
}
