//! Extended attributes: those of the file itself, without the marks of layers.

use super::super::node::is_mark;
use super::super::serving::TOP;
use super::server::Server;
use crate::sys::{self, Errno, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

/// The attribute of file capabilities.
const CAPABILITIES: &CStr = c"security.capability";

/// Whether an attribute is one that a program may have.
pub fn is_own(name: &[u8]) -> bool {
    let known = name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_") || name == CAPABILITIES.to_bytes();
    known && !is_mark(name)
}

impl Server {
    /// Opens a node for its attributes.
    pub(super) fn handle(&mut self, number: u64) -> Result<OwnedFd> {
        let (dir, name) = self.place(number)?;
        match name.is_empty() {
            true => dir.try_clone().map_err(|_| Errno(libc::EMFILE)),
            false => sys::openat(dir.as_fd(), &name, libc::O_PATH | libc::O_NOFOLLOW, 0),
        }
    }

    /// The value of an attribute.
    pub fn attribute(&mut self, number: u64, name: &CStr) -> Result<Vec<u8>> {
        if number == TOP {
            return Err(Errno(libc::ENODATA));
        }
        let node = self.node(number)?;
        if !is_own(name.to_bytes()) || node.closed || node.kind == libc::S_IFLNK {
            return Err(Errno(libc::ENODATA));
        }
        let (upper, capabilities) = (node.upper, name == CAPABILITIES);
        if capabilities && node.without_capabilities {
            return Err(Errno(libc::ENODATA));
        }
        let file = self.handle(number)?;
        let found = match sys::attribute_at(file.as_fd(), name) {
            Err(Errno(libc::EACCES | libc::EPERM)) => Err(Errno(libc::ENODATA)),
            other => other,
        };
        if upper && capabilities && found == Err(Errno(libc::ENODATA)) {
            self.node_mut(number)?.without_capabilities = true;
        }
        found
    }

    /// The names of all attributes, with a NUL after each.
    pub fn attribute_list(&mut self, number: u64) -> Result<Vec<u8>> {
        if number == TOP {
            return Ok(Vec::new());
        }
        let node = self.node(number)?;
        if node.closed || node.kind == libc::S_IFLNK {
            return Ok(Vec::new());
        }
        let file = self.handle(number)?;
        let names = match sys::attribute_names_at(file.as_fd()) {
            Err(Errno(libc::EOPNOTSUPP | libc::EACCES)) => Vec::new(),
            other => other?,
        };
        let own = names.iter().filter(|name| is_own(name.to_bytes()));
        Ok(own.flat_map(|name: &CString| name.to_bytes_with_nul().iter().copied()).collect())
    }

    /// Sets an attribute, with XATTR_* flags.
    pub fn set_attribute(&mut self, number: u64, name: &CStr, value: &[u8], flags: i32) -> Result<()> {
        self.may_change(number, name)?;
        self.copy_up(number, false)?;
        let file = self.handle(number)?;
        if name == CAPABILITIES {
            self.node_mut(number)?.without_capabilities = false;
        }
        self.growing(file.as_fd(), value.len() as u64, || sys::set_attribute_at(file.as_fd(), name, value, flags))
    }

    /// Removes an attribute.
    pub fn remove_attribute(&mut self, number: u64, name: &CStr) -> Result<()> {
        self.may_change(number, name)?;
        // Not copied up for nothing.
        let file = self.handle(number)?;
        sys::attribute_at(file.as_fd(), name)?;
        drop(file);
        self.copy_up(number, false)?;
        let file = self.handle(number)?;
        sys::remove_attribute_at(file.as_fd(), name)
    }

    fn may_change(&mut self, number: u64, name: &CStr) -> Result<()> {
        let kind = self.node(number)?.kind;
        let user = name.to_bytes().starts_with(b"user.");
        match is_own(name.to_bytes()) {
            true if kind == libc::S_IFLNK => Err(Errno(libc::EOPNOTSUPP)),
            true if user && kind != libc::S_IFREG && kind != libc::S_IFDIR => Err(Errno(libc::EPERM)),
            true => Ok(()),
            false if user => Err(Errno(libc::EPERM)),
            false => Err(Errno(libc::EOPNOTSUPP)),
        }
    }
}
