//! `sbx check`: what this host and this user can do, tried.
use super::args;
use crate::error::Result;

pub(super) fn main(args: &args::Check) -> Result<u8> {
    let _ = args;
    Ok(0)
}
