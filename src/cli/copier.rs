//! sbx itself as the side of a copy that is in a sandbox: executed there by PID 1, as `sbx exec` has programs executed. Its file is a copy in memory that nobody can
//! change, so that it need not lie in the sandbox, and nothing inside can write to the file that the user runs.

use super::asked;
use crate::copy::{self, How, LeftOut};
use crate::error::{Error, Result, printable};
use crate::state::{Entry, Execution, Monitor, Request, Silence, Text};
use crate::sys::{self, Errno, Poll};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const WHAT: &str = "can be copied from or to";

/// The number by which the file that is executed is sent.
const EXECUTABLE: usize = 3;

/// How much a copier may say of errors and of what it leaves out, in bytes.
const MOST: u64 = 64 << 10;

/// A copier that runs.
pub(super) struct Copier<'e> {
    entry: &'e Entry,
    monitor: Monitor,
    /// What it says: a file of fixed size, since the program could write to it for ever.
    said: OwnedFd,
}

/// Starts to read a file or a tree of a sandbox; gives the stream.
pub(super) fn take<'e>(entry: &'e Entry, path: &Path) -> Result<(Copier<'e>, File)> {
    begin(entry, &[copy::NAME.as_ref(), "take".as_ref(), path.as_os_str()]).map(|(copier, _, stream)| (copier, stream))
}

/// Starts to write what is sent to a path of a sandbox; gives where it is sent.
pub(super) fn put<'e>(entry: &'e Entry, path: &Path, how: How) -> Result<(Copier<'e>, File)> {
    let args = [copy::NAME.as_ref(), "put".as_ref(), how.word().as_ref(), path.as_os_str()];
    begin(entry, &args).map(|(copier, stream, _)| (copier, stream))
}

fn begin<'e>(entry: &'e Entry, args: &[&OsStr]) -> Result<(Copier<'e>, File, File)> {
    let pipe = || sys::pipe().map_err(|errno| Error::call("pipe2", errno));
    let monitor = asked::monitor(entry, WHAT)?;
    // One that is stopped takes the request all the same, and the streams would be waited for.
    asked::ask(entry, &monitor, &Request::Look, WHAT)?;
    let execution = Execution {
        args: args.iter().map(|word| Text::from(*word)).collect(),
        // That of the program may be gone.
        dir: Some(Text::from(OsStr::new("/"))),
        ..Execution::default()
    };
    let request = asked::execution(&execution)?.ok_or_else(|| Error::new("the path is too long"))?;
    let memory = |errno: Errno| Error::new(format!("a file in memory: {errno}"));
    let said = sys::memory_file_of_size(c"sbx-cp", MOST).map_err(memory)?;
    let own = own_file().map_err(|error| memory(Errno::from(error)))?;
    let (input, to_input) = pipe()?;
    let (from_output, output) = pipe()?;
    let streams = [(0, input.as_fd()), (1, output.as_fd()), (2, said.as_fd()), (EXECUTABLE, own.as_fd())];
    let pass = || -> std::result::Result<(), Silence> {
        for (number, stream) in streams {
            monitor.pass(&Request::Stream { number }, stream)?;
        }
        monitor.pass(&Request::Exec, request.as_fd())
    };
    pass().map_err(|silence| asked::silent(entry, silence, WHAT))?;
    // Each pipe ends with the copier from here on.
    drop((input, output));
    Ok((Copier { entry, monitor, said }, File::from(to_input), File::from(from_output)))
}

/// The file that this process executes, in memory and sealed.
fn own_file() -> std::io::Result<OwnedFd> {
    let own = File::open("/proc/self/exe")?;
    let size = own.metadata()?.len();
    sys::sealed_copy(own.as_fd(), size)
}

impl Copier<'_> {
    /// Waits for its end. Gives what it has left out.
    ///
    /// # Errors
    ///
    /// What it, or the monitor, says is the matter.
    pub(super) fn end(self) -> Result<LeftOut> {
        let called = self.entry.called();
        let mut set = [Poll::read(self.monitor.number())];
        sys::poll(&mut set, None).map_err(|errno| Error::call("poll", errno))?;
        let answer = self.monitor.answer().ok_or_else(|| Error::new(format!("{called} has ended")))?;
        if let Some(why) = answer.error {
            return Err(Error::new(format!("{called}: {}", printable(&why))));
        }
        let said = self.said();
        match answer.status {
            Some(0) => Ok(LeftOut::new()),
            Some(1) => Ok(said.iter().map(|line| format!("{called}:{}", printable(line))).collect()),
            Some(status) if said.is_empty() => Err(Error::new(format!(
                "{called}: the copy ended with the exit status {status}"
            ))
            .hint(
                "a process in the sandbox may have ended it, or its system-call filter: sbx plan --verbose shows that",
            )),
            status => {
                let mut lines = said.iter().map(|line| printable(line).into_owned());
                let first = lines.next().unwrap_or_default();
                let error = Error::new(format!("{called}: {}", first.trim_start_matches("sbx: ")));
                let of_the_stream = status == Some(copy::OF_THE_STREAM.into());
                let error = if of_the_stream { error.status(copy::OF_THE_STREAM) } else { error };
                Err(lines.fold(error, |error, line| error.hint(line.trim_start_matches("help: "))))
            }
        }
    }

    /// The lines that it has written, up to the first zero.
    fn said(&self) -> Vec<String> {
        let mut bytes = vec![0; usize::try_from(MOST).unwrap_or(0)];
        let count = sys::read_at(self.said.as_fd(), &mut bytes, 0).unwrap_or(0);
        let bytes = bytes.get(..count).unwrap_or_default();
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).lines().map(str::to_owned).collect()
    }
}
