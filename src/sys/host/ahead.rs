//! Namespaces that other processes make while the launcher still plans, and the sandbox's first process in them.
//!
//! Two processes share the launcher's memory for that time. The *maker* is born in a new user namespace and makes the other namespaces
//! but one: the network namespace takes the kernel longest, so a process *beside* it makes that, and sends it. When the launcher has
//! planned, the maker clones the sandbox's first process, as a child of the launcher (CLONE_PARENT) and with a copy of the memory, and
//! ends.
//!
//! Both share the thread-local storage, in which the C library keeps `errno`, with the launcher, which goes on meanwhile. So they make
//! raw system calls only, and nothing that could panic.

use super::clone::{CloneArgs, pidfd_open, wait_for};
use crate::sys::child::{
    Mask, Stack, Waited, block, dup_above, exit_now, failed, kill, pid, send_raw, seqpacket_pair, wait,
};
use crate::sys::errno::{Errno, Result};
use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};
use syscalls::raw;

/// What the launcher, the maker and the process beside it tell each other, at the lowest address of the maker's stack.
#[repr(C)]
struct Task {
    /// The launcher's process id.
    launcher: i32,
    /// CLONE_NEW* flags of the namespaces that the maker makes for itself.
    namespaces: usize,
    /// The socket that the network namespace is sent through.
    network: c_int,
    /// The first address above the stack of the process that makes it.
    stack_beside: *mut c_void,
    /// [`MAKING`], [`SOON`], [`ASKED`] or [`DONE`].
    state: AtomicU32,
    /// What the launcher asks for: a child that runs a function with an argument.
    clone: CloneArgs,
    child: Option<extern "C" fn(*mut c_void) -> c_int>,
    argument: *mut c_void,
    /// The descriptor by whose end the child knows that of the launcher.
    launchers: c_int,
    /// The child's process id, or the errno of what failed, below 0.
    made: isize,
}

/// The namespaces are being made, or are there and the maker waits.
const MAKING: u32 = 0;
/// The launcher asks for the child within microseconds.
const SOON: u32 = 1;
/// The launcher has asked for the child.
const ASKED: u32 = 2;
/// The namespaces are there or could not be made, as `made` says.
const DONE: u32 = 3;

/// Namespaces that are being made. When this is dropped, what makes them is ended.
pub struct NamespacesAhead {
    /// The maker; none once it was waited for.
    maker: Option<i32>,
    /// Its stack, with its `Task` at the lower end, and that of the process beside it. They are unmapped only once it is known that
    /// both have ended.
    stacks: [ManuallyDrop<Stack>; 2],
    /// A pair of sockets: the network namespace is received from the first.
    network: Option<(OwnedFd, OwnedFd)>,
}

impl NamespacesAhead {
    /// Starts making a user namespace, and in it a network namespace and those of these CLONE_NEW* flags, which unshare(2) must take.
    ///
    /// # Errors
    ///
    /// There is no memory or process for that, or no user namespace can be made; ENOSYS on processors for which this is not written.
    /// Whatever fails later is told by [`NamespacesAhead::clone3`].
    pub fn start(namespaces: u64) -> Result<NamespacesAhead> {
        let stacks = [ManuallyDrop::new(Stack::new(STACK)?), ManuallyDrop::new(Stack::new(STACK_BESIDE)?)];
        let (receiver, sender) = seqpacket_pair()?;
        let pair = (dup_above(receiver.as_fd(), LEAST)?, dup_above(sender.as_fd(), LEAST)?);
        drop((receiver, sender));
        let task = Task {
            launcher: pid(),
            namespaces: namespaces as usize,
            network: pair.1.as_raw_fd(),
            stack_beside: stacks[1].highest(),
            state: AtomicU32::new(MAKING),
            clone: CloneArgs::default(),
            child: None,
            argument: null_mut(),
            launchers: -1,
            made: 0,
        };
        let place = stacks[0].lowest().cast::<Task>();
        // SAFETY: nothing else knows of the mapping yet; the task fits into its lower end.
        unsafe { place.write(task) };
        let mut ahead = NamespacesAhead { maker: None, stacks, network: Some(pair) };
        // Signal actions are shared, so that what the launcher ignores later is ignored in the sandbox's first process, too.
        let flags = SHARED | libc::CLONE_FILES | libc::CLONE_NEWUSER | libc::SIGCHLD;
        // SAFETY: the stack and the task live until the process has ended; it makes raw system calls only.
        let maker = unsafe { process(flags, ahead.stacks[0].highest(), make, place) };
        ahead.maker = Some(value(maker)?);
        Ok(ahead)
    }

    /// The task. The pointer is valid for as long as this value is.
    fn task(&self) -> *mut Task {
        self.stacks[0].lowest().cast()
    }

