//! The global allocator of both programs, which allocate many small blocks at their start and then only wait.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use syscalls::raw;

/// Size of the arena in bytes. A start with 2,000 binds uses all of it; pages that are never touched take no memory.
const SIZE: usize = 2 * 1024 * 1024;

/// The kernel is asked for the pages of this many bytes of the arena at a time, which takes less than a page fault for each. A start uses 40
/// to 280 KiB.
const CHUNK: usize = 32 * 1024;
const _: () = assert!(SIZE.is_multiple_of(CHUNK));

/// Sizes of small blocks are multiples of this many bytes. It is also the largest alignment that the arena serves.
const STEP: usize = 16;

/// Size in bytes of the largest small block. Sizes above it are powers of two.
const SMALL: usize = 1024;

/// Size in bytes of the largest block that the arena serves. Larger ones come from the C library.
const LARGEST: usize = 32 * 1024;

/// The number of block sizes.
const SIZES: usize = SMALL / STEP + (LARGEST / SMALL).ilog2() as usize;

/// A global allocator that gives blocks from memory of the program's own, by size, to the thread that allocates first, and leaves
/// everything else to the C library: large blocks, all blocks once the arena is used up, and those of other threads. A block of the arena
/// that another thread frees is not used again.
///
/// A start allocates some 4,000 blocks. With glibc's malloc(3) they took a sixth of its instructions; the arena takes
/// some 20 for each. musl's maps and unmaps memory for every few blocks of a KiB or more.
pub struct Arena(UnsafeCell<State>);

#[repr(C, align(4096))]
struct State {
    memory: [u8; SIZE],
    used: usize,
    /// How far the kernel has been asked for pages.
    populated: usize,
    /// The head of the free list for each block size. A free block holds the address of the next one.
    free: [*mut u8; SIZES],
}

// SAFETY: the state is used by one thread alone; see `ours`.
unsafe impl Sync for Arena {}

impl Arena {
    /// An empty arena.
    #[expect(clippy::new_without_default, reason = "a static's value")]
    pub const fn new() -> Arena {
        Arena(UnsafeCell::new(State { memory: [0; SIZE], used: 0, populated: 0, free: [null_mut(); SIZES] }))
    }

    /// Asks for the pages of the memory up to `end`, and some more: madvise(2), MADV_POPULATE_WRITE. Where that is refused, as by Linux before
    /// 5.14 and with pages that are larger than the memory's alignment, each page is given when it is touched, and nothing is asked again.
    /// errno stays as it is.
    ///
    /// # Safety
    ///
    /// The calling thread has the arena; `end` is at most [`SIZE`].
    #[cold]
    unsafe fn populate(&self, end: usize) {
        let state = self.0.get();
        let to = end.next_multiple_of(CHUNK);
        // SAFETY: the range lies in the arena, whose size is a multiple of CHUNK; what it holds is not changed.
        unsafe {
            let from = (*state).populated;
            let start = (&raw mut (*state).memory).cast::<u8>().add(from);
            let advice = libc::MADV_POPULATE_WRITE as usize;
            let asked = raw::syscall3(libc::SYS_madvise as usize, start as usize, to - from, advice);
            (*state).populated = if asked == 0 { to } else { SIZE };
        }
    }

    fn holds(&self, block: *mut u8) -> bool {
        let start = self.0.get() as usize;
        (start..start + SIZE).contains(&(block as usize))
    }
}

/// The index of the free list for blocks of this layout; `None` if the arena does not serve them.
fn list(layout: Layout) -> Option<usize> {
    match layout.size() {
        0 => None,
        _ if layout.align() > STEP => None,
        size @ ..=SMALL => Some((size - 1) / STEP),
        size @ ..=LARGEST => Some(SMALL / STEP + ((size - 1) / SMALL).ilog2() as usize),
        _ => None,
    }
}

/// The size of the blocks on this list.
fn block_size(list: usize) -> usize {
    const FIRST: usize = SMALL / STEP;
    if list < FIRST { (list + 1) * STEP } else { (2 * SMALL) << (list - FIRST) }
}

/// Whether a thread has the arenas. It keeps them to its end.
static TAKEN: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether it is this one.
    static OURS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread has the arenas, which it gets by being the first that asks.
