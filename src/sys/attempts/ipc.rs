//! Attempts on objects that have names and are not files: System V and POSIX IPC, keys; sockets of rare families.

use crate::sys::child::{loopback, owned};
use crate::sys::errno::{Result, check, done};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

/// The three kinds of System V IPC object: sysvipc(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemV {
    /// A shared memory segment: shmget(2).
    Memory,
    /// A set of semaphores: semget(2).
    Semaphores,
    /// A message queue: msgget(2).
    Messages,
}

impl SystemV {
    /// The id of the object with this key. With `make`, the object is created, for this user alone, and must not exist
    /// before.
    pub fn get(self, key: i32, make: bool) -> Result<i32> {
        let flags = if make { libc::IPC_CREAT | libc::IPC_EXCL | 0o600 } else { 0 };
        // SAFETY: these calls take integers and touch no memory.
        let id = unsafe {
            match self {
                SystemV::Memory => libc::shmget(key, if make { 4096 } else { 0 }, flags),
                SystemV::Semaphores => libc::semget(key, i32::from(make), flags),
                SystemV::Messages => libc::msgget(key, flags),
            }
        };
        Ok(check(id.into())? as i32)
    }

    /// Removes the object: IPC_RMID of shmctl(2), semctl(2), msgctl(2).
    pub fn remove(self, id: i32) {
        // SAFETY: IPC_RMID reads and writes no buffer.
        unsafe {
            match self {
                SystemV::Memory => libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()),
                SystemV::Semaphores => libc::semctl(id, 0, libc::IPC_RMID),
                SystemV::Messages => libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()),
            };
        }
    }
}

/// mq_open(2): opens the POSIX message queue of this name, which has no slash. With `make`, creates it.
pub fn message_queue(name: &CStr, make: bool) -> Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_CLOEXEC | if make { libc::O_CREAT | libc::O_EXCL } else { 0 };
    let none = std::ptr::null::<libc::mq_attr>();
    // SAFETY: the name ends with a NUL; no attributes are passed.
    owned(unsafe { libc::syscall(libc::SYS_mq_open, name.as_ptr(), flags, 0o600, none) })
}

/// mq_unlink(2): removes the POSIX message queue of this name.
pub fn remove_message_queue(name: &CStr) {
    // SAFETY: the name ends with a NUL.
    unsafe { libc::syscall(libc::SYS_mq_unlink, name.as_ptr()) };
}

/// KEY_SPEC_SESSION_KEYRING of keyctl(2): the caller's session keyring.
pub const SESSION_KEYRING: i32 = -3;
/// KEY_SPEC_USER_KEYRING of keyctl(2): the keyring of the caller's user id.
pub const USER_KEYRING: i32 = -4;

/// add_key(2): adds a key of the type `user`; gives its serial number.
pub fn add_key(name: &CStr, payload: &[u8], keyring: i32) -> Result<i32> {
    // SAFETY: the strings end with a NUL; the payload is valid for its length.
    let serial = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            name.as_ptr(),
            payload.as_ptr(),
            payload.len(),
            libc::c_long::from(keyring),
        )
    };
    Ok(check(serial)? as i32)
}

/// request_key(2): finds a key of the type `user`; gives its serial number. No program is started to make a missing
/// one.
pub fn request_key(name: &CStr) -> Result<i32> {
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: the strings end with a NUL.
    Ok(
        check(unsafe {
            libc::syscall(libc::SYS_request_key, c"user".as_ptr(), name.as_ptr(), none, 0 as libc::c_long)
        })? as i32,
    )
}

/// keyctl(2), KEYCTL_SEARCH: finds a key of the type `user` in a keyring; gives its serial number.
pub fn find_key(keyring: i32, name: &CStr) -> Result<i32> {
    const SEARCH: i32 = 10;
    let ring = libc::c_long::from(keyring);
    // SAFETY: the strings end with a NUL.
    let serial = unsafe { libc::syscall(libc::SYS_keyctl, SEARCH, ring, c"user".as_ptr(), name.as_ptr(), 0) };
    Ok(check(serial)? as i32)
}

/// keyctl(2), KEYCTL_READ: reads a key's payload; gives its length in bytes.
pub fn read_key(serial: i32, buffer: &mut [u8]) -> Result<usize> {
    const READ: i32 = 11;
    let serial = libc::c_long::from(serial);
    // SAFETY: the buffer is valid for its length.
    let n = unsafe { libc::syscall(libc::SYS_keyctl, READ, serial, buffer.as_mut_ptr(), buffer.len()) };
    Ok(check(n)? as usize)
}

/// keyctl(2), KEYCTL_UNLINK: removes a key from a keyring.
pub fn remove_key(serial: i32, keyring: i32) {
    const UNLINK: i32 = 9;
    // SAFETY: KEYCTL_UNLINK takes two integers.
    unsafe { libc::syscall(libc::SYS_keyctl, UNLINK, libc::c_long::from(serial), libc::c_long::from(keyring)) };
}

/// socket(2), close-on-exec.
pub fn socket(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd> {
    // SAFETY: the call takes three integers and gives a new descriptor. (nix knows only some families.)
    owned(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) }.into())
}

/// Reads the flags of the loopback interface and sets them to the same: SIOCGIFFLAGS, SIOCSIFFLAGS of netdevice(7).
pub fn set_interface() -> Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut request = loopback(0);
    // SAFETY: SIOCGIFFLAGS reads and writes one ifreq, whose name ends with a NUL.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS as _, &raw mut request) })?;
    // SAFETY: SIOCSIFFLAGS reads one ifreq.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) })
}

/// Connects a TCP socket to a port of 127.0.0.1 by way of an interface, which takes what is sent out of this machine's loopback. Waits for
/// less than a second.
pub fn connect_by_interface(interface: &str, port: u16) -> Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, sockopt};
    let socket = nix::sys::socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::BindToDevice, &interface.into())?;
    setsockopt(&socket, sockopt::SendTimeout, &nix::sys::time::TimeVal::new(0, 700_000))?;
    Ok(connect(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port))?)
}

/// setsockopt(2) of a new UDP socket of this family, with an option of 64 zeroes, or getsockopt(2) into as many.
pub fn socket_option(family: i32, level: i32, option: i32, reads: bool) -> Result<()> {
    let made = socket(family, libc::SOCK_DGRAM, 0)?;
    let mut value = [0u8; 64];
    let mut length = value.len() as libc::socklen_t;
    let place = value.as_mut_ptr().cast();
    done(match reads {
        // SAFETY: the value may be written for the length that is passed.
        true => unsafe { libc::getsockopt(made.as_raw_fd(), level, option, place, &raw mut length) },
        // SAFETY: the value may be read for the length that is passed.
        false => unsafe { libc::setsockopt(made.as_raw_fd(), level, option, place, length) },
    })
}