    /// The socket from which the sandbox's first process receives the network namespace, as a descriptor that comes with the errno of
    /// making it, and the socket's other end, which it has to close. They are open here until the process was cloned.
    pub fn network(&self) -> Option<(RawFd, RawFd)> {
        self.network.as_ref().map(|(receiver, sender)| (receiver.as_raw_fd(), sender.as_raw_fd()))
    }

    /// Says that [`NamespacesAhead::clone3`] is called within microseconds, which waking the maker takes, too.
    pub fn soon(&self) {
        // SAFETY: the task is there, and this field of it is only used as an atomic number.
        let state = unsafe { &(*self.task()).state };
        if state.compare_exchange(MAKING, SOON, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            // SAFETY: waking a futex reads and writes no memory.
            unsafe { wake(state) };
        }
    }

    /// clone3(2) of a child in the namespaces that were made, and in further new ones (CLONE_NEW* flags), with a copy of this process's
    /// memory; as [`clone3`](super::clone3) otherwise. The signal mask of the child is `mask`. The child does not have the descriptor
    /// `launchers`, nor has the maker by then: its end is that of this process.
    ///
    /// # Errors
    ///
    /// The namespaces could not be made, or the child could not. EINTR if the maker was killed.
    pub fn clone3<F: FnOnce() -> i32>(
        &mut self,
        namespaces: u64,
        cgroup: Option<BorrowedFd<'_>>,
        mask: Mask,
        launchers: BorrowedFd<'_>,
        child: F,
    ) -> Result<(i32, OwnedFd)> {
        let mut given = (mask, Some(child));
        let task = self.task();
        // SAFETY: the maker reads these fields only after `state` has changed, and `given` lives until it has told the result.
        let state = unsafe {
            (*task).clone = CloneArgs::beside(namespaces, cgroup);
            (*task).launchers = launchers.as_raw_fd();
            (*task).child = Some(run::<F>);
            (*task).argument = (&raw mut given).cast();
            &(*task).state
        };
        let ask = |now: u32| (now < ASKED).then_some(ASKED);
        if state.fetch_update(Ordering::AcqRel, Ordering::Acquire, ask).is_ok() {
            // SAFETY: waking a futex reads and writes no memory.
            unsafe { wake(state) };
            while state.load(Ordering::Acquire) == ASKED {
                // SAFETY: the time is one for this call, and lives until it ends.
                unsafe { sleep(state, ASKED, &LOOK) };
                if state.load(Ordering::Acquire) == ASKED && self.has_ended() {
                    return Err(Errno(libc::EINTR));
                }
            }
        }
        // The process beside the maker has its own copies, and so has the child.
        self.network = None;
        // SAFETY: the state is DONE: the maker has written the result, and touches it no more.
        let pid = value(unsafe { (*task).made })?;
        // It is a child of this process, which nobody has waited for.
        match pidfd_open(pid) {
            Ok(pidfd) => Ok((pid, pidfd)),
            Err(errno) => {
                let _ = kill(pid, libc::SIGKILL);
                let _ = wait_for(pid);
                Err(errno)
            }
        }
    }

    /// Whether the maker has ended, and was waited for. Until then it is a child of this process.
    pub fn has_ended(&mut self) -> bool {
        self.waited(libc::WNOHANG)
    }

    fn waited(&mut self, flags: c_int) -> bool {
        let Some(maker) = self.maker else { return true };
        match wait(libc::P_PID, maker as libc::id_t, flags) {
            Ok(None) | Err(Errno(libc::EINTR)) => return false,
            // It has waited for the process beside it.
            Ok(Some((_, Waited::Exited(_)))) => {
                for stack in &mut self.stacks {
                    // SAFETY: both processes have ended, and nothing uses the stacks any more: without a maker, nothing is asked of it.
                    unsafe { ManuallyDrop::drop(stack) };
                }
            }
            // It was killed, or somebody else has waited for it: the process beside it may still run.
            Ok(Some(_)) | Err(_) => {}
        }
        self.maker = None;
        true
    }
}

impl Drop for NamespacesAhead {
    fn drop(&mut self) {
        if let Some(maker) = self.maker {
            let _ = kill(maker, libc::SIGKILL);
            while !self.waited(0) {}
        }
    }
}

/// Whether this process may use more than one processor: sched_getaffinity(2).
pub fn has_processors() -> bool {
    // SAFETY: the set is an array of integers, for which zeroes are values.
    let mut set = unsafe { std::mem::zeroed::<libc::cpu_set_t>() };
    // SAFETY: the kernel writes to the set no more than its size. More processors than it has room for are an error, and several.
    let done = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    // SAFETY: the function reads the set.
    done < 0 || unsafe { libc::CPU_COUNT(&set) } > 1
}

