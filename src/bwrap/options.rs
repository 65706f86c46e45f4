//! Parses bubblewrap's command line into [`Options`], in the order of the words. Nothing is done but reading the
//! descriptors that hold more options, or seccomp programs.

use super::table::OPTIONS;
use super::values::{capability, descriptor, id, permissions, refused, size};
use crate::error::{Error, Result};
use crate::spec::{Access, Make, Mount, Origin, Source, Upper};
use crate::sys::{BpfProgram, Errno, filter_from_bytes};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Where descriptors are read from: the process's own, or a test's.
pub trait Inputs {
    /// Reads a descriptor to its end, and closes it.
    fn read(&mut self, fd: i32) -> std::result::Result<Vec<u8>, Errno>;
}

/// A change of the set of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapabilityChange {
    /// Adds these capabilities, a bit for each; all bits are `ALL`.
    Add(u64),
    /// Drops these capabilities, a bit for each.
    Drop(u64),
}

/// A parsed command line.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields have the names of the options")]
pub struct Options {
    /// `--help` or `--version` came, and nothing after it was read.
    pub shown: Option<Shown>,
    pub unshare_user: bool,
    pub unshare_user_try: bool,
    pub unshare_ipc: bool,
    pub unshare_pid: bool,
    pub unshare_net: bool,
    pub unshare_uts: bool,
    pub unshare_cgroup: bool,
    pub unshare_cgroup_try: bool,
    pub userns: Option<i32>,
    pub userns2: Option<i32>,
    pub pidns: Option<i32>,
    pub disable_userns: bool,
    pub assert_userns_disabled: bool,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub hostname: Option<OsString>,
    pub chdir: Option<PathBuf>,
    /// The whole environment of the program: the caller's, as changed by options so far.
    pub environment: Vec<(OsString, OsString)>,
    pub argv0: Option<OsString>,
    pub lock_files: Vec<PathBuf>,
    pub sync_fds: Vec<i32>,
    pub seccomp: Option<i32>,
    pub add_seccomp: Vec<BpfProgram>,
    pub block_fd: Option<i32>,
    pub userns_block_fd: Option<i32>,
    pub info_fd: Option<i32>,
    pub json_status_fd: Option<i32>,
    pub new_session: bool,
    pub die_with_parent: bool,
    pub as_pid_1: bool,
    pub capabilities: Vec<CapabilityChange>,
    pub exec_label: Option<OsString>,
    pub file_label: Option<OsString>,
    pub not_a_security_boundary: bool,
    pub mounts: Vec<Mount>,
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Messages begin with their level, such as `<3>`.
    pub level_prefix: bool,
    /// Warnings, each with the value that `level_prefix` had when it came up.
    pub warnings: Vec<(bool, String)>,
}

/// Text to show instead of running a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The list of options (`--help`).
    Help,
    /// The version (`--version`).
    Version,
    /// The oldest kernel that this runs on (`--debug-opt=print-assumed-kernel`, which bubblewrap's tests ask).
    OldestKernel,
}

/// Modifiers of the next option: `--perms`, `--size`, `--overlay-src`.
#[derive(Default)]
struct Next {
    permissions: Option<u32>,
    size: Option<u64>,
    overlay: Vec<PathBuf>,
}

/// Parses a command line without the program's own name. After an error, `options` has what was parsed before it.
pub fn parse(args: Vec<OsString>, inputs: &mut dyn Inputs, options: &mut Options) -> Result<()> {
    let mut parser = Parser { options, inputs, next: Next::default() };
    let rest = parser.all(args, false)?;
    parser.options.command = rest;
    if parser.next.overlay.is_empty() { Ok(()) } else { Err(overlay_src()) }
}

fn overlay_src() -> Error {
    refused(
        "--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay"
            .into(),
        "put it directly before the overlay that it is for",
    )
}

struct Parser<'a> {
    options: &'a mut Options,
    inputs: &'a mut dyn Inputs,
    next: Next,
}

/// An option with its values.
struct Values<'v> {
    name: &'static str,
    values: &'v [OsString],
}

