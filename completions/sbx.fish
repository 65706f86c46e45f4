# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sbx_global_optspecs
    string join \n profile= set= ro= rw= from= open overlay= upper= upper-size= tmpfs= tmpfs-size= mask= hide= deny= home= e/env= net= ask-network p/publish= forward= share= device= u/user= C/cwd= h/hostname= tty= timeout= m/memory= pids-limit= cpus= memory-swap= memory-reservation= c/cpu-shares= cpuset-cpus= cpuset-mems= blkio-weight= device-read-bps= device-write-bps= device-read-iops= device-write-iops= stats= as-pid-1 keep-fd= no-project help v/volume= mount= env-file= network= network-alias= ip6= ipc= pid= uts= domainname= read-only cap-add= cap-drop= security-opt= t/terminal i/interactive init ulimit= expose= P/publish-all privileged status-fd= receipt= network-log= q/quiet d/detach name= cidfile= rm replace log-driver= log-opt= restart= l/label= stop-signal= stop-timeout= detach-keys= V/version
end

function __fish_sbx_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sbx_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sbx_using_subcommand
    set -l cmd (__fish_sbx_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sbx -n "__fish_sbx_needs_command" -l profile -d 'Profile: a name (see `sbx profile list`) or a file; if not given, the one for the program, else `default`' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l set -d 'Set any key of the profile, e.g. --set rlimits.nofile=256' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l ro -d 'Show a path read-only; options may follow: PATH,optional PATH,noexec' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l rw -d 'Show a path writable; options may follow: PATH,create PATH,optional PATH,noexec PATH,exclusive' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l from -d 'Show this file or directory at the path of the --ro, --rw or --overlay before it' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l overlay -d 'Show a directory with changes kept in a layer above it; options may follow: PATH,optional PATH,noexec' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l upper -d 'What becomes of changes in overlays: discard, keep:NAME or ask' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l upper-size -d 'Limit of the size of changes in overlays, in bytes, or with K, M, G' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l tmpfs -d 'Put an empty directory in memory at a path' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l tmpfs-size -d 'Limit of the size of each of the sandbox\'s filesystems in memory, in bytes, or with K, M, G' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l mask -d 'Mask a path: an empty file or directory is there instead' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l hide -d 'Hide a path: it does not exist inside (ENOENT)' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l deny -d 'Deny a path: it cannot be opened (EACCES)' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l home -d 'The home: tmpfs (in memory), or private:NAME, which is kept for the next run with that name' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -s e -l env -d 'Set an environment variable, or without a value pass the caller\'s (NAME* passes all that begin with NAME)' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l net -d 'Network: none, private (its own, by pasta or slirp4netns), host, net:NAME (shared with others), or join:PID (a running sandbox\'s)' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -s p -l publish -d 'Reach a server of a private network at a port of the host; a HOST of 0 is any free port' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l forward -d 'Reach a port of the host\'s loopback in a private network: PORT or HOST:INSIDE' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l share -d 'Share a namespace with the host: ipc, uts, pid, cgroup, time; net is shared by --net host' -r -f -a "ipc\t''
uts\t''
pid\t''
cgroup\t''
time\t''"
complete -c sbx -n "__fish_sbx_needs_command" -l device -d 'Allow a device: gpu, audio, camera, input, fuse, kvm, tun, or a path below /dev' -r -f -a "gpu\t''
audio\t''
camera\t''
input\t''
fuse\t''
kvm\t''
tun\t''"
complete -c sbx -n "__fish_sbx_needs_command" -s u -l user -d 'User and group ids inside: self, root, UID:GID, keep-id, or range' -r -f -a "self\t''
root\t''
keep-id\t''
range\t''"
complete -c sbx -n "__fish_sbx_needs_command" -s C -l cwd -l workdir -d 'Directory to start in' -r -f -a "(__fish_complete_directories)"
complete -c sbx -n "__fish_sbx_needs_command" -s h -l hostname -d 'Host name inside' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l tty -d 'Terminal: auto, pty (a new one even if no stream is one, in place of pipes and files), inherit or none' -r -f -a "auto\t''
pty\t''
inherit\t''
none\t''"
complete -c sbx -n "__fish_sbx_needs_command" -l timeout -d 'End the program after this time, e.g. 90s or 10m' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -s m -l memory -d 'Memory limit, in bytes, or with K, M, G; `max` is none' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l pids-limit -d 'Limit of the number of processes and threads' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l cpus -d 'CPU limit, in CPUs, e.g. 1.5' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l memory-swap -d 'Memory and swap space together, as --set limits.swap_max for what is left of --memory; -1 is no limit' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l memory-reservation -d 'Memory that is spared as long as others have some to give, as --set limits.memory_low' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -s c -l cpu-shares -d 'Share of the processors, as --set limits.cpu_weight; 1024 is usual' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l cpuset-cpus -d 'Processors that may be used, as --set limits.cpus' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l cpuset-mems -d 'Memory nodes that may be used, as --set limits.mems' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l blkio-weight -d 'Share of the disks, as --set limits.io_weight; from 10 to 1000' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l device-read-bps -d 'Bytes a second that may be read from a disk, as --set limits.io_max' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l device-write-bps -d 'Bytes a second that may be written to a disk' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l device-read-iops -d 'Reads from a disk a second' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l device-write-iops -d 'Writes to a disk a second' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l stats -d 'Print usage at exit, as text or json; SIGUSR1 prints it now' -r -f -a "text\t''
json\t''"
complete -c sbx -n "__fish_sbx_needs_command" -l keep-fd -d 'Keep a file descriptor open for the program' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -s v -l volume -d 'Show a file or directory of the host at a path: HOST:PATH, or HOST:PATH:ro' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l mount -d 'The same as type=bind,source=HOST,target=PATH with or without ,readonly, or an empty directory in memory as type=tmpfs,target=PATH' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l env-file -d 'Set the environment variables that a file names in lines NAME=VALUE; --env counts more' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l network -d 'The network, as --net: none, host, private (bridge, pasta and slirp4netns mean that, too), container:NAME, that of a running sandbox, or the name of one of `sbx network`' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l network-alias -d 'A name by which others in the network find the sandbox' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l ip6 -d 'The address of IPv6 that the sandbox has in the network, as --set network.ip6' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l ipc -d 'Shared memory and message queues: private, or host, as --share ipc' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_needs_command" -l pid -d 'Processes: private, or host, as --share pid' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_needs_command" -l uts -d 'Host name: private, or host, as --share uts' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_needs_command" -l domainname -d 'NIS domain name inside, as --set process.domainname' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l cap-add -d 'Give the program a capability in the sandbox\'s own namespaces, as --set security.capabilities' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l cap-drop -d 'Take a capability away that a profile gives, or ALL' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l security-opt -d 'seccomp=unconfined, as --set security.seccomp=off, or mask=PATH, as --mask; accepted: no-new-privileges, label=disable, apparmor=unconfined' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l ulimit -d 'A limit of the kernel\'s, as --set rlimits.NAME' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l expose -d 'Ports that the program listens at, which --publish-all publishes' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l status-fd -d 'Write a JSON line for each event to a file descriptor' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l receipt -d 'Write as JSON what enforces each line of the profile, and what is not enforced, to a file or a file descriptor' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l network-log -d 'Write as JSON lines what the rules on a private network refuse, and whom, to the end of a file or to a file descriptor' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l name -d 'Name of the sandbox, for `sbx ps`, `sbx stop` and the like; with --detach, a random one if none is given' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l cidfile -d 'Write the id of the sandbox, which has a record then, to a new file or a file descriptor once the program runs' -r -F
complete -c sbx -n "__fish_sbx_needs_command" -l log-driver -d 'What becomes of the output of a program in the background: file or journald (`sbx logs` shows it), none, or passthrough' -r -f -a "file\t''
k8s-file\t''
json-file\t''
journald\t''
none\t''
passthrough\t''"
complete -c sbx -n "__fish_sbx_needs_command" -l log-opt -d 'Size of each of the two files of the log: max-size=10M' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l restart -d 'Start a program in the background again when it has ended: no, on-failure, on-failure:N, always, unless-stopped' -r -f -a "no\t''
on-failure\t''
always\t''
unless-stopped\t''"
complete -c sbx -n "__fish_sbx_needs_command" -s l -l label -d 'Add a label to the record' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l stop-signal -d 'Signal by which `sbx stop` asks the program to end (default: TERM)' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l stop-timeout -d 'Seconds until `sbx stop` ends the program by SIGKILL (default: 10)' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l detach-keys -d 'Keys by which `sbx attach` and its like leave the program to go on (default: ctrl-p,ctrl-q); an empty text is none' -r -f
complete -c sbx -n "__fish_sbx_needs_command" -l open -d 'Show files that are named as arguments of the program, read-only'
complete -c sbx -n "__fish_sbx_needs_command" -l ask-network -d 'Ask about names that the rules of a private network have no line for, on the terminal or by a notification'
complete -c sbx -n "__fish_sbx_needs_command" -l as-pid-1 -d 'Run the program as PID 1, without sbx\'s init'
complete -c sbx -n "__fish_sbx_needs_command" -l no-project -d 'Ignore each .sbx.toml, in the current directory and above'
complete -c sbx -n "__fish_sbx_needs_command" -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_needs_command" -l read-only -d 'Show the root directory read-only where a profile shows it writable'
complete -c sbx -n "__fish_sbx_needs_command" -s t -l terminal -d 'A terminal of the program\'s own, as --tty pty'
complete -c sbx -n "__fish_sbx_needs_command" -s i -l interactive -d 'Accepted: the program has the caller\'s standard input'
complete -c sbx -n "__fish_sbx_needs_command" -l init -d 'Accepted: sbx has an init'
complete -c sbx -n "__fish_sbx_needs_command" -s P -l publish-all -d 'Publish each port that --expose names at any free port of the host\'s loopback'
complete -c sbx -n "__fish_sbx_needs_command" -l privileged -d 'Refused: sbx gives no program such rights'
complete -c sbx -n "__fish_sbx_needs_command" -s q -l quiet -d 'Print no notes, e.g. about optional parts that are missing'
complete -c sbx -n "__fish_sbx_needs_command" -s d -l detach -d 'Run in the background: print the sandbox\'s id once the program has started'
complete -c sbx -n "__fish_sbx_needs_command" -l rm -d 'Remove the record of the sandbox when the program has ended'
complete -c sbx -n "__fish_sbx_needs_command" -l replace -d 'Remove a sandbox that has the name; one that runs is ended first'
complete -c sbx -n "__fish_sbx_needs_command" -s V -l version -d 'Print version'
complete -c sbx -n "__fish_sbx_needs_command" -a "run" -d 'Run a program in a sandbox (the default)'
complete -c sbx -n "__fish_sbx_needs_command" -a "plan" -d 'Print what a run would do, and do nothing'
complete -c sbx -n "__fish_sbx_needs_command" -a "check" -d 'Try what this host and this user can do, and say how to fix what does not work'
complete -c sbx -n "__fish_sbx_needs_command" -a "profile" -d 'List, show and check profiles'
complete -c sbx -n "__fish_sbx_needs_command" -a "selftest" -d 'Try from inside a sandbox what a hostile program would try'
complete -c sbx -n "__fish_sbx_needs_command" -a "homes" -d 'List the private homes that are kept, or remove some'
complete -c sbx -n "__fish_sbx_needs_command" -a "diff" -d 'Show what differs in upper layers from the host'
complete -c sbx -n "__fish_sbx_needs_command" -a "commit" -d 'Put changes of upper layers onto the host'
complete -c sbx -n "__fish_sbx_needs_command" -a "discard" -d 'Remove upper layers, with all changes in them'
complete -c sbx -n "__fish_sbx_needs_command" -a "export" -d 'Write the changes in upper layers to a tar file, as a layer of an OCI image'
complete -c sbx -n "__fish_sbx_needs_command" -a "uppers" -d 'List the upper layers that are kept'
complete -c sbx -n "__fish_sbx_needs_command" -a "snapshot" -d 'Freeze upper layers: what they hold now stays, and `diff` goes on to compare with the host'
complete -c sbx -n "__fish_sbx_needs_command" -a "fork" -d 'Make upper layers of another name that begin with what these hold now'
complete -c sbx -n "__fish_sbx_needs_command" -a "network" -d 'Make, list and remove networks that sandboxes share, connect running sandboxes to them, and let these reach more'
complete -c sbx -n "__fish_sbx_needs_command" -a "ps" -d 'List sandboxes that run in the background or have a name'
complete -c sbx -n "__fish_sbx_needs_command" -a "create" -d 'Make the record of a sandbox, and start it later'
complete -c sbx -n "__fish_sbx_needs_command" -a "start" -d 'Start sandboxes that were created, or have ended, in the background'
complete -c sbx -n "__fish_sbx_needs_command" -a "restart" -d 'End sandboxes, and start them again'
complete -c sbx -n "__fish_sbx_needs_command" -a "exec" -d 'Execute a further program in a running sandbox'
complete -c sbx -n "__fish_sbx_needs_command" -a "attach" -d 'Be in front of the program of a sandbox in the background, until it ends or the keys ctrl-p ctrl-q are typed'
complete -c sbx -n "__fish_sbx_needs_command" -a "logs" -d 'Print what the program of a sandbox in the background has written'
complete -c sbx -n "__fish_sbx_needs_command" -a "inspect" -d 'Print all that is known of sandboxes, as JSON'
complete -c sbx -n "__fish_sbx_needs_command" -a "stop" -d 'End sandboxes: by SIGTERM, and after a time by SIGKILL'
complete -c sbx -n "__fish_sbx_needs_command" -a "kill" -d 'Send a signal to the programs of sandboxes'
complete -c sbx -n "__fish_sbx_needs_command" -a "wait" -d 'Wait until sandboxes have ended, and print their exit statuses'
complete -c sbx -n "__fish_sbx_needs_command" -a "rm" -d 'Remove the records of sandboxes that have ended'
complete -c sbx -n "__fish_sbx_needs_command" -a "prune" -d 'Remove the records of all sandboxes that have ended'
complete -c sbx -n "__fish_sbx_needs_command" -a "rename" -d 'Give a sandbox another name'
complete -c sbx -n "__fish_sbx_needs_command" -a "generate" -d 'Print a unit of systemd\'s for a sandbox'
complete -c sbx -n "__fish_sbx_needs_command" -a "pause" -d 'Freeze all processes of sandboxes, by their cgroups'
complete -c sbx -n "__fish_sbx_needs_command" -a "unpause" -d 'Have frozen sandboxes go on'
complete -c sbx -n "__fish_sbx_needs_command" -a "top" -d 'List the processes of a sandbox'
complete -c sbx -n "__fish_sbx_needs_command" -a "cp" -d 'Copy files between the host and a running sandbox'
complete -c sbx -n "__fish_sbx_needs_command" -a "stats" -d 'Print what sandboxes use: processor time, memory, data, processes'
complete -c sbx -n "__fish_sbx_needs_command" -a "update" -d 'Give a sandbox other limits, now and for its next start'
complete -c sbx -n "__fish_sbx_needs_command" -a "port" -d 'Print at which ports of the host servers in sandboxes are reached'
complete -c sbx -n "__fish_sbx_needs_command" -a "events" -d 'Print what has happened to sandboxes, and goes on to happen'
complete -c sbx -n "__fish_sbx_needs_command" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l profile -d 'Profile: a name (see `sbx profile list`) or a file; if not given, the one for the program, else `default`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l set -d 'Set any key of the profile, e.g. --set rlimits.nofile=256' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l ro -d 'Show a path read-only; options may follow: PATH,optional PATH,noexec' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l rw -d 'Show a path writable; options may follow: PATH,create PATH,optional PATH,noexec PATH,exclusive' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l from -d 'Show this file or directory at the path of the --ro, --rw or --overlay before it' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l overlay -d 'Show a directory with changes kept in a layer above it; options may follow: PATH,optional PATH,noexec' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l upper -d 'What becomes of changes in overlays: discard, keep:NAME or ask' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l upper-size -d 'Limit of the size of changes in overlays, in bytes, or with K, M, G' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l tmpfs -d 'Put an empty directory in memory at a path' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l tmpfs-size -d 'Limit of the size of each of the sandbox\'s filesystems in memory, in bytes, or with K, M, G' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l mask -d 'Mask a path: an empty file or directory is there instead' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l hide -d 'Hide a path: it does not exist inside (ENOENT)' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l deny -d 'Deny a path: it cannot be opened (EACCES)' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l home -d 'The home: tmpfs (in memory), or private:NAME, which is kept for the next run with that name' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -s e -l env -d 'Set an environment variable, or without a value pass the caller\'s (NAME* passes all that begin with NAME)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l net -d 'Network: none, private (its own, by pasta or slirp4netns), host, net:NAME (shared with others), or join:PID (a running sandbox\'s)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -s p -l publish -d 'Reach a server of a private network at a port of the host; a HOST of 0 is any free port' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l forward -d 'Reach a port of the host\'s loopback in a private network: PORT or HOST:INSIDE' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l share -d 'Share a namespace with the host: ipc, uts, pid, cgroup, time; net is shared by --net host' -r -f -a "ipc\t''
uts\t''
pid\t''
cgroup\t''
time\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l device -d 'Allow a device: gpu, audio, camera, input, fuse, kvm, tun, or a path below /dev' -r -f -a "gpu\t''
audio\t''
camera\t''
input\t''
fuse\t''
kvm\t''
tun\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -s u -l user -d 'User and group ids inside: self, root, UID:GID, keep-id, or range' -r -f -a "self\t''
root\t''
keep-id\t''
range\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -s C -l cwd -l workdir -d 'Directory to start in' -r -f -a "(__fish_complete_directories)"
complete -c sbx -n "__fish_sbx_using_subcommand run" -s h -l hostname -d 'Host name inside' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l tty -d 'Terminal: auto, pty (a new one even if no stream is one, in place of pipes and files), inherit or none' -r -f -a "auto\t''
pty\t''
inherit\t''
none\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l timeout -d 'End the program after this time, e.g. 90s or 10m' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -s m -l memory -d 'Memory limit, in bytes, or with K, M, G; `max` is none' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l pids-limit -d 'Limit of the number of processes and threads' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l cpus -d 'CPU limit, in CPUs, e.g. 1.5' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l memory-swap -d 'Memory and swap space together, as --set limits.swap_max for what is left of --memory; -1 is no limit' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l memory-reservation -d 'Memory that is spared as long as others have some to give, as --set limits.memory_low' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -s c -l cpu-shares -d 'Share of the processors, as --set limits.cpu_weight; 1024 is usual' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l cpuset-cpus -d 'Processors that may be used, as --set limits.cpus' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l cpuset-mems -d 'Memory nodes that may be used, as --set limits.mems' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l blkio-weight -d 'Share of the disks, as --set limits.io_weight; from 10 to 1000' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l device-read-bps -d 'Bytes a second that may be read from a disk, as --set limits.io_max' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l device-write-bps -d 'Bytes a second that may be written to a disk' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l device-read-iops -d 'Reads from a disk a second' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l device-write-iops -d 'Writes to a disk a second' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l stats -d 'Print usage at exit, as text or json; SIGUSR1 prints it now' -r -f -a "text\t''
json\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l keep-fd -d 'Keep a file descriptor open for the program' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -s v -l volume -d 'Show a file or directory of the host at a path: HOST:PATH, or HOST:PATH:ro' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l mount -d 'The same as type=bind,source=HOST,target=PATH with or without ,readonly, or an empty directory in memory as type=tmpfs,target=PATH' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l env-file -d 'Set the environment variables that a file names in lines NAME=VALUE; --env counts more' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l network -d 'The network, as --net: none, host, private (bridge, pasta and slirp4netns mean that, too), container:NAME, that of a running sandbox, or the name of one of `sbx network`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l network-alias -d 'A name by which others in the network find the sandbox' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l ip6 -d 'The address of IPv6 that the sandbox has in the network, as --set network.ip6' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l ipc -d 'Shared memory and message queues: private, or host, as --share ipc' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l pid -d 'Processes: private, or host, as --share pid' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l uts -d 'Host name: private, or host, as --share uts' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l domainname -d 'NIS domain name inside, as --set process.domainname' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l cap-add -d 'Give the program a capability in the sandbox\'s own namespaces, as --set security.capabilities' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l cap-drop -d 'Take a capability away that a profile gives, or ALL' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l security-opt -d 'seccomp=unconfined, as --set security.seccomp=off, or mask=PATH, as --mask; accepted: no-new-privileges, label=disable, apparmor=unconfined' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l ulimit -d 'A limit of the kernel\'s, as --set rlimits.NAME' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l expose -d 'Ports that the program listens at, which --publish-all publishes' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l status-fd -d 'Write a JSON line for each event to a file descriptor' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l receipt -d 'Write as JSON what enforces each line of the profile, and what is not enforced, to a file or a file descriptor' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l network-log -d 'Write as JSON lines what the rules on a private network refuse, and whom, to the end of a file or to a file descriptor' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l name -d 'Name of the sandbox, for `sbx ps`, `sbx stop` and the like; with --detach, a random one if none is given' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l cidfile -d 'Write the id of the sandbox, which has a record then, to a new file or a file descriptor once the program runs' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -l log-driver -d 'What becomes of the output of a program in the background: file or journald (`sbx logs` shows it), none, or passthrough' -r -f -a "file\t''
k8s-file\t''
json-file\t''
journald\t''
none\t''
passthrough\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l log-opt -d 'Size of each of the two files of the log: max-size=10M' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l restart -d 'Start a program in the background again when it has ended: no, on-failure, on-failure:N, always, unless-stopped' -r -f -a "no\t''
on-failure\t''
always\t''
unless-stopped\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -s l -l label -d 'Add a label to the record' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l stop-signal -d 'Signal by which `sbx stop` asks the program to end (default: TERM)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l stop-timeout -d 'Seconds until `sbx stop` ends the program by SIGKILL (default: 10)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l detach-keys -d 'Keys by which `sbx attach` and its like leave the program to go on (default: ctrl-p,ctrl-q); an empty text is none' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand run" -l open -d 'Show files that are named as arguments of the program, read-only'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l ask-network -d 'Ask about names that the rules of a private network have no line for, on the terminal or by a notification'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l as-pid-1 -d 'Run the program as PID 1, without sbx\'s init'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l no-project -d 'Ignore each .sbx.toml, in the current directory and above'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l read-only -d 'Show the root directory read-only where a profile shows it writable'
complete -c sbx -n "__fish_sbx_using_subcommand run" -s t -l terminal -d 'A terminal of the program\'s own, as --tty pty'
complete -c sbx -n "__fish_sbx_using_subcommand run" -s i -l interactive -d 'Accepted: the program has the caller\'s standard input'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l init -d 'Accepted: sbx has an init'
complete -c sbx -n "__fish_sbx_using_subcommand run" -s P -l publish-all -d 'Publish each port that --expose names at any free port of the host\'s loopback'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l privileged -d 'Refused: sbx gives no program such rights'
complete -c sbx -n "__fish_sbx_using_subcommand run" -s q -l quiet -d 'Print no notes, e.g. about optional parts that are missing'
complete -c sbx -n "__fish_sbx_using_subcommand run" -s d -l detach -d 'Run in the background: print the sandbox\'s id once the program has started'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l rm -d 'Remove the record of the sandbox when the program has ended'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l replace -d 'Remove a sandbox that has the name; one that runs is ended first'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l profile -d 'Profile: a name (see `sbx profile list`) or a file; if not given, the one for the program, else `default`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l set -d 'Set any key of the profile, e.g. --set rlimits.nofile=256' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l ro -d 'Show a path read-only; options may follow: PATH,optional PATH,noexec' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l rw -d 'Show a path writable; options may follow: PATH,create PATH,optional PATH,noexec PATH,exclusive' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l from -d 'Show this file or directory at the path of the --ro, --rw or --overlay before it' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l overlay -d 'Show a directory with changes kept in a layer above it; options may follow: PATH,optional PATH,noexec' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l upper -d 'What becomes of changes in overlays: discard, keep:NAME or ask' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l upper-size -d 'Limit of the size of changes in overlays, in bytes, or with K, M, G' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l tmpfs -d 'Put an empty directory in memory at a path' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l tmpfs-size -d 'Limit of the size of each of the sandbox\'s filesystems in memory, in bytes, or with K, M, G' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l mask -d 'Mask a path: an empty file or directory is there instead' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l hide -d 'Hide a path: it does not exist inside (ENOENT)' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l deny -d 'Deny a path: it cannot be opened (EACCES)' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l home -d 'The home: tmpfs (in memory), or private:NAME, which is kept for the next run with that name' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s e -l env -d 'Set an environment variable, or without a value pass the caller\'s (NAME* passes all that begin with NAME)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l net -d 'Network: none, private (its own, by pasta or slirp4netns), host, net:NAME (shared with others), or join:PID (a running sandbox\'s)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s p -l publish -d 'Reach a server of a private network at a port of the host; a HOST of 0 is any free port' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l forward -d 'Reach a port of the host\'s loopback in a private network: PORT or HOST:INSIDE' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l share -d 'Share a namespace with the host: ipc, uts, pid, cgroup, time; net is shared by --net host' -r -f -a "ipc\t''
uts\t''
pid\t''
cgroup\t''
time\t''"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l device -d 'Allow a device: gpu, audio, camera, input, fuse, kvm, tun, or a path below /dev' -r -f -a "gpu\t''
audio\t''
camera\t''
input\t''
fuse\t''
kvm\t''
tun\t''"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s u -l user -d 'User and group ids inside: self, root, UID:GID, keep-id, or range' -r -f -a "self\t''
root\t''
keep-id\t''
range\t''"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s C -l cwd -l workdir -d 'Directory to start in' -r -f -a "(__fish_complete_directories)"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s h -l hostname -d 'Host name inside' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l tty -d 'Terminal: auto, pty (a new one even if no stream is one, in place of pipes and files), inherit or none' -r -f -a "auto\t''
pty\t''
inherit\t''
none\t''"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l timeout -d 'End the program after this time, e.g. 90s or 10m' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s m -l memory -d 'Memory limit, in bytes, or with K, M, G; `max` is none' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l pids-limit -d 'Limit of the number of processes and threads' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l cpus -d 'CPU limit, in CPUs, e.g. 1.5' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l memory-swap -d 'Memory and swap space together, as --set limits.swap_max for what is left of --memory; -1 is no limit' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l memory-reservation -d 'Memory that is spared as long as others have some to give, as --set limits.memory_low' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s c -l cpu-shares -d 'Share of the processors, as --set limits.cpu_weight; 1024 is usual' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l cpuset-cpus -d 'Processors that may be used, as --set limits.cpus' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l cpuset-mems -d 'Memory nodes that may be used, as --set limits.mems' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l blkio-weight -d 'Share of the disks, as --set limits.io_weight; from 10 to 1000' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l device-read-bps -d 'Bytes a second that may be read from a disk, as --set limits.io_max' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l device-write-bps -d 'Bytes a second that may be written to a disk' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l device-read-iops -d 'Reads from a disk a second' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l device-write-iops -d 'Writes to a disk a second' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l stats -d 'Print usage at exit, as text or json; SIGUSR1 prints it now' -r -f -a "text\t''
json\t''"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l keep-fd -d 'Keep a file descriptor open for the program' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s v -l volume -d 'Show a file or directory of the host at a path: HOST:PATH, or HOST:PATH:ro' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l mount -d 'The same as type=bind,source=HOST,target=PATH with or without ,readonly, or an empty directory in memory as type=tmpfs,target=PATH' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l env-file -d 'Set the environment variables that a file names in lines NAME=VALUE; --env counts more' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l network -d 'The network, as --net: none, host, private (bridge, pasta and slirp4netns mean that, too), container:NAME, that of a running sandbox, or the name of one of `sbx network`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l network-alias -d 'A name by which others in the network find the sandbox' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l ip6 -d 'The address of IPv6 that the sandbox has in the network, as --set network.ip6' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l ipc -d 'Shared memory and message queues: private, or host, as --share ipc' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l pid -d 'Processes: private, or host, as --share pid' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l uts -d 'Host name: private, or host, as --share uts' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l domainname -d 'NIS domain name inside, as --set process.domainname' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l cap-add -d 'Give the program a capability in the sandbox\'s own namespaces, as --set security.capabilities' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l cap-drop -d 'Take a capability away that a profile gives, or ALL' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l security-opt -d 'seccomp=unconfined, as --set security.seccomp=off, or mask=PATH, as --mask; accepted: no-new-privileges, label=disable, apparmor=unconfined' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l ulimit -d 'A limit of the kernel\'s, as --set rlimits.NAME' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l expose -d 'Ports that the program listens at, which --publish-all publishes' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l status-fd -d 'Accepted as by `run`, without effect' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l receipt -d 'Accepted as by `run`, without effect' -r
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l network-log -d 'Accepted as by `run`, without effect' -r
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l name -d 'Name of the sandbox, for `sbx ps`, `sbx stop` and the like; with --detach, a random one if none is given' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l cidfile -d 'Write the id of the sandbox, which has a record then, to a new file or a file descriptor once the program runs' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l log-driver -d 'What becomes of the output of a program in the background: file or journald (`sbx logs` shows it), none, or passthrough' -r -f -a "file\t''
k8s-file\t''
json-file\t''
journald\t''
none\t''
passthrough\t''"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l log-opt -d 'Size of each of the two files of the log: max-size=10M' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l restart -d 'Start a program in the background again when it has ended: no, on-failure, on-failure:N, always, unless-stopped' -r -f -a "no\t''
on-failure\t''
always\t''
unless-stopped\t''"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s l -l label -d 'Add a label to the record' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l stop-signal -d 'Signal by which `sbx stop` asks the program to end (default: TERM)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l stop-timeout -d 'Seconds until `sbx stop` ends the program by SIGKILL (default: 10)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l detach-keys -d 'Keys by which `sbx attach` and its like leave the program to go on (default: ctrl-p,ctrl-q); an empty text is none' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l open -d 'Show files that are named as arguments of the program, read-only'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l ask-network -d 'Ask about names that the rules of a private network have no line for, on the terminal or by a notification'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l as-pid-1 -d 'Run the program as PID 1, without sbx\'s init'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l no-project -d 'Ignore each .sbx.toml, in the current directory and above'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l read-only -d 'Show the root directory read-only where a profile shows it writable'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s t -l terminal -d 'A terminal of the program\'s own, as --tty pty'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s i -l interactive -d 'Accepted: the program has the caller\'s standard input'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l init -d 'Accepted: sbx has an init'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s P -l publish-all -d 'Publish each port that --expose names at any free port of the host\'s loopback'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l privileged -d 'Refused: sbx gives no program such rights'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l verbose -d 'Print every mount, variable and mechanism, and not only what they come to'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s q -l quiet -d 'Accepted as by `run`, without effect'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -s d -l detach -d 'Run in the background: print the sandbox\'s id once the program has started'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l rm -d 'Remove the record of the sandbox when the program has ended'
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l replace -d 'Remove a sandbox that has the name; one that runs is ended first'
complete -c sbx -n "__fish_sbx_using_subcommand check" -l profile -d 'Check one profile: what of it this host can do' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand check" -l kernel-config -d 'List the options of the kernel\'s that sbx has a use for: of this kernel, or of the one whose configuration FILE (or the variable CONFIG) is' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand check" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from list show check schema help" -f -a "list" -d 'List the profiles'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from list show check schema help" -f -a "show" -d 'Print a profile'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from list show check schema help" -f -a "check" -d 'Check profiles for errors, and for grants that undo the sandbox'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from list show check schema help" -f -a "schema" -d 'Print the JSON schema of the profile language'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from list show check schema help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from show" -l resolved -d 'Print all layers merged into one'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from show" -l origin -d 'Print for each value which line it comes from'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from check" -l strict -d 'Fail if a grant undoes the sandbox and no comment `# accepted: REASON` stands above its line'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from check" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the profiles'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "show" -d 'Print a profile'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check profiles for errors, and for grants that undo the sandbox'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "schema" -d 'Print the JSON schema of the profile language'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l profile -d 'Profile: a name (see `sbx profile list`) or a file; if not given, the one for the program, else `default`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l set -d 'Set any key of the profile, e.g. --set rlimits.nofile=256' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l ro -d 'Show a path read-only; options may follow: PATH,optional PATH,noexec' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l rw -d 'Show a path writable; options may follow: PATH,create PATH,optional PATH,noexec PATH,exclusive' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l from -d 'Show this file or directory at the path of the --ro, --rw or --overlay before it' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l overlay -d 'Show a directory with changes kept in a layer above it; options may follow: PATH,optional PATH,noexec' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l upper -d 'What becomes of changes in overlays: discard, keep:NAME or ask' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l upper-size -d 'Limit of the size of changes in overlays, in bytes, or with K, M, G' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l tmpfs -d 'Put an empty directory in memory at a path' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l tmpfs-size -d 'Limit of the size of each of the sandbox\'s filesystems in memory, in bytes, or with K, M, G' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l mask -d 'Mask a path: an empty file or directory is there instead' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l hide -d 'Hide a path: it does not exist inside (ENOENT)' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l deny -d 'Deny a path: it cannot be opened (EACCES)' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l home -d 'The home: tmpfs (in memory), or private:NAME, which is kept for the next run with that name' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -s e -l env -d 'Set an environment variable, or without a value pass the caller\'s (NAME* passes all that begin with NAME)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l net -d 'Network: none, private (its own, by pasta or slirp4netns), host, net:NAME (shared with others), or join:PID (a running sandbox\'s)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -s p -l publish -d 'Reach a server of a private network at a port of the host; a HOST of 0 is any free port' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l forward -d 'Reach a port of the host\'s loopback in a private network: PORT or HOST:INSIDE' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l share -d 'Share a namespace with the host: ipc, uts, pid, cgroup, time; net is shared by --net host' -r -f -a "ipc\t''
uts\t''
pid\t''
cgroup\t''
time\t''"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l device -d 'Allow a device: gpu, audio, camera, input, fuse, kvm, tun, or a path below /dev' -r -f -a "gpu\t''
audio\t''
camera\t''
input\t''
fuse\t''
kvm\t''
tun\t''"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -s u -l user -d 'User and group ids inside: self, root, UID:GID, keep-id, or range' -r -f -a "self\t''
root\t''
keep-id\t''
range\t''"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -s C -l cwd -l workdir -d 'Directory to start in' -r -f -a "(__fish_complete_directories)"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -s h -l hostname -d 'Host name inside' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l tty -d 'Terminal: auto, pty (a new one even if no stream is one, in place of pipes and files), inherit or none' -r -f -a "auto\t''
pty\t''
inherit\t''
none\t''"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l timeout -d 'End the program after this time, e.g. 90s or 10m' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -s m -l memory -d 'Memory limit, in bytes, or with K, M, G; `max` is none' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l pids-limit -d 'Limit of the number of processes and threads' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l cpus -d 'CPU limit, in CPUs, e.g. 1.5' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l memory-swap -d 'Memory and swap space together, as --set limits.swap_max for what is left of --memory; -1 is no limit' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l memory-reservation -d 'Memory that is spared as long as others have some to give, as --set limits.memory_low' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -s c -l cpu-shares -d 'Share of the processors, as --set limits.cpu_weight; 1024 is usual' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l cpuset-cpus -d 'Processors that may be used, as --set limits.cpus' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l cpuset-mems -d 'Memory nodes that may be used, as --set limits.mems' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l blkio-weight -d 'Share of the disks, as --set limits.io_weight; from 10 to 1000' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l device-read-bps -d 'Bytes a second that may be read from a disk, as --set limits.io_max' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l device-write-bps -d 'Bytes a second that may be written to a disk' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l device-read-iops -d 'Reads from a disk a second' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l device-write-iops -d 'Writes to a disk a second' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l stats -d 'Print usage at exit, as text or json; SIGUSR1 prints it now' -r -f -a "text\t''
json\t''"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l keep-fd -d 'Keep a file descriptor open for the program' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -s v -l volume -d 'Show a file or directory of the host at a path: HOST:PATH, or HOST:PATH:ro' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l mount -d 'The same as type=bind,source=HOST,target=PATH with or without ,readonly, or an empty directory in memory as type=tmpfs,target=PATH' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l env-file -d 'Set the environment variables that a file names in lines NAME=VALUE; --env counts more' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l network -d 'The network, as --net: none, host, private (bridge, pasta and slirp4netns mean that, too), container:NAME, that of a running sandbox, or the name of one of `sbx network`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l network-alias -d 'A name by which others in the network find the sandbox' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l ip6 -d 'The address of IPv6 that the sandbox has in the network, as --set network.ip6' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l ipc -d 'Shared memory and message queues: private, or host, as --share ipc' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l pid -d 'Processes: private, or host, as --share pid' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l uts -d 'Host name: private, or host, as --share uts' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l domainname -d 'NIS domain name inside, as --set process.domainname' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l cap-add -d 'Give the program a capability in the sandbox\'s own namespaces, as --set security.capabilities' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l cap-drop -d 'Take a capability away that a profile gives, or ALL' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l security-opt -d 'seccomp=unconfined, as --set security.seccomp=off, or mask=PATH, as --mask; accepted: no-new-privileges, label=disable, apparmor=unconfined' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l ulimit -d 'A limit of the kernel\'s, as --set rlimits.NAME' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l expose -d 'Ports that the program listens at, which --publish-all publishes' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l open -d 'Show files that are named as arguments of the program, read-only'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l ask-network -d 'Ask about names that the rules of a private network have no line for, on the terminal or by a notification'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l as-pid-1 -d 'Run the program as PID 1, without sbx\'s init'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l no-project -d 'Ignore each .sbx.toml, in the current directory and above'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l read-only -d 'Show the root directory read-only where a profile shows it writable'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -s t -l terminal -d 'A terminal of the program\'s own, as --tty pty'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -s i -l interactive -d 'Accepted: the program has the caller\'s standard input'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l init -d 'Accepted: sbx has an init'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -s P -l publish-all -d 'Publish each port that --expose names at any free port of the host\'s loopback'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l privileged -d 'Refused: sbx gives no program such rights'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l verbose -d 'For each line that held, say how that was seen'
complete -c sbx -n "__fish_sbx_using_subcommand homes" -l remove -d 'Remove this private home, with all that is in it' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand homes" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand diff" -l stat -d 'Print sizes'
complete -c sbx -n "__fish_sbx_using_subcommand diff" -s p -l patch -d 'Print the differences of texts, as a patch that git applies'
complete -c sbx -n "__fish_sbx_using_subcommand diff" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand commit" -s m -l merge -d 'Merge texts that the host has changed, too, where no line was changed by both'
complete -c sbx -n "__fish_sbx_using_subcommand commit" -s n -l dry-run -d 'Change nothing, and say what would be done'
complete -c sbx -n "__fish_sbx_using_subcommand export" -s o -l output -d 'File to write to (default: standard output)' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand export" -s p -l patch -d 'Write a patch that git applies, with files that are no texts, instead of a tar file'
complete -c sbx -n "__fish_sbx_using_subcommand uppers" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand network; and not __fish_seen_subcommand_from create allow connect disconnect ls list inspect rm remove help" -f -a "create" -d 'Make a network, which lives while a sandbox is in it, and is there until it is removed'
complete -c sbx -n "__fish_sbx_using_subcommand network; and not __fish_seen_subcommand_from create allow connect disconnect ls list inspect rm remove help" -f -a "allow" -d 'Let a running sandbox reach more, until its run ends'
complete -c sbx -n "__fish_sbx_using_subcommand network; and not __fish_seen_subcommand_from create allow connect disconnect ls list inspect rm remove help" -f -a "connect" -d 'Connect a running sandbox to a further network, until its run ends'
complete -c sbx -n "__fish_sbx_using_subcommand network; and not __fish_seen_subcommand_from create allow connect disconnect ls list inspect rm remove help" -f -a "disconnect" -d 'Disconnect a running sandbox from a network that it was connected to'
complete -c sbx -n "__fish_sbx_using_subcommand network; and not __fish_seen_subcommand_from create allow connect disconnect ls list inspect rm remove help" -f -a "ls" -d 'List networks'
complete -c sbx -n "__fish_sbx_using_subcommand network; and not __fish_seen_subcommand_from create allow connect disconnect ls list inspect rm remove help" -f -a "list" -d 'List networks'
complete -c sbx -n "__fish_sbx_using_subcommand network; and not __fish_seen_subcommand_from create allow connect disconnect ls list inspect rm remove help" -f -a "inspect" -d 'Print all that is known of networks, and who is in them, as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand network; and not __fish_seen_subcommand_from create allow connect disconnect ls list inspect rm remove help" -f -a "rm" -d 'Remove networks that no sandbox is in'
complete -c sbx -n "__fish_sbx_using_subcommand network; and not __fish_seen_subcommand_from create allow connect disconnect ls list inspect rm remove help" -f -a "remove" -d 'Remove networks that no sandbox is in'
complete -c sbx -n "__fish_sbx_using_subcommand network; and not __fish_seen_subcommand_from create allow connect disconnect ls list inspect rm remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from create" -l subnet -d 'Addresses: a private network of IPv4 (default: the first of 10.89.0.0/24, 10.89.1.0/24 ... that is free), one of IPv6 in fd00::/8, or one of each' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from create" -l gateway -d 'The address by which the outside is reached, of either family (default: the first of the subnet)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from create" -l ipv6 -d 'Addresses of IPv6, too (default: those of IPv4 alone): the subnet of IPv6 that is named, or a random one'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from create" -l internal -d 'Nothing is reached but the other sandboxes in the network'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from connect" -l alias -d 'A further name by which others in the network find the sandbox' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from ls" -l format -d 'Print by a template, as \'{{.Name}} {{.Subnet}}\', or json' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Print names alone'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from ls" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from list" -l format -d 'Print by a template, as \'{{.Name}} {{.Subnet}}\', or json' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print names alone'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a network, which lives while a sandbox is in it, and is there until it is removed'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "allow" -d 'Let a running sandbox reach more, until its run ends'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "connect" -d 'Connect a running sandbox to a further network, until its run ends'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "disconnect" -d 'Disconnect a running sandbox from a network that it was connected to'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List networks'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Print all that is known of networks, and who is in them, as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove networks that no sandbox is in'
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sbx -n "__fish_sbx_using_subcommand ps" -s f -l filter -d 'List only what meets a condition: id=, name=, status=, exited=, profile=, label=, before=, since=' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand ps" -l sort -d 'Order: created (the oldest first), names, id, status, command, profile or runningfor; without it, the newest first' -r -f -a "created\t''
names\t''
id\t''
status\t''
command\t''
profile\t''
image\t''
runningfor\t''"
complete -c sbx -n "__fish_sbx_using_subcommand ps" -l format -d 'Print by a template, such as \'{{.ID}} {{.Names}}\' or \'table {{.ID}}\\t{{.Status}}\', or json' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand ps" -s n -l last -d 'List the N that were made last' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand ps" -s a -l all -d 'List those that have ended, too'
complete -c sbx -n "__fish_sbx_using_subcommand ps" -s q -l quiet -d 'Print ids only'
complete -c sbx -n "__fish_sbx_using_subcommand ps" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand ps" -l no-trunc -d 'Shorten no ids and commands'
complete -c sbx -n "__fish_sbx_using_subcommand ps" -l noheading -d 'Print no head of the table'
complete -c sbx -n "__fish_sbx_using_subcommand ps" -s l -l latest -d 'List the one that was made last'
complete -c sbx -n "__fish_sbx_using_subcommand create" -l profile -d 'Profile: a name (see `sbx profile list`) or a file; if not given, the one for the program, else `default`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l set -d 'Set any key of the profile, e.g. --set rlimits.nofile=256' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l ro -d 'Show a path read-only; options may follow: PATH,optional PATH,noexec' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l rw -d 'Show a path writable; options may follow: PATH,create PATH,optional PATH,noexec PATH,exclusive' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l from -d 'Show this file or directory at the path of the --ro, --rw or --overlay before it' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l overlay -d 'Show a directory with changes kept in a layer above it; options may follow: PATH,optional PATH,noexec' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l upper -d 'What becomes of changes in overlays: discard, keep:NAME or ask' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l upper-size -d 'Limit of the size of changes in overlays, in bytes, or with K, M, G' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l tmpfs -d 'Put an empty directory in memory at a path' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l tmpfs-size -d 'Limit of the size of each of the sandbox\'s filesystems in memory, in bytes, or with K, M, G' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l mask -d 'Mask a path: an empty file or directory is there instead' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l hide -d 'Hide a path: it does not exist inside (ENOENT)' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l deny -d 'Deny a path: it cannot be opened (EACCES)' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l home -d 'The home: tmpfs (in memory), or private:NAME, which is kept for the next run with that name' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -s e -l env -d 'Set an environment variable, or without a value pass the caller\'s (NAME* passes all that begin with NAME)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l net -d 'Network: none, private (its own, by pasta or slirp4netns), host, net:NAME (shared with others), or join:PID (a running sandbox\'s)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -s p -l publish -d 'Reach a server of a private network at a port of the host; a HOST of 0 is any free port' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l forward -d 'Reach a port of the host\'s loopback in a private network: PORT or HOST:INSIDE' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l share -d 'Share a namespace with the host: ipc, uts, pid, cgroup, time; net is shared by --net host' -r -f -a "ipc\t''
uts\t''
pid\t''
cgroup\t''
time\t''"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l device -d 'Allow a device: gpu, audio, camera, input, fuse, kvm, tun, or a path below /dev' -r -f -a "gpu\t''
audio\t''
camera\t''
input\t''
fuse\t''
kvm\t''
tun\t''"
complete -c sbx -n "__fish_sbx_using_subcommand create" -s u -l user -d 'User and group ids inside: self, root, UID:GID, keep-id, or range' -r -f -a "self\t''
root\t''
keep-id\t''
range\t''"
complete -c sbx -n "__fish_sbx_using_subcommand create" -s C -l cwd -l workdir -d 'Directory to start in' -r -f -a "(__fish_complete_directories)"
complete -c sbx -n "__fish_sbx_using_subcommand create" -s h -l hostname -d 'Host name inside' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l tty -d 'Terminal: auto, pty (a new one even if no stream is one, in place of pipes and files), inherit or none' -r -f -a "auto\t''
pty\t''
inherit\t''
none\t''"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l timeout -d 'End the program after this time, e.g. 90s or 10m' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -s m -l memory -d 'Memory limit, in bytes, or with K, M, G; `max` is none' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l pids-limit -d 'Limit of the number of processes and threads' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l cpus -d 'CPU limit, in CPUs, e.g. 1.5' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l memory-swap -d 'Memory and swap space together, as --set limits.swap_max for what is left of --memory; -1 is no limit' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l memory-reservation -d 'Memory that is spared as long as others have some to give, as --set limits.memory_low' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -s c -l cpu-shares -d 'Share of the processors, as --set limits.cpu_weight; 1024 is usual' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l cpuset-cpus -d 'Processors that may be used, as --set limits.cpus' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l cpuset-mems -d 'Memory nodes that may be used, as --set limits.mems' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l blkio-weight -d 'Share of the disks, as --set limits.io_weight; from 10 to 1000' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l device-read-bps -d 'Bytes a second that may be read from a disk, as --set limits.io_max' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l device-write-bps -d 'Bytes a second that may be written to a disk' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l device-read-iops -d 'Reads from a disk a second' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l device-write-iops -d 'Writes to a disk a second' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l stats -d 'Print usage at exit, as text or json; SIGUSR1 prints it now' -r -f -a "text\t''
json\t''"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l keep-fd -d 'Keep a file descriptor open for the program' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -s v -l volume -d 'Show a file or directory of the host at a path: HOST:PATH, or HOST:PATH:ro' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l mount -d 'The same as type=bind,source=HOST,target=PATH with or without ,readonly, or an empty directory in memory as type=tmpfs,target=PATH' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l env-file -d 'Set the environment variables that a file names in lines NAME=VALUE; --env counts more' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l network -d 'The network, as --net: none, host, private (bridge, pasta and slirp4netns mean that, too), container:NAME, that of a running sandbox, or the name of one of `sbx network`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l network-alias -d 'A name by which others in the network find the sandbox' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l ip6 -d 'The address of IPv6 that the sandbox has in the network, as --set network.ip6' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l ipc -d 'Shared memory and message queues: private, or host, as --share ipc' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l pid -d 'Processes: private, or host, as --share pid' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l uts -d 'Host name: private, or host, as --share uts' -r -f -a "private\t''
host\t''"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l domainname -d 'NIS domain name inside, as --set process.domainname' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l cap-add -d 'Give the program a capability in the sandbox\'s own namespaces, as --set security.capabilities' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l cap-drop -d 'Take a capability away that a profile gives, or ALL' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l security-opt -d 'seccomp=unconfined, as --set security.seccomp=off, or mask=PATH, as --mask; accepted: no-new-privileges, label=disable, apparmor=unconfined' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l ulimit -d 'A limit of the kernel\'s, as --set rlimits.NAME' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l expose -d 'Ports that the program listens at, which --publish-all publishes' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l status-fd -d 'Write a JSON line for each event to a file descriptor' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l receipt -d 'Write as JSON what enforces each line of the profile, and what is not enforced, to a file or a file descriptor' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l network-log -d 'Write as JSON lines what the rules on a private network refuse, and whom, to the end of a file or to a file descriptor' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l name -d 'Name of the sandbox, for `sbx ps`, `sbx stop` and the like; with --detach, a random one if none is given' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l cidfile -d 'Write the id of the sandbox, which has a record then, to a new file or a file descriptor once the program runs' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand create" -l log-driver -d 'What becomes of the output of a program in the background: file or journald (`sbx logs` shows it), none, or passthrough' -r -f -a "file\t''
k8s-file\t''
json-file\t''
journald\t''
none\t''
passthrough\t''"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l log-opt -d 'Size of each of the two files of the log: max-size=10M' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l restart -d 'Start a program in the background again when it has ended: no, on-failure, on-failure:N, always, unless-stopped' -r -f -a "no\t''
on-failure\t''
always\t''
unless-stopped\t''"
complete -c sbx -n "__fish_sbx_using_subcommand create" -s l -l label -d 'Add a label to the record' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l stop-signal -d 'Signal by which `sbx stop` asks the program to end (default: TERM)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l stop-timeout -d 'Seconds until `sbx stop` ends the program by SIGKILL (default: 10)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l detach-keys -d 'Keys by which `sbx attach` and its like leave the program to go on (default: ctrl-p,ctrl-q); an empty text is none' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand create" -l open -d 'Show files that are named as arguments of the program, read-only'
complete -c sbx -n "__fish_sbx_using_subcommand create" -l ask-network -d 'Ask about names that the rules of a private network have no line for, on the terminal or by a notification'
complete -c sbx -n "__fish_sbx_using_subcommand create" -l as-pid-1 -d 'Run the program as PID 1, without sbx\'s init'
complete -c sbx -n "__fish_sbx_using_subcommand create" -l no-project -d 'Ignore each .sbx.toml, in the current directory and above'
complete -c sbx -n "__fish_sbx_using_subcommand create" -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand create" -l read-only -d 'Show the root directory read-only where a profile shows it writable'
complete -c sbx -n "__fish_sbx_using_subcommand create" -s t -l terminal -d 'A terminal of the program\'s own, as --tty pty'
complete -c sbx -n "__fish_sbx_using_subcommand create" -s i -l interactive -d 'Accepted: the program has the caller\'s standard input'
complete -c sbx -n "__fish_sbx_using_subcommand create" -l init -d 'Accepted: sbx has an init'
complete -c sbx -n "__fish_sbx_using_subcommand create" -s P -l publish-all -d 'Publish each port that --expose names at any free port of the host\'s loopback'
complete -c sbx -n "__fish_sbx_using_subcommand create" -l privileged -d 'Refused: sbx gives no program such rights'
complete -c sbx -n "__fish_sbx_using_subcommand create" -s q -l quiet -d 'Print no notes, e.g. about optional parts that are missing'
complete -c sbx -n "__fish_sbx_using_subcommand create" -s d -l detach -d 'Run in the background: print the sandbox\'s id once the program has started'
complete -c sbx -n "__fish_sbx_using_subcommand create" -l rm -d 'Remove the record of the sandbox when the program has ended'
complete -c sbx -n "__fish_sbx_using_subcommand create" -l replace -d 'Remove a sandbox that has the name; one that runs is ended first'
complete -c sbx -n "__fish_sbx_using_subcommand start" -s f -l filter -d 'Start those that do not run and meet a condition, as with `sbx ps`; should-start-on-boot=true are those that a boot starts' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand start" -l detach-keys -d 'Keys that leave the program to go on (default: those of `sbx run --detach-keys`, or ctrl-p,ctrl-q); an empty text is none' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand start" -l sig-proxy -d 'Whether signals for this command are sent to a program without a terminal' -r -f -a "true\t''
false\t''"
complete -c sbx -n "__fish_sbx_using_subcommand start" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand start" -l all -d 'Start all that do not run'
complete -c sbx -n "__fish_sbx_using_subcommand start" -s a -l attach -d 'Attach to the program: show what it writes, wait for its end, and exit with its status'
complete -c sbx -n "__fish_sbx_using_subcommand start" -s i -l interactive -d 'Attach, and pass standard input on'
complete -c sbx -n "__fish_sbx_using_subcommand restart" -s f -l filter -d 'Those that meet a condition, as with `sbx ps`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand restart" -s t -l time -d 'Seconds until the program is ended by SIGKILL (default: that of --stop-timeout)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand restart" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand restart" -s a -l all -d 'All, those that do not run, too'
complete -c sbx -n "__fish_sbx_using_subcommand restart" -l running -d 'All that run'
complete -c sbx -n "__fish_sbx_using_subcommand exec" -l detach-keys -d 'Keys that leave a program with a terminal to go on; an empty text is none' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand exec" -s e -l env -d 'Set an environment variable, or without a value pass the caller\'s' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand exec" -s w -l workdir -d 'Directory to start in: the path inside' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand exec" -s u -l user -d 'Ids of the program: those of the sandbox\'s program, by number or name; others are refused' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand exec" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand exec" -s i -l interactive -d 'Pass standard input on'
complete -c sbx -n "__fish_sbx_using_subcommand exec" -s t -l tty -d 'Give the program a terminal of its own'
complete -c sbx -n "__fish_sbx_using_subcommand exec" -s d -l detach -d 'Return once the program has started; what it writes is dropped'
complete -c sbx -n "__fish_sbx_using_subcommand exec" -l privileged -d 'Refused: more rights'
complete -c sbx -n "__fish_sbx_using_subcommand attach" -l detach-keys -d 'Keys that leave the program to go on (default: those of `sbx run --detach-keys`, or ctrl-p,ctrl-q); an empty text is none' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand attach" -l sig-proxy -d 'Whether signals for this command are sent to a program without a terminal' -r -f -a "true\t''
false\t''"
complete -c sbx -n "__fish_sbx_using_subcommand attach" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand attach" -l no-stdin -d 'Pass no standard input on'
complete -c sbx -n "__fish_sbx_using_subcommand logs" -s n -l tail -d 'Print the last N lines' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand logs" -l since -d 'Print what was written since then: 10m, 2026-11-29T12:00:00Z, or seconds since 1970' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand logs" -l until -d 'Print what was written until then' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand logs" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand logs" -s f -l follow -d 'Go on with what the program writes, until it has ended'
complete -c sbx -n "__fish_sbx_using_subcommand logs" -s t -l timestamps -d 'Print the time of each line'
complete -c sbx -n "__fish_sbx_using_subcommand inspect" -s f -l format -d 'Print by a template, such as \'{{.State.Pid}}\'' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand inspect" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand stop" -s t -l time -d 'Seconds until the program is ended by SIGKILL (default: that of --stop-timeout)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand stop" -s f -l filter -d 'Stop those that meet a condition, as with `sbx ps`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand stop" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand stop" -s a -l all -d 'Stop all that run'
complete -c sbx -n "__fish_sbx_using_subcommand stop" -s i -l ignore -d 'Ignore names that there is no sandbox of'
complete -c sbx -n "__fish_sbx_using_subcommand stop" -l until-boot -d 'Have the next boot start what --restart unless-stopped says, as if nobody had stopped it'
complete -c sbx -n "__fish_sbx_using_subcommand kill" -s s -l signal -d 'Signal to send, by name or number' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand kill" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand kill" -s a -l all -d 'Send it to all that run'
complete -c sbx -n "__fish_sbx_using_subcommand wait" -s i -l interval -d 'Accepted: their ends are waited for, and not looked for so often' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand wait" -l condition -d 'Wait until they are created, running, paused, or exited (the default; stopped is the same); several are alternatives' -r -f -a "created\t''
running\t''
paused\t''
exited\t''
stopped\t''"
complete -c sbx -n "__fish_sbx_using_subcommand wait" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand wait" -l ignore -d 'Print -1 for names that there is no sandbox of'
complete -c sbx -n "__fish_sbx_using_subcommand rm" -l filter -d 'Remove those that meet a condition, as with `sbx ps`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand rm" -s t -l time -d 'Seconds until one that runs is ended by SIGKILL' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand rm" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand rm" -s f -l force -d 'End those that run first; ignore names that there is no sandbox of'
complete -c sbx -n "__fish_sbx_using_subcommand rm" -s a -l all -d 'Remove all'
complete -c sbx -n "__fish_sbx_using_subcommand rm" -s i -l ignore -d 'Ignore names that there is no sandbox of'
complete -c sbx -n "__fish_sbx_using_subcommand rm" -s v -l volumes -d 'Accepted, without effect: sandboxes have no volumes of their own'
complete -c sbx -n "__fish_sbx_using_subcommand prune" -l filter -d 'Remove those that meet a condition, as with `sbx ps`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand prune" -s f -l force -d 'Do not ask'
complete -c sbx -n "__fish_sbx_using_subcommand generate; and not __fish_seen_subcommand_from systemd help" -f -a "systemd" -d 'Print a unit of the user\'s systemd manager that starts and stops a sandbox'
complete -c sbx -n "__fish_sbx_using_subcommand generate; and not __fish_seen_subcommand_from systemd help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sbx -n "__fish_sbx_using_subcommand generate; and __fish_seen_subcommand_from systemd" -s t -l stop-timeout -d 'Seconds until the program is ended by SIGKILL (default: that of --stop-timeout)' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand generate; and __fish_seen_subcommand_from systemd" -l restart-policy -d 'When systemd starts it again: systemd.service(5), Restart=' -r -f -a "no\t''
on-success\t''
on-failure\t''
on-abnormal\t''
on-watchdog\t''
on-abort\t''
always\t''"
complete -c sbx -n "__fish_sbx_using_subcommand generate; and __fish_seen_subcommand_from systemd" -l restart-sec -d 'Seconds that it waits before that' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand generate; and __fish_seen_subcommand_from systemd" -s n -l name -d 'Call the sandbox by its name in place of its id, in the unit and its file\'s name'
complete -c sbx -n "__fish_sbx_using_subcommand generate; and __fish_seen_subcommand_from systemd" -l new -d 'Have the unit run the program anew each time, by the words of the command line, in place of the sandbox that has a record'
complete -c sbx -n "__fish_sbx_using_subcommand generate; and __fish_seen_subcommand_from systemd" -s f -l files -d 'Write the unit to a file in the current directory, and print its path'
complete -c sbx -n "__fish_sbx_using_subcommand generate; and __fish_seen_subcommand_from systemd" -l no-header -d 'Leave out the comment at the head'
complete -c sbx -n "__fish_sbx_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "systemd" -d 'Print a unit of the user\'s systemd manager that starts and stops a sandbox'
complete -c sbx -n "__fish_sbx_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sbx -n "__fish_sbx_using_subcommand pause" -s f -l filter -d 'Those that meet a condition, as with `sbx ps`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand pause" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand pause" -s a -l all -d 'All of them'
complete -c sbx -n "__fish_sbx_using_subcommand unpause" -s f -l filter -d 'Those that meet a condition, as with `sbx ps`' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand unpause" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand unpause" -s a -l all -d 'All of them'
complete -c sbx -n "__fish_sbx_using_subcommand top" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand top" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand cp" -s a -l archive -d 'Accepted: what is copied belongs to whoever may make it there, the program inside and the caller outside'
complete -c sbx -n "__fish_sbx_using_subcommand stats" -s i -l interval -d 'Seconds between two tables' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand stats" -l format -d 'Print by a template, such as \'{{.Name}} {{.MemUsage}}\', or json' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand stats" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand stats" -s a -l all -d 'Print those that do not run, too'
complete -c sbx -n "__fish_sbx_using_subcommand stats" -l no-stream -d 'Print once, and end'
complete -c sbx -n "__fish_sbx_using_subcommand stats" -l no-reset -d 'Do not clear the terminal between two tables'
complete -c sbx -n "__fish_sbx_using_subcommand stats" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand stats" -l no-trunc -d 'Shorten no ids'
complete -c sbx -n "__fish_sbx_using_subcommand update" -s m -l memory -d 'Memory limit, in bytes, or with K, M, G; `max` is none' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand update" -l pids-limit -d 'Limit of the number of processes and threads' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand update" -l cpus -d 'CPU limit, in CPUs, e.g. 1.5' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand update" -l memory-swap -d 'Memory and swap space together, as --set limits.swap_max for what is left of --memory; -1 is no limit' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand update" -l memory-reservation -d 'Memory that is spared as long as others have some to give, as --set limits.memory_low' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand update" -s c -l cpu-shares -d 'Share of the processors, as --set limits.cpu_weight; 1024 is usual' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand update" -l cpuset-cpus -d 'Processors that may be used, as --set limits.cpus' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand update" -l cpuset-mems -d 'Memory nodes that may be used, as --set limits.mems' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand update" -l blkio-weight -d 'Share of the disks, as --set limits.io_weight; from 10 to 1000' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand update" -l device-read-bps -d 'Bytes a second that may be read from a disk, as --set limits.io_max' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand update" -l device-write-bps -d 'Bytes a second that may be written to a disk' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand update" -l device-read-iops -d 'Reads from a disk a second' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand update" -l device-write-iops -d 'Writes to a disk a second' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand update" -l set -d 'Set any limit, e.g. --set limits.memory_high=1G' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand port" -s l -l latest -d 'The one that was made last, in place of a name'
complete -c sbx -n "__fish_sbx_using_subcommand port" -s a -l all -d 'Print the ports of all that run'
complete -c sbx -n "__fish_sbx_using_subcommand port" -l json -d 'Print JSON'
complete -c sbx -n "__fish_sbx_using_subcommand events" -l since -d 'Print what has happened since then, too: 10m, 2026-11-29T12:00:00Z, or seconds since 1970' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand events" -l until -d 'Print what happens until then, also what has happened before; then end' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand events" -s f -l filter -d 'Print only what meets a condition: container=, event=, profile=, label=' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand events" -l format -d 'Print by a template, such as \'{{.Time}} {{.Status}} {{.Name}}\', or json' -r -f
complete -c sbx -n "__fish_sbx_using_subcommand events" -l stream -d 'Go on with what happens (the default)' -r -f -a "true\t''
false\t''"
complete -c sbx -n "__fish_sbx_using_subcommand events" -l no-trunc -d 'Shorten no ids (the default)' -r -f -a "true\t''
false\t''"
complete -c sbx -n "__fish_sbx_using_subcommand events" -l json -d 'Print a line of JSON for each'
complete -c sbx -n "__fish_sbx_using_subcommand events" -l no-stream -d 'Print what has happened so far, and end'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "run" -d 'Run a program in a sandbox (the default)'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "plan" -d 'Print what a run would do, and do nothing'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "check" -d 'Try what this host and this user can do, and say how to fix what does not work'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "profile" -d 'List, show and check profiles'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "selftest" -d 'Try from inside a sandbox what a hostile program would try'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "homes" -d 'List the private homes that are kept, or remove some'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "diff" -d 'Show what differs in upper layers from the host'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "commit" -d 'Put changes of upper layers onto the host'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "discard" -d 'Remove upper layers, with all changes in them'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "export" -d 'Write the changes in upper layers to a tar file, as a layer of an OCI image'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "uppers" -d 'List the upper layers that are kept'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "snapshot" -d 'Freeze upper layers: what they hold now stays, and `diff` goes on to compare with the host'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "fork" -d 'Make upper layers of another name that begin with what these hold now'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "network" -d 'Make, list and remove networks that sandboxes share, connect running sandboxes to them, and let these reach more'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "ps" -d 'List sandboxes that run in the background or have a name'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "create" -d 'Make the record of a sandbox, and start it later'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "start" -d 'Start sandboxes that were created, or have ended, in the background'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "restart" -d 'End sandboxes, and start them again'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "exec" -d 'Execute a further program in a running sandbox'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "attach" -d 'Be in front of the program of a sandbox in the background, until it ends or the keys ctrl-p ctrl-q are typed'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "logs" -d 'Print what the program of a sandbox in the background has written'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "inspect" -d 'Print all that is known of sandboxes, as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "stop" -d 'End sandboxes: by SIGTERM, and after a time by SIGKILL'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "kill" -d 'Send a signal to the programs of sandboxes'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "wait" -d 'Wait until sandboxes have ended, and print their exit statuses'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "rm" -d 'Remove the records of sandboxes that have ended'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "prune" -d 'Remove the records of all sandboxes that have ended'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "rename" -d 'Give a sandbox another name'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "generate" -d 'Print a unit of systemd\'s for a sandbox'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "pause" -d 'Freeze all processes of sandboxes, by their cgroups'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "unpause" -d 'Have frozen sandboxes go on'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "top" -d 'List the processes of a sandbox'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "cp" -d 'Copy files between the host and a running sandbox'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "stats" -d 'Print what sandboxes use: processor time, memory, data, processes'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "update" -d 'Give a sandbox other limits, now and for its next start'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "port" -d 'Print at which ports of the host servers in sandboxes are reached'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "events" -d 'Print what has happened to sandboxes, and goes on to happen'
complete -c sbx -n "__fish_sbx_using_subcommand help; and not __fish_seen_subcommand_from run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "list" -d 'List the profiles'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "show" -d 'Print a profile'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "check" -d 'Check profiles for errors, and for grants that undo the sandbox'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "schema" -d 'Print the JSON schema of the profile language'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "create" -d 'Make a network, which lives while a sandbox is in it, and is there until it is removed'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "allow" -d 'Let a running sandbox reach more, until its run ends'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "connect" -d 'Connect a running sandbox to a further network, until its run ends'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "disconnect" -d 'Disconnect a running sandbox from a network that it was connected to'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "ls" -d 'List networks'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "inspect" -d 'Print all that is known of networks, and who is in them, as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "rm" -d 'Remove networks that no sandbox is in'
complete -c sbx -n "__fish_sbx_using_subcommand help; and __fish_seen_subcommand_from generate" -f -a "systemd" -d 'Print a unit of the user\'s systemd manager that starts and stops a sandbox'

# Names, which only sbx knows.
complete -c sbx -n "not __fish_sbx_using_subcommand run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -l profile -r -F -a "(sbx profile list | awk '{print \$1}')"
complete -c sbx -n "not __fish_sbx_using_subcommand run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -l upper -r -f -a "(printf '%s\n' discard ask keep:; sbx uppers | awk '{print \"keep:\" \$1}')"
complete -c sbx -n "not __fish_sbx_using_subcommand run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -l home -r -f -a "(printf '%s\n' tmpfs private:; sbx homes | awk '{print \"private:\" \$1}')"
complete -c sbx -n "not __fish_sbx_using_subcommand run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -l net -r -f -a "(printf '%s\n' none private host; sbx network ls -q | sed 's/^/net:/')"
complete -c sbx -n "not __fish_sbx_using_subcommand run plan check profile selftest homes diff commit discard export uppers snapshot fork network ps create start restart exec attach logs inspect stop kill wait rm prune rename generate pause unpause top cp stats update port events help" -l network -r -f -a "(printf '%s\n' none private host; sbx network ls -q)"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l profile -r -F -a "(sbx profile list | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l upper -r -f -a "(printf '%s\n' discard ask keep:; sbx uppers | awk '{print \"keep:\" \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l home -r -f -a "(printf '%s\n' tmpfs private:; sbx homes | awk '{print \"private:\" \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l net -r -f -a "(printf '%s\n' none private host; sbx network ls -q | sed 's/^/net:/')"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l network -r -f -a "(printf '%s\n' none private host; sbx network ls -q)"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l profile -r -F -a "(sbx profile list | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l upper -r -f -a "(printf '%s\n' discard ask keep:; sbx uppers | awk '{print \"keep:\" \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l home -r -f -a "(printf '%s\n' tmpfs private:; sbx homes | awk '{print \"private:\" \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l net -r -f -a "(printf '%s\n' none private host; sbx network ls -q | sed 's/^/net:/')"
complete -c sbx -n "__fish_sbx_using_subcommand plan" -l network -r -f -a "(printf '%s\n' none private host; sbx network ls -q)"
complete -c sbx -n "__fish_sbx_using_subcommand check" -l profile -r -F -a "(sbx profile list | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from show" -F -a "(sbx profile list | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from check" -F -a "(sbx profile list | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l profile -r -F -a "(sbx profile list | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l upper -r -f -a "(printf '%s\n' discard ask keep:; sbx uppers | awk '{print \"keep:\" \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l home -r -f -a "(printf '%s\n' tmpfs private:; sbx homes | awk '{print \"private:\" \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l net -r -f -a "(printf '%s\n' none private host; sbx network ls -q | sed 's/^/net:/')"
complete -c sbx -n "__fish_sbx_using_subcommand selftest" -l network -r -f -a "(printf '%s\n' none private host; sbx network ls -q)"
complete -c sbx -n "__fish_sbx_using_subcommand homes" -l remove -r -f -a "(sbx homes | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand diff" -f -a "(echo LAST; sbx uppers | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand commit" -f -a "(echo LAST; sbx uppers | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand discard" -f -a "(echo LAST; sbx uppers | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand export" -f -a "(echo LAST; sbx uppers | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand snapshot" -f -a "(echo LAST; sbx uppers | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand fork" -f -a "(echo LAST; sbx uppers | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from allow" -f -a "(sbx ps --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from connect" -f -a "(sbx network ls -q)"
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from connect" -f -a "(sbx ps --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from disconnect" -f -a "(sbx network ls -q)"
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from disconnect" -f -a "(sbx ps --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from inspect" -f -a "(sbx network ls -q)"
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from rm" -f -a "(sbx network ls -q)"
complete -c sbx -n "__fish_sbx_using_subcommand network; and __fish_seen_subcommand_from remove" -f -a "(sbx network ls -q)"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l profile -r -F -a "(sbx profile list | awk '{print \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l upper -r -f -a "(printf '%s\n' discard ask keep:; sbx uppers | awk '{print \"keep:\" \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l home -r -f -a "(printf '%s\n' tmpfs private:; sbx homes | awk '{print \"private:\" \$1}')"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l net -r -f -a "(printf '%s\n' none private host; sbx network ls -q | sed 's/^/net:/')"
complete -c sbx -n "__fish_sbx_using_subcommand create" -l network -r -f -a "(printf '%s\n' none private host; sbx network ls -q)"
complete -c sbx -n "__fish_sbx_using_subcommand start" -f -a "(sbx ps -a --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand restart" -f -a "(sbx ps -a --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand exec" -f -a "(sbx ps --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand attach" -f -a "(sbx ps --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand logs" -f -a "(sbx ps -a --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand inspect" -f -a "(sbx ps -a --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand stop" -f -a "(sbx ps --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand kill" -f -a "(sbx ps --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand wait" -f -a "(sbx ps -a --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand rm" -f -a "(sbx ps -a --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand rename" -f -a "(sbx ps -a --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand generate; and __fish_seen_subcommand_from systemd" -f -a "(sbx ps -a --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand pause" -f -a "(sbx ps --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand unpause" -f -a "(sbx ps --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand top" -f -a "(sbx ps --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand stats" -f -a "(sbx ps --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand update" -f -a "(sbx ps -a --format '{{.Names}}')"
complete -c sbx -n "__fish_sbx_using_subcommand port" -f -a "(sbx ps --format '{{.Names}}')"