/// The lowest number of a descriptor that the launcher has open while it plans. Arguments and profiles name numbers (`/proc/self/fd/5`),
/// low ones, which have to lead to what the caller has handed over, or to nothing.
const LEAST: RawFd = 240;

/// What the launcher and the two processes share.
const SHARED: c_int = libc::CLONE_VM | libc::CLONE_SIGHAND;

/// Stack size, in bytes, of the maker, which is the first process's for all of its life.
const STACK: usize = 256 * 1024;

/// Stack size, in bytes, of the process beside the maker.
const STACK_BESIDE: usize = 16 * 1024;

/// How often the maker looks whether it is asked, once that is to be soon, before it sleeps until then.
const LOOKS: u32 = 400;

/// How long the launcher waits for the maker before it looks whether that still lives.
const LOOK: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The value that a raw system call has given, or its errno.
fn value(result: isize) -> Result<i32> {
    failed(result).map_or(Ok(result as i32), |errno| Err(Errno(errno)))
}

/// The child of [`NamespacesAhead::clone3`], in its own copy of the memory.
extern "C" fn run<F: FnOnce() -> i32>(argument: *mut c_void) -> c_int {
    // SAFETY: the argument is `given` in this process's copy of the launcher's memory, which only this process has.
    let (mask, child) = unsafe { &mut *argument.cast::<(Mask, Option<F>)>() };
    let _ = block(mask);
    exit_now(child.take().map_or(0, |child| child()))
}

/// The maker from start to end.
extern "C" fn make(task: *mut Task) -> c_int {
    // SAFETY: the task outlives this process. The launcher writes what is read here before it starts the process, or before it changes
    // `state`, and reads what is written here once `state` is DONE. The calls take integers and pointers to what lives until they end.
    unsafe {
        let state = &(*task).state;
        // Signals of a terminal are the launcher's business; this process ends with the launcher.
        quiet((*task).launcher);
        let beside = process(SHARED | libc::SIGCHLD, (*task).stack_beside, make_network, task);
        let mut made = raw::syscall1(libc::SYS_unshare as usize, (*task).namespaces) as isize;
        if failed(made).is_none() {
            let mut looks = 0;
            loop {
                match state.load(Ordering::Acquire) {
                    SOON if looks < LOOKS => {
                        looks += 1;
                        raw::syscall0(libc::SYS_sched_yield as usize);
                    }
                    now @ (MAKING | SOON) => sleep(state, now, null_mut()),
                    _ => break,
                }
            }
            // From here on the descriptors are its own: they are those of the child.
            made = raw::syscall1(libc::SYS_unshare as usize, libc::CLONE_FILES as usize) as isize;
        }
        if failed(made).is_none() {
            raw::syscall1(libc::SYS_close as usize, (*task).launchers as usize);
            let (args, length) = (&raw mut (*task).clone as usize, size_of::<CloneArgs>());
            made = raw::syscall2(libc::SYS_clone3 as usize, args, length) as isize;
            if made == 0 {
                return (*task).child.map_or(0, |child| child((*task).argument));
            }
        }
        (*task).made = made;
        state.store(DONE, Ordering::Release);
        wake(state);
        if beside > 0 {
            raw::syscall4(libc::SYS_wait4 as usize, beside as usize, 0, libc::__WALL as usize, 0);
        }
        0
    }
}

/// The process beside the maker, from start to end. It has its own descriptors, so that the other end of the socket is told its end.
extern "C" fn make_network(task: *mut Task) -> c_int {
    // SAFETY: as in `make`. The path ends with a NUL.
    unsafe {
        quiet(0);
        let mut result = raw::syscall1(libc::SYS_unshare as usize, libc::CLONE_NEWNET as usize) as isize;
        if failed(result).is_none() {
            let flags = libc::O_RDONLY | libc::O_CLOEXEC;
            let path = c"/proc/self/ns/net".as_ptr() as usize;
            result =
                raw::syscall4(libc::SYS_openat as usize, libc::AT_FDCWD as usize, path, flags as usize, 0) as isize;
        }
        let errno = failed(result).unwrap_or(0);
        send_raw((*task).network, &errno.to_ne_bytes(), (errno == 0).then_some(result as c_int));
        0
    }
}

/// Blocks all signals of this process, and lets it end with its parent, which is `parent`; 0 stands for any.
///
/// # Safety
///
/// The calls are without any; the function is for processes that may not set `errno`.
unsafe fn quiet(parent: i32) {
    let all = u64::MAX;
    // SAFETY: the kernel reads one set, of the size that is passed.
    unsafe {
        raw::syscall4(libc::SYS_rt_sigprocmask as usize, libc::SIG_SETMASK as usize, &raw const all as usize, 0, 8);
        raw::syscall2(libc::SYS_prctl as usize, libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize);
        // The parent may have ended before that call.
        if parent != 0 && raw::syscall0(libc::SYS_getppid as usize) as i32 != parent {
            raw::syscall1(libc::SYS_exit_group as usize, 0);
        }
    }
}