impl Values<'_> {
    fn text(&self, index: usize) -> &OsStr {
        self.values.get(index).map_or(OsStr::new(""), OsString::as_os_str)
    }

    /// A value that is a path. An empty one is an error: it often comes from a variable that is not set, and would mean
    /// the new root, or the current directory.
    fn path(&self, index: usize) -> Result<PathBuf> {
        match self.text(index) {
            text if text.is_empty() => {
                let what = OPTIONS.iter().find(|entry| entry.name == self.name);
                let what = what.and_then(|entry| entry.values.get(index)).unwrap_or(&"path");
                Err(refused(
                    format!("{} does not take an empty path argument", self.name),
                    &format!("{what} may come from a variable that is not set; write `/` or `.` if that is meant"),
                ))
            }
            text => Ok(text.into()),
        }
    }

    fn origin(&self) -> Origin {
        let mut text = self.name.to_owned();
        for value in self.values {
            text.push(' ');
            text.push_str(&value.to_string_lossy());
        }
        Origin(text)
    }
}

impl Parser<'_> {
    /// Parses options up to the first word that is none, and returns the rest, which is empty for words from a file.
    fn all(&mut self, args: Vec<OsString>, in_file: bool) -> Result<Vec<OsString>> {
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            if arg == "--" {
                at += 1;
                break;
            }
            if !arg.as_bytes().starts_with(b"-") {
                break;
            }
            if arg.as_bytes().starts_with(b"--debug-opt=") {
                // bubblewrap's switches for its tests: what it does without openat2(2) and mount_setattr(2), which the
                // kernels that sbx runs on always have, and from which kernel on it runs.
                match arg.as_bytes().strip_prefix(b"--debug-opt=") {
                    Some(b"force-openat-fallback" | b"force-mount-setattr-fallback") => {}
                    Some(b"print-assumed-kernel") => {
                        self.options.shown = Some(Shown::OldestKernel);
                        return Ok(Vec::new());
                    }
                    _ => {
                        let value = arg.to_string_lossy().replacen("--debug-opt=", "", 1);
                        return Err(refused(format!("Unknown --debug-opt value: {value}"), "leave it out"));
                    }
                }
                at += 1;
                continue;
            }
            let Some(entry) = OPTIONS.iter().find(|entry| arg == entry.name) else { return Err(unknown(arg)) };
            let Some(values) = args.get(at + 1..at + 1 + entry.values.len()) else {
                return Err(missing(entry.name, entry.values));
            };
            if entry.name == "--args" && in_file {
                let hint = "put all of them into the one file, or name both on the command line";
                return Err(refused("--args not supported in arguments file".into(), hint));
            }
            self.option(&Values { name: entry.name, values })?;
            if self.options.shown.is_some() {
                return Ok(Vec::new());
            }
            self.nothing_left_over(entry.name)?;
            at += 1 + entry.values.len();
        }
        let rest = args.get(at..).unwrap_or_default().to_vec();
        if in_file && !rest.is_empty() {
            let first = rest.first().map(|arg| arg.display().to_string()).unwrap_or_default();
            self.warn(format!("--args: `{first}` and what follows it in that file is not used: the command comes from the command line"));
            return Ok(Vec::new());
        }
        Ok(rest)
    }

    /// The error of a modifier (`--perms`, `--size`, `--overlay-src`) that the option `name` behind it did not use.
    fn nothing_left_over(&mut self, name: &str) -> Result<()> {
        let modifier = matches!(name, "--perms" | "--size");
        if !modifier && self.next.permissions.is_some() {
            return Err(refused(
                "--perms must be followed by an option that creates a file".into(),
                "those are --tmpfs, --dir, --file, --bind-data and --ro-bind-data",
            ));
        }
        if !modifier && self.next.size.is_some() {
            return Err(refused("--size must be followed by --tmpfs".into(), "put it directly before --tmpfs"));
        }
        if name != "--overlay-src" && name != "--args" && !self.next.overlay.is_empty() {
            return Err(overlay_src());
        }
        Ok(())
    }

    fn warn(&mut self, text: String) {
        self.options.warnings.push((self.options.level_prefix, text));
    }

    fn only_last(&mut self, name: &str, before: bool) {
        if before {
            self.warn(format!("Only the last {name} option will take effect"));
        }
    }

    fn mount(&mut self, values: &Values<'_>, dest: usize, what: Make) -> Result<()> {
        // Parents that have to be made are closed to the group, or to others, if what is made in them is. Operations
        // without permissions count as closed to both, as in bubblewrap.
        let mode = match &what {
            Make::Tmpfs { mode, .. } | Make::Dir { mode } | Make::File { mode, .. } | Make::BindData { mode, .. } => {
                *mode
            }
            _ => 0,
        };
        let closed = |bits: u32, part: u32| if mode & bits == 0 { part } else { 0 };
        let parents = 0o755 & !closed(0o070, 0o050) & !closed(0o007, 0o005);
        let dest = values.path(dest)?;
        self.options.mounts.push(Mount { what, dest, parents, origin: values.origin() });
        Ok(())
    }

    fn permissions(&mut self, default: u32) -> u32 {
        self.next.permissions.take().unwrap_or(default)
    }

    fn bind(&mut self, values: &Values<'_>, access: Access, optional: bool) -> Result<()> {
        let source = Source::Path(values.path(0)?);
        self.mount(values, 1, Make::Bind { source, access, optional, tolerant: false })
    }

    fn overlay(&mut self, values: &Values<'_>, least: usize, dest: usize, upper: Upper) -> Result<()> {
        let mut lower = std::mem::take(&mut self.next.overlay);
        if lower.len() < least {
            let words = if least == 1 { "one" } else { "two" };
            let message = format!("{} requires at least {words} --overlay-src", values.name);
            return Err(refused(message, "the lower directories come before it, the lowest first"));
        }
        lower.reverse();
        self.mount(values, dest, Make::Overlay { lower, upper })
    }

    fn option(&mut self, values: &Values<'_>) -> Result<()> {
        let name = values.name;
        match name {
            "--help" => self.options.shown = Some(Shown::Help),
            "--version" => self.options.shown = Some(Shown::Version),
            "--args" => self.arguments(descriptor(values.text(0))?)?,
            "--argv0" => {
                if self.options.argv0.is_some() {
                    return Err(refused("--argv0 used multiple times".into(), "leave all but one out"));
                }
                self.options.argv0 = Some(values.text(0).to_owned());
            }
            "--level-prefix" => self.options.level_prefix = true,
            "--unshare-all" => {
                let o = &mut *self.options;
                (o.unshare_user_try, o.unshare_cgroup_try) = (true, true);
                (o.unshare_ipc, o.unshare_pid, o.unshare_net, o.unshare_uts) = (true, true, true, true);
            }
            "--unshare-user" => self.options.unshare_user = true,
            "--unshare-user-try" => self.options.unshare_user_try = true,
            "--unshare-ipc" => self.options.unshare_ipc = true,
            "--unshare-pid" => self.options.unshare_pid = true,
            "--unshare-net" => self.options.unshare_net = true,
            "--unshare-uts" => self.options.unshare_uts = true,
            "--unshare-cgroup" => self.options.unshare_cgroup = true,
            "--unshare-cgroup-try" => self.options.unshare_cgroup_try = true,
            "--share-net" => self.options.unshare_net = false,
            "--disable-userns" => self.options.disable_userns = true,
            "--assert-userns-disabled" => self.options.assert_userns_disabled = true,
            "--new-session" => self.options.new_session = true,
            "--die-with-parent" => self.options.die_with_parent = true,
            "--as-pid-1" => self.options.as_pid_1 = true,
            "--not-a-security-boundary" => self.options.not_a_security_boundary = true,
            "--uid" => {
                self.only_last(name, self.options.uid.is_some());
                self.options.uid = Some(id(values.text(0), "uid")?);
            }
            "--gid" => {
                self.only_last(name, self.options.gid.is_some());
                self.options.gid = Some(id(values.text(0), "gid")?);
            }
            "--hostname" => {
                self.only_last(name, self.options.hostname.is_some());
                self.options.hostname = Some(values.text(0).to_owned());
            }
            "--chdir" => {
                self.only_last(name, self.options.chdir.is_some());
                self.options.chdir = Some(values.path(0)?);
            }
            "--exec-label" => {
                self.only_last(name, self.options.exec_label.is_some());
                self.options.exec_label = Some(values.text(0).to_owned());
            }
            "--file-label" => {
                self.only_last(name, self.options.file_label.is_some());
                self.options.file_label = Some(values.text(0).to_owned());
            }
            "--clearenv" => self.options.environment.clear(),
            "--setenv" | "--unsetenv" => self.environment(values)?,
            "--lock-file" => self.options.lock_files.push(values.path(0)?),
            "--sync-fd" => self.options.sync_fds.push(descriptor(values.text(0))?),
            "--add-seccomp-fd" => {
                if self.options.seccomp.is_some() {
                    let hint = "use --add-seccomp-fd for all of them";
                    return Err(refused("--add-seccomp-fd cannot be combined with --seccomp".into(), hint));
                }
                let program = seccomp_data(self.inputs, descriptor(values.text(0))?)?;
                self.options.add_seccomp.push(program);
            }
            "--seccomp" if !self.options.add_seccomp.is_empty() => {
                let hint = "use --add-seccomp-fd for all of them";
                return Err(refused("--seccomp cannot be combined with --add-seccomp-fd".into(), hint));
            }
            "--userns" | "--userns2" | "--pidns" | "--block-fd" | "--userns-block-fd" | "--info-fd"
            | "--json-status-fd" | "--seccomp" => {
                let number = descriptor(values.text(0))?;
                let options = &mut *self.options;
                let place = match name {
                    "--userns" => &mut options.userns,
                    "--userns2" => &mut options.userns2,
                    "--pidns" => &mut options.pidns,
                    "--block-fd" => &mut options.block_fd,
                    "--userns-block-fd" => &mut options.userns_block_fd,
                    "--info-fd" => &mut options.info_fd,
                    "--json-status-fd" => &mut options.json_status_fd,
                    _ => &mut options.seccomp,
                };
                let before = place.replace(number).is_some();
                self.only_last(name, before);
            }
            "--cap-add" | "--cap-drop" => {
                let text = values.text(0);
                let all = text.eq_ignore_ascii_case("ALL");
                let set = if all { u64::MAX } else { 1 << capability(text)? };
                let add = name == "--cap-add";
                let change = if add { CapabilityChange::Add(set) } else { CapabilityChange::Drop(set) };
                self.options.capabilities.push(change);
            }
            "--perms" => {
                if self.next.permissions.is_some() {
                    return Err(refused("--perms given twice for the same action".into(), "leave one of them out"));
                }
                self.next.permissions = Some(permissions(values.text(0), "--perms")?);
            }
            "--size" => {
                if self.next.size.is_some() {
                    return Err(refused("--size given twice for the same action".into(), "leave one of them out"));
                }
                self.next.size = Some(size(values.text(0))?);
            }
            _ => self.operation(values)?,
        }
        Ok(())
    }

    /// An operation on the view.
    fn operation(&mut self, values: &Values<'_>) -> Result<()> {
        match values.name {
            "--bind" => self.bind(values, Access::Writable, false),
            "--bind-try" => self.bind(values, Access::Writable, true),
            "--dev-bind" => self.bind(values, Access::Devices, false),
            "--dev-bind-try" => self.bind(values, Access::Devices, true),
            "--ro-bind" => self.bind(values, Access::ReadOnly, false),
            "--ro-bind-try" => self.bind(values, Access::ReadOnly, true),
            "--bind-fd" | "--ro-bind-fd" => {
                let source = Source::Descriptor(descriptor(values.text(0))?);
                let access = if values.name == "--bind-fd" { Access::Writable } else { Access::ReadOnly };
                self.mount(values, 1, Make::Bind { source, access, optional: false, tolerant: false })
            }
            "--remount-ro" => self.mount(values, 0, Make::RemountReadOnly),
            "--overlay-src" => {
                self.next.overlay.push(values.path(0)?);
                Ok(())
            }
            "--overlay" => {
                let upper = Upper::Host { upper: values.path(0)?, work: values.path(1)? };
                self.overlay(values, 1, 2, upper)
            }
            "--tmp-overlay" => self.overlay(values, 1, 0, Upper::Memory),
            "--ro-overlay" => self.overlay(values, 2, 0, Upper::None),
            "--proc" => self.mount(values, 0, Make::Proc),
            "--dev" => self.mount(values, 0, Make::Dev { console: None }),
            "--tmpfs" => {
                let (mode, size) = (self.permissions(0o755), self.next.size.take());
                self.mount(values, 0, Make::Tmpfs { mode, size })
            }
            "--mqueue" => self.mount(values, 0, Make::Mqueue),
            "--dir" => {
                let mode = self.permissions(0o755);
                self.mount(values, 0, Make::Dir { mode })
            }
            "--file" => {
                let (fd, mode) = (descriptor(values.text(0))?, self.permissions(0o666));
                self.mount(values, 1, Make::File { fd, mode })
            }
            "--bind-data" | "--ro-bind-data" => {
                let (fd, mode) = (descriptor(values.text(0))?, self.permissions(0o600));
                let read_only = values.name == "--ro-bind-data";
                self.mount(values, 1, Make::BindData { fd, mode, read_only })
            }
            "--symlink" => self.mount(values, 1, Make::Symlink { target: values.path(0)? }),
            "--chmod" => {
                let mode = permissions(values.text(0), "--chmod")?;
                self.mount(values, 1, Make::Chmod { mode })
            }
            other => Err(unknown(OsStr::new(other))),
        }
    }

    fn arguments(&mut self, fd: i32) -> Result<()> {
        let data = self.inputs.read(fd).map_err(|errno| {
            refused(
                format!("Can't read --args data: {}", plain(errno)),
                &format!("descriptor {fd} must be open for reading, and is closed when it has been read"),
            )
        })?;
        let data = data.strip_suffix(b"\0").unwrap_or(&data);
        let args = match data {
            b"" => Vec::new(),
            data => data.split(|byte| *byte == 0).map(|arg| OsString::from_vec(arg.to_vec())).collect(),
        };
        self.all(args, true).map(drop)
    }

    /// `--setenv` and `--unsetenv`, with the errors of setenv(3) and unsetenv(3).
    fn environment(&mut self, values: &Values<'_>) -> Result<()> {
        let name = values.text(0);
        let set = values.name == "--setenv";
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            let call = if set { "setenv failed" } else { "unsetenv failed" };
            return Err(refused(call.into(), &format!("`{}` is no name of a variable", name.display())));
        }
        let environment = &mut self.options.environment;
        let at = environment.iter().position(|(known, _)| known == name);
        match (set, at) {
            (true, Some(at)) => {
                if let Some((_, value)) = environment.get_mut(at) {
                    *value = values.text(1).to_owned();
                }
            }
            (true, None) => environment.push((name.to_owned(), values.text(1).to_owned())),
            (false, _) => environment.retain(|(known, _)| known != name),
        }
        Ok(())
    }
}