#[inline]
fn ours() -> bool {
    OURS.get() || take()
}

#[cold]
fn take() -> bool {
    // A process that is forked from this one goes on with the thread that forked, and with that one's answer.
    let first = !TAKEN.swap(true, Ordering::Relaxed);
    OURS.set(first);
    first
}

/// Set by [`forbid_allocation`]. A child made without CLONE_VM has its own copy.
static FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// Makes every later allocation of this process abort it. Has an effect only with debug assertions.
pub fn forbid_allocation() {
    FORBIDDEN.store(cfg!(debug_assertions), Ordering::Relaxed);
}

fn check() {
    if cfg!(debug_assertions) && FORBIDDEN.load(Ordering::Relaxed) {
        let _ = nix::unistd::write(crate::sys::STREAMS[2], b"sbx: an allocation where there must be none\n");
        std::process::abort();
    }
}

// SAFETY: blocks are disjoint parts of `memory`, aligned to STEP since it starts at a page, as long as their list says,
// and are on a list only while they are free. Blocks that are not served here belong to System until they are freed,
// and are told by their address.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        let Some(list) = list(layout).filter(|_| ours()) else {
            // SAFETY: the caller's contract is the same.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: no other thread comes here, and nothing below calls back into the allocator. A block on a list holds the next one's address.
        unsafe {
            let state = self.0.get();
            let head = &raw mut (*state).free[list];
            if !(*head).is_null() {
                let block = *head;
                *head = block.cast::<*mut u8>().read();
                return block;
            }
            let size = block_size(list);
            let used = (*state).used;
            if used + size > SIZE {
                return System.alloc(layout);
            }
            (*state).used = used + size;
            if used + size > (*state).populated {
                self.populate(used + size);
            }
            (&raw mut (*state).memory).cast::<u8>().add(used)
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !self.holds(block) {
            // SAFETY: it came from System.
            return unsafe { System.dealloc(block, layout) };
        }
        if let Some(list) = list(layout).filter(|_| OURS.get()) {
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
            // SAFETY: the block came from System, and stays with it.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller guarantees that the size is valid with this alignment.
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
        assert_eq!(list(layout(LARGEST)), Some(SIZES - 1));
        assert_eq!(list(layout(LARGEST + 1)), None);
        assert_eq!(list(Layout::from_size_align(16, 32).unwrap()), None);
    }

    #[test]
    fn blocks_are_as_long_as_what_is_asked_for_and_aligned() {
        for size in 1..=LARGEST {
            let list = list(layout(size)).unwrap();
            assert!(block_size(list) >= size && (list == 0 || block_size(list - 1) < size), "{size}");
            assert_eq!(block_size(list) % STEP, 0);
        }
    }

    #[test]
    fn the_arena_is_the_first_threads_and_others_have_the_librarys_memory() {
        static ARENA: Arena = Arena::new();
        let arena = &ARENA;
        // SAFETY: the layouts have sizes; each block ends with the layout that it was made with, and is used no more.
        unsafe {
            let first = arena.alloc(layout(40));
            assert!(arena.holds(first));
            let address = first.expose_provenance();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let block = arena.alloc(layout(40));
                    assert!(!arena.holds(block));
                    let grown = arena.realloc(block, layout(40), 400);
                    assert!(!arena.holds(grown));
                    arena.dealloc(grown, layout(400));
                    // Blocks move between threads.
                    arena.dealloc(std::ptr::with_exposed_provenance_mut(address), layout(40));
                });
            });
            let next = arena.alloc(layout(40));
            assert!(arena.holds(next) && next != first, "what another thread has freed is not used again");
            arena.dealloc(next, layout(40));
            assert_eq!(arena.alloc(layout(33)), next, "what this one has freed is");

            // Pages are asked for ahead, to the arena's end and not behind it.
            let populated = || (*arena.0.get()).populated;
            assert_eq!(populated(), CHUNK);
            arena.alloc(layout(CHUNK));
            assert_eq!(populated(), 2 * CHUNK);
            while arena.holds(arena.alloc(layout(LARGEST))) {}
            assert_eq!(populated(), SIZE);
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
