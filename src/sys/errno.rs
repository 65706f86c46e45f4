//! The kernel's error numbers.

use serde::Serialize;
use std::ffi::CStr;

/// A number of errno(3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Errno(pub i32);

/// What a system call gives.
pub type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    /// The calling thread's errno.
    pub fn last() -> Errno {
        // SAFETY: errno's location is valid for the life of the thread.
        Errno(unsafe { *libc::__errno_location() })
    }

    /// The symbol, as strace prints it (`ENOENT`).
    pub fn name(self) -> &'static str {
        match self.0 {
            libc::EPERM => "EPERM",
            libc::ENOENT => "ENOENT",
            libc::ESRCH => "ESRCH",
            libc::EINTR => "EINTR",
            libc::EIO => "EIO",
            libc::E2BIG => "E2BIG",
            libc::ENOEXEC => "ENOEXEC",
            libc::EBADF => "EBADF",
            libc::ECHILD => "ECHILD",
            libc::EAGAIN => "EAGAIN",
            libc::ENOMEM => "ENOMEM",
            libc::EACCES => "EACCES",
            libc::EBUSY => "EBUSY",
            libc::EEXIST => "EEXIST",
            libc::EXDEV => "EXDEV",
            libc::ENODEV => "ENODEV",
            libc::ENOTDIR => "ENOTDIR",
            libc::EISDIR => "EISDIR",
            libc::EINVAL => "EINVAL",
            libc::ENFILE => "ENFILE",
            libc::EMFILE => "EMFILE",
            libc::ENOTTY => "ENOTTY",
            libc::ETXTBSY => "ETXTBSY",
            libc::EFBIG => "EFBIG",
            libc::ENOSPC => "ENOSPC",
            libc::EROFS => "EROFS",
            libc::EMLINK => "EMLINK",
            libc::EPIPE => "EPIPE",
            libc::ERANGE => "ERANGE",
            libc::ENAMETOOLONG => "ENAMETOOLONG",
            libc::ENOSYS => "ENOSYS",
            libc::ENOTEMPTY => "ENOTEMPTY",
            libc::ELOOP => "ELOOP",
            libc::EOVERFLOW => "EOVERFLOW",
            libc::EUSERS => "EUSERS",
            libc::EOPNOTSUPP => "EOPNOTSUPP",
            libc::EDQUOT => "EDQUOT",
            libc::ECONNREFUSED => "ECONNREFUSED",
            libc::ETIMEDOUT => "ETIMEDOUT",
            libc::ESTALE => "ESTALE",
            libc::ENXIO => "ENXIO",
            libc::ENETUNREACH => "ENETUNREACH",
            libc::EHOSTUNREACH => "EHOSTUNREACH",
            libc::EADDRNOTAVAIL => "EADDRNOTAVAIL",
            libc::EAFNOSUPPORT => "EAFNOSUPPORT",
            libc::EPROTONOSUPPORT => "EPROTONOSUPPORT",
            libc::ESOCKTNOSUPPORT => "ESOCKTNOSUPPORT",
            libc::ENOKEY => "ENOKEY",
            _ => "",
        }
    }

    /// The number of this symbol, if it is one that is known here.
    pub fn from_name(name: &str) -> Option<Errno> {
        (1..200).map(Errno).find(|errno| !errno.name().is_empty() && errno.name() == name)
    }

    /// The sentence of strerror(3), lower case, without a period.
    pub fn text(self) -> String {
        let mut buffer = [0 as libc::c_char; 128];
        // SAFETY: the buffer is ours and its length is passed; XSI strerror_r ends it with a NUL.
        let text = unsafe {
            if libc::strerror_r(self.0, buffer.as_mut_ptr(), buffer.len()) != 0 {
                return format!("error {}", self.0);
            }
            CStr::from_ptr(buffer.as_ptr())
        };
        let text = text.to_string_lossy();
        let mut chars = text.chars();
        match chars.next() {
            Some(first) if !chars.as_str().starts_with(char::is_uppercase) => {
                first.to_lowercase().chain(chars).collect()
            }
            _ => text.into_owned(),
        }
    }
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            "" => write!(f, "{} (errno {})", self.text(), self.0),
            name => write!(f, "{} ({name})", self.text()),
        }
    }
}

impl std::fmt::Debug for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            "" => write!(f, "errno {}", self.0),
            name => f.write_str(name),
        }
    }
}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> std::io::Error {
        std::io::Error::from_raw_os_error(errno.0)
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// The result of a call that gives -1 for failure.
pub(super) fn check(value: libc::c_long) -> Result<libc::c_long> {
    if value < 0 { Err(Errno::last()) } else { Ok(value) }
}

/// The same, for calls whose value says nothing.
pub(super) fn done(value: libc::c_int) -> Result<()> {
    if value < 0 { Err(Errno::last()) } else { Ok(()) }
}