/// Reads a seccomp program from a descriptor.
pub(super) fn seccomp_data(inputs: &mut dyn Inputs, fd: i32) -> Result<BpfProgram> {
    let data = inputs.read(fd).map_err(|errno| {
        refused(
            format!("Can't read seccomp data: {}", plain(errno)),
            &format!("descriptor {fd} must be open, and is closed when it has been read"),
        )
    })?;
    filter_from_bytes(&data).ok_or_else(|| {
        let hint = "it is a list of struct sock_filter, such as seccomp_export_bpf(3) writes";
        refused("Invalid seccomp data, must be multiple of 8".into(), hint)
    })
}

/// An errno in the words of strerror(3), as bubblewrap prints it.
pub(super) fn plain(errno: Errno) -> String {
    let text = errno.text();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn unknown(arg: &OsStr) -> Error {
    let text = arg.to_string_lossy();
    let near = crate::profile::schema::nearest(&text, OPTIONS.iter().map(|entry| entry.name));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "--help lists the options; `--` ends them".into(),
    };
    refused(format!("Unknown option {text}"), &hint)
}

fn missing(name: &str, values: &[&str]) -> Error {
    let count = match (values.len(), name) {
        (1, "--argv0" | "--chdir" | "--remount-ro") => "one argument",
        (1, _) => "an argument",
        (2, _) => "two arguments",
        _ => "three arguments",
    };
    refused(format!("{name} takes {count}"), &format!("write {name} {}", values.join(" ")))
}

/// A path, which is relative to `cwd` if it is not absolute.
pub(super) fn absolute(cwd: &Path, path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { cwd.join(path) }
}
