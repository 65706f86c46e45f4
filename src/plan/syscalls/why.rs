//! Reasons why a call is not allowed in every policy: a line for each, for the person whose program was refused
//! something.

macro_rules! reasons {
    ($($name:ident = $text:literal,)*) => {
        /// The reason why a call is not allowed in every policy, whatever its arguments are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Why {
            /// The call is allowed in every policy.
            Nothing,
            $(#[doc = $text] $name,)*
        }

        impl Why {
            /// The reason in one line; empty if nothing is refused.
            pub const fn text(self) -> &'static str {
                match self { Why::Nothing => "", $(Why::$name => $text,)* }
            }
        }
    };
}

reasons! {
    Acct = "process accounting is the host's",
    Aio = "strict: the kernel's old asynchronous input and output, which few programs use",
    Bpf = "loads programs into the kernel",
    Cachestat = "tells which parts of a file others have read, in its first kernels without asking for rights; programs fall back to mincore",
    Chroot = "needs a capability; allowed where nested namespaces are, which give it",
    Clock = "the clock is the host's",
    ClockRate = "strict: how the host's clock is kept; elsewhere reading it is allowed and the kernel refuses changes",
    Clone3 = "its flags lie behind a pointer; absent without nested namespaces, so that libraries fall back to clone",
    Fcntl = "no leases (F_SETLEASE): one on a file that is shown, even read-only, stalls who writes to it outside",
    Fanotify = "watches whole file systems; programs fall back to inotify",
    HostName = "needs a capability; allowed where nested namespaces are, which give it",
    Ids = "strict: a small tool has no other identities to take",
    IoUring = "does what other calls do unseen by any filter, and had many holes; programs fall back",
    Ioctl = "TIOCSTI and TIOCLINUX put input into the caller's terminal",
    Kcmp = "only files are compared, as graphics drivers do; the rest is for debuggers",
    Keyring = "the user's keyrings are reached by the user's id, which the sandbox has",
    Ldt = "16-bit code; only 32-bit programs may (Wine)",
    Lsm = "strict: security modules are not a small tool's matter",
    MemfdSecret = "strict: memory that the kernel cannot see, and that keeps the machine from hibernating",
    Mount = "needs a capability; allowed where mounts in nested namespaces are, which give it",
    MountList = "strict: new, and programs fall back to /proc/self/mountinfo",
    Module = "loads code into the kernel",
    NameToHandle = "strict: handles outlive permissions; programs do without",
    Namespaces = "a new namespace gives capabilities and with them more of the kernel; allowed where nested namespaces are",
    Numa = "placement of memory on nodes is the host's matter; libnuma then sees a machine without nodes",
    Openat2 = "its mode lies behind a pointer, see chmod; absent, so that programs fall back to openat",
    Obsolete = "not in today's kernels, or replaced long ago",
    OpenByHandle = "opens files outside of the view by their number",
    OtherProcess = "strict: acts on other processes' memory",
    Perf = "measures other processes and the kernel; had many holes (allow `@debug`)",
    Personality = "only Linux's own and uname's forms; others weaken the address space (fixed addresses: allow `ptrace`)",
    PidfdGetfd = "takes descriptors out of other processes (allow `@debug`)",
    ProcessMemory = "reads and writes other processes' memory (allow `@debug`)",
    Ptrace = "controls other processes (allow `@debug`)",
    Quota = "quotas are the host's",
    Rlimits = "rlimits.core stays as the profile has it, since only 1 keeps core dumps from a handler outside; setting it does nothing",
    RawIo = "reaches hardware past its drivers",
    Reboot = "ends or replaces the host's kernel",
    Remap = "strict: replaced by mmap long ago",
    Scheduling = "strict: priorities against other programs",
    Setns = "enters other namespaces; allowed where nested namespaces are",
    SetuidBits = "no set-user-ID and set-group-ID bits: such a file stays, and gives the caller's rights to whoever starts it",
    Socket = "only the families of everyday use: unix, inet, inet6, and netlink for routes and devices",
    Socketcall = "its arguments lie behind a pointer, and 32-bit libraries have no other way to make a socket; strict: refused",
    Sockopt = "not the options of firewalls, routing and IPsec, which a network namespace of its own opens and which had many holes",
    Socketpair = "only unix sockets come in pairs",
    Swap = "swap space is the host's",
    Syslog = "the kernel's log tells addresses and the host's events",
    Userfaultfd = "holds the kernel in the middle of a copy, which exploits need",
    Vhangup = "hangs up the caller's terminal",
    Vm86 = "runs 16-bit code in a mode of its own",
    Vmsplice = "lends pages that other processes then see change",
    Xattr = "where root outside has another id inside, a nested namespace could give a file capabilities that hold outside",
}
