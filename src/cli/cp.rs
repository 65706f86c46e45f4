//! `sbx cp`: copies files between the host and running sandboxes.

use super::copier::{self, Copier};
use super::{args, output, store};
use crate::copy::{self, At, How, LeftOut};
use crate::error::{Error, Result, printable};
use crate::exit;
use crate::plan;
use crate::state::{Entry, Store};
use crate::sys;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The exit status if something was left out.
const PARTLY: u8 = 1;

/// One side of a copy.
enum Side {
    Host(PathBuf),
    /// A tar stream: standard input or standard output.
    Stream,
    Sandbox(Box<Entry>, PathBuf),
}

pub(super) fn main(args: &args::Cp) -> Result<u8> {
    copied(args).map_err(|error| match error.status {
        copy::OF_THE_STREAM => error.status(exit::FAILED),
        _ => error,
    })
}

fn copied(args: &args::Cp) -> Result<u8> {
    let store = store::store()?;
    let (from, to) = (side(&store, &args.source)?, side(&store, &args.destination)?);
    let how = match &from {
        Side::Stream => How::All,
        Side::Host(path) | Side::Sandbox(_, path) if is_content(path) => How::Contents,
        _ => How::Into,
    };
    let left_out = match (&from, &to) {
        (Side::Host(_), Side::Host(_))
        | (Side::Host(_), Side::Stream)
        | (Side::Stream, Side::Host(_) | Side::Stream) => {
            return Err(Error::new("one of the two has to be in a sandbox").hint("write NAME:PATH, as web:/var/log"));
        }
        (Side::Sandbox(entry, path), Side::Stream) => {
            if sys::is_terminal(sys::STREAMS[1]) {
                return Err(Error::new("a tar stream is not written to a terminal")
                    .hint("send it to a file or a program: sbx cp NAME:PATH - | tar t"));
            }
            let (copier, stream) = copier::take(entry, path)?;
            let mut output = Output { file: standard(1)?, failed: None };
            let passed = copy::pass(stream, &mut output);
            // Whatever follows from it on either side is not the cause.
            let passed = output.failed.map_or(passed, |errno| Err(output::unwritable(errno.into())));
            both(passed, copier)?
        }
        (Side::Sandbox(entry, path), Side::Host(to)) => {
            let to = on_host(to)?;
            let (copier, stream) = copier::take(entry, path)?;
            both(copy::put(&to, how, stream), copier)?
        }
        (Side::Host(path), Side::Sandbox(entry, to)) => {
            // One that is not there is said before anything is made inside.
            std::fs::metadata(path)
                .map_err(|error| Error::new(format!("cannot copy {}: {}", path.display(), sys::Errno::from(error))))?;
            let from = on_host(path)?;
            let (copier, stream) = copier::put(entry, to, how)?;
            both(copy::take(&from, stream), copier)?
        }
        (Side::Stream, Side::Sandbox(entry, to)) => {
            let (copier, mut stream) = copier::put(entry, to, how)?;
            let copied = std::io::copy(&mut standard(0)?, &mut stream);
            drop(stream);
            let copied = match copied {
                // It reads no more than the stream has, and what may follow is of no concern.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(LeftOut::new()),
                Err(error) => Err(Error::new(format!("cannot copy standard input: {}", sys::Errno::from(error)))),
                Ok(_) => Ok(LeftOut::new()),
            };
            both(copied, copier)?
        }
        (Side::Sandbox(entry, path), Side::Sandbox(other, to)) => {
            let (reader, stream) = copier::take(entry, path)?;
            let (writer, into) = copier::put(other, to, how)?;
            let passed = copy::pass(stream, into);
            let passed = both(passed, writer);
            both(passed, reader)?
        }
    };
    for line in &left_out {
        output::tell(&format!("sbx: left out: {}\n", printable(line)));
    }
    Ok(if left_out.is_empty() { 0 } else { PARTLY })
}

/// A path of the host, with its links resolved.
///
/// # Errors
///
/// A link on the way leads where a program may have made it lead, out of the directory that it could write to.
fn on_host(path: &Path) -> Result<At<'_>> {
    let cwd = std::env::current_dir()
        .map_err(|error| Error::new(format!("the current directory: {}", sys::Errno::from(error))))?;
    let (home, accounts) = store::home()?;
    let real = |path: &Path| plan::real_path(&cwd.join(path), &cwd, &home, &accounts);
    let above = path.parent().filter(|_| path.file_name().is_some()).unwrap_or(path);
    Ok(At { path, real: Some([real(path)?, real(above)?]) })
}

/// Standard output, with why it was not written.
struct Output {
    file: File,
    failed: Option<sys::Errno>,
}

impl Output {
    fn noted<T>(&mut self, result: std::io::Result<T>) -> std::io::Result<T> {
        result.inspect_err(|error| {
            if error.kind() != std::io::ErrorKind::Interrupted {
                self.failed = Some(sys::Errno(error.raw_os_error().unwrap_or(libc::EIO)));
            }
        })
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let result = self.file.write(bytes);
        self.noted(result)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let result = self.file.flush();
        self.noted(result)
    }
}

/// What both sides have left out. An error of one often has the other fail, too: the one that is not about the stream between them is the cause.
fn both(here: Result<LeftOut>, copier: Copier<'_>) -> Result<LeftOut> {
    let is_of_stream = |error: &Error| error.status == copy::OF_THE_STREAM;
    match (here, copier.end()) {
        (Ok(mut here), Ok(there)) => {
            here.extend(there);
            Ok(here)
        }
        (Err(here), Err(there)) => Err(if is_of_stream(&here) || !is_of_stream(&there) { there } else { here }),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

/// Whether a path stands for what is in a directory, rather than for the directory.
fn is_content(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    path.file_name().is_none() || bytes.ends_with(b"/.") || bytes == b"."
}

/// A side by its word: `-`, `NAME:PATH`, or a path of the host, which may have a colon behind a slash.
fn side(store: &Store, word: &OsString) -> Result<Side> {
    let bytes = word.as_bytes();
    if bytes == b"-" {
        return Ok(Side::Stream);
    }
    let colon = bytes.iter().position(|byte| *byte == b':').filter(|at| *at > 0);
    let colon = colon.filter(|at| !bytes.get(..*at).unwrap_or_default().contains(&b'/') && !bytes.starts_with(b"."));
    let Some(at) = colon else {
        return if bytes.is_empty() {
            Err(Error::new("an empty path is copied from or to nowhere"))
        } else {
            Ok(Side::Host(word.into()))
        };
    };
    let name = word.to_string_lossy();
    let name = name.split(':').next().unwrap_or_default();
    let entry =
        store.find(name).map_err(|error| error.hint(format!("for a path of the host, write ./{}", word.display())))?;
    // A path inside is meant from / on, as with podman and docker.
    let inside = Path::new("/").join(OsStr::from_bytes(bytes.get(at + 1..).unwrap_or_default()));
    Ok(Side::Sandbox(Box::new(entry), inside))
}

/// A standard stream as a file.
fn standard(number: usize) -> Result<File> {
    let stream = sys::STREAMS.get(number).and_then(|stream| stream.as_fd().try_clone_to_owned().ok());
    stream.map(File::from).ok_or_else(|| Error::new("a standard stream is closed"))
}