/// Waits until another process wakes this one (futex(2)), while `state` has this value, and no longer than a time if one is given.
///
/// # Safety
///
/// `time` is null, or points at a time that lives until the call ends.
unsafe fn sleep(state: &AtomicU32, value: u32, time: *const libc::timespec) {
    let operation = libc::FUTEX_WAIT as usize;
    // SAFETY: the kernel reads the state, and the time as the caller guarantees.
    unsafe {
        raw::syscall4(libc::SYS_futex as usize, state.as_ptr() as usize, operation, value as usize, time as usize)
    };
}

/// Wakes the process that waits in [`sleep`].
///
/// # Safety
///
/// The call is without any; as [`quiet`].
unsafe fn wake(state: &AtomicU32) {
    // SAFETY: the kernel takes the address as a name only.
    unsafe { raw::syscall3(libc::SYS_futex as usize, state.as_ptr() as usize, libc::FUTEX_WAKE as usize, 1) };
}

/// clone(2) of a process that runs `body` on a stack of its own and exits with its value. Gives its process id, or an errno below 0. The
/// C library's function would set `errno`, which processes that share their memory share.
///
/// # Safety
///
/// The stack and the task live until the process has ended; `stack` is a multiple of 16. `flags` contains CLONE_VM, and `body` is a
/// function for which sharing the memory is right.
#[cfg(target_arch = "x86_64")]
unsafe fn process(flags: c_int, stack: *mut c_void, body: extern "C" fn(*mut Task) -> c_int, task: *mut Task) -> isize {
    let mut result = libc::SYS_clone as isize;
    // SAFETY: in this process, the call changes no more registers than those that are named. The new process has the same, and another
    // stack, so it does not come back here. The outermost frame has no caller: rbp is 0.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "mov edi, eax",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            exit = const libc::SYS_exit_group,
            inlateout("rax") result,
            in("rdi") flags as isize,
            in("rsi") stack,
            in("rdx") 0,
            in("r10") 0,
            in("r8") 0,
            in("r12") body,
            in("r13") task,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Not written for this processor: the namespaces are made when the launcher has planned.
///
/// # Safety
///
/// There is nothing to hold.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn process(_: c_int, _: *mut c_void, _: extern "C" fn(*mut Task) -> c_int, _: *mut Task) -> isize {
    -(libc::ENOSYS as isize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{receive, wait_end};

    #[test]
    fn a_child_is_made_in_the_namespaces_and_is_this_processs_own() {
        // The test's process has threads, with which a child in a new user namespace that shares the memory can be made all the same.
        let mut ahead = NamespacesAhead::start((libc::CLONE_NEWNS | libc::CLONE_NEWUTS) as u64).unwrap();
        let receiver = ahead.network.as_ref().unwrap().0.try_clone().unwrap();
        let mut errno = [1; 4];
        let (length, namespace) = receive(receiver.as_fd(), &mut errno).unwrap();
        assert_eq!((length, i32::from_ne_bytes(errno), namespace.is_some()), (4, 0, true));
        let (ours, _theirs) = seqpacket_pair().unwrap();
        let flags = libc::CLONE_NEWPID as u64;
        let child = ahead.clone3(flags, None, Mask::default(), ours.as_fd(), || 17 + i32::from(pid() != 1));
        let (_, pidfd) = child.unwrap();
        assert_eq!(wait_end(pidfd.as_fd()), Ok(Waited::Exited(17)));
        while !ahead.has_ended() {}
    }

    #[test]
    fn what_fails_before_is_told_when_the_child_is_asked_for() {
        // unshare(2) does not take it.
        let mut ahead = NamespacesAhead::start(libc::CLONE_VFORK as u64).unwrap();
        let (ours, _theirs) = seqpacket_pair().unwrap();
        let child = ahead.clone3(libc::CLONE_NEWPID as u64, None, Mask::default(), ours.as_fd(), || 0);
        assert_eq!(child.map(|(pid, _)| pid), Err(Errno(libc::EINVAL)));
    }

    #[test]
    fn nothing_is_left_if_no_child_is_asked_for() {
        let ahead = NamespacesAhead::start(libc::CLONE_NEWUTS as u64).unwrap();
        let maker = ahead.maker.unwrap();
        drop(ahead);
        assert_eq!(kill(maker, 0), Err(Errno(libc::ESRCH)));
    }
}
