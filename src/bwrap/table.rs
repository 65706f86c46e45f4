//! The table of options: name, values, and a line of help.

/// An option of the command line.
pub struct Entry {
    /// Its name, with dashes.
    pub name: &'static str,
    /// Names of its values, such as `SRC`.
    pub values: &'static [&'static str],
    /// What it does, for `--help` and sbx-bwrap(1).
    pub help: &'static str,
}

const fn entry(name: &'static str, values: &'static [&'static str], help: &'static str) -> Entry {
    Entry { name, values, help }
}

/// All options, in the order of `--help`.
pub const OPTIONS: &[Entry] = &[
    entry("--help", &[], "Show this text"),
    entry("--version", &[], "Show the version of bubblewrap that this stands for"),
    entry("--args", &["FD"], "Read further options from FD, each ended by a NUL byte"),
    entry("--argv0", &["VALUE"], "What COMMAND gets as its own name"),
    entry("--level-prefix", &[], "Messages begin with <3> (errors) or <4> (warnings)"),
    entry("--unshare-all", &[], "All namespaces below; user and cgroup ones if the host has them"),
    entry("--share-net", &[], "Undo --unshare-net, or that part of --unshare-all"),
    entry("--unshare-user", &[], "A user namespace (always there unless root runs this)"),
    entry("--unshare-user-try", &[], "Like --unshare-user, if the host allows it"),
    entry("--unshare-ipc", &[], "An ipc namespace"),
    entry("--unshare-pid", &[], "A pid namespace"),
    entry("--unshare-net", &[], "A network namespace with a loopback interface"),
    entry("--unshare-uts", &[], "A uts namespace (host name)"),
    entry("--unshare-cgroup", &[], "A cgroup namespace"),
    entry("--unshare-cgroup-try", &[], "Like --unshare-cgroup, if the kernel has it"),
    entry("--userns", &["FD"], "Join this user namespace"),
    entry("--userns2", &["FD"], "Join this user namespace once the filesystem is set up"),
    entry("--disable-userns", &[], "No user namespaces inside (with --unshare-user)"),
    entry("--assert-userns-disabled", &[], "Fail if user namespaces can be made inside"),
    entry("--pidns", &["FD"], "Join this pid namespace; --unshare-pid then makes one below it"),
    entry("--uid", &["UID"], "User id inside"),
    entry("--gid", &["GID"], "Group id inside"),
    entry("--hostname", &["NAME"], "Host name inside (with --unshare-uts)"),
    entry("--chdir", &["DIR"], "Start COMMAND in DIR"),
    entry("--clearenv", &[], "Remove all variables from the environment"),
    entry("--setenv", &["VAR", "VALUE"], "Set a variable"),
    entry("--unsetenv", &["VAR"], "Remove a variable"),
    entry("--lock-file", &["DEST"], "Hold a read lock on DEST until the sandbox ends"),
    entry("--sync-fd", &["FD"], "Keep FD open until the sandbox ends; may be repeated"),
    entry("--bind", &["SRC", "DEST"], "Show the host's SRC at DEST"),
    entry("--bind-try", &["SRC", "DEST"], "Like --bind, if SRC exists"),
    entry("--dev-bind", &["SRC", "DEST"], "Like --bind, with device files that can be opened"),
    entry("--dev-bind-try", &["SRC", "DEST"], "Like --dev-bind, if SRC exists"),
    entry("--ro-bind", &["SRC", "DEST"], "Like --bind, read-only with all that is mounted below SRC"),
    entry("--ro-bind-try", &["SRC", "DEST"], "Like --ro-bind, if SRC exists"),
    entry("--bind-fd", &["FD", "DEST"], "Show the file or directory that FD refers to at DEST"),
    entry("--ro-bind-fd", &["FD", "DEST"], "Like --bind-fd, read-only"),
    entry("--remount-ro", &["DEST"], "Make the mount at DEST read-only, but not mounts below it"),
    entry("--overlay-src", &["SRC"], "A lower directory for the overlay that follows; the first is the lowest"),
    entry("--overlay", &["RWSRC", "WORKDIR", "DEST"], "An overlay with its changes in RWSRC"),
    entry("--tmp-overlay", &["DEST"], "An overlay with its changes in memory"),
    entry("--ro-overlay", &["DEST"], "A read-only overlay"),
    entry("--exec-label", &["LABEL"], "SELinux context of COMMAND"),
    entry("--file-label", &["LABEL"], "SELinux context of what is made for the sandbox"),
    entry("--proc", &["DEST"], "A procfs"),
    entry("--dev", &["DEST"], "A /dev with only the usual devices"),
    entry("--tmpfs", &["DEST"], "An empty directory in memory"),
    entry("--mqueue", &["DEST"], "POSIX message queues"),
    entry("--dir", &["DEST"], "A directory"),
    entry("--file", &["FD", "DEST"], "A file with the content of FD"),
    entry("--bind-data", &["FD", "DEST"], "Like --file, mounted over what is there"),
    entry("--ro-bind-data", &["FD", "DEST"], "Like --bind-data, read-only"),
    entry("--symlink", &["SRC", "DEST"], "A symbolic link with the text SRC"),
    entry("--seccomp", &["FD"], "A seccomp program for COMMAND"),
    entry("--add-seccomp-fd", &["FD"], "Like --seccomp; may be repeated"),
    entry("--block-fd", &["FD"], "Wait for a byte on FD before COMMAND starts"),
    entry("--userns-block-fd", &["FD"], "Let others write the id maps, and wait for a byte on FD"),
    entry("--info-fd", &["FD"], "Write the process id and the namespaces to FD, as JSON"),
    entry("--json-status-fd", &["FD"], "Like --info-fd, then the exit status, one line each"),
    entry("--new-session", &[], "A session without a terminal"),
    entry("--die-with-parent", &[], "End when the caller ends"),
    entry("--as-pid-1", &[], "COMMAND is PID 1 itself (with --unshare-pid)"),
    entry("--cap-add", &["CAP"], "Give COMMAND a capability, or ALL"),
    entry("--cap-drop", &["CAP"], "Take a capability from COMMAND, or ALL"),
    entry("--perms", &["OCTAL"], "Permissions of what the next option creates"),
    entry("--size", &["BYTES"], "Size of the next --tmpfs"),
    entry("--chmod", &["OCTAL", "PATH"], "Change permissions of PATH, which exists"),
    entry("--not-a-security-boundary", &[], "Go on where flags of mounts inside a bind cannot be set"),
];

/// The text of `--help`. It begins with the name that the program was called by, which some callers look for.
pub(super) fn help(name: &str) -> String {
    use std::fmt::Write;
    let mut text = format!("usage: {name} [OPTIONS...] [--] COMMAND [ARGS...]\n\n");
    for entry in OPTIONS {
        let form = format!("{} {}", entry.name, entry.values.join(" "));
        let _ = writeln!(text, "    {:<29}{}", form.trim_end(), entry.help);
    }
    text.push_str(
        "\nOptions are carried out in their order. sbx-bwrap(1), of sbx, tells where it is stricter than bubblewrap.\n",
    );
    text
}
