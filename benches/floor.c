/* floor [--defaults] [--binds N FILE] PROGRAM: makes the sandbox of start.sh's profiles by the system calls that it takes, and nothing else:
 * no arguments, profiles, plan, looks at the host, messages or words. It is what a launcher's start is measured by, and no sandbox to use.
 * Without --defaults it is bubblewrap's sandbox ("same"); with it, a time namespace, a masked /proc and Landlock come on top ("usual").
 *
 * One pivot_root is enough here, since the sources are known: none lies below /tmp, which the sandbox's tmpfs covers meanwhile. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define EMPTY_PATH 0x1000
#define RECURSIVE 0x8000
#define FROM_AND_TO (MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
#define SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define PRIVATE (1 << 18)

static int defaults;

/* The value, or the end with the line that failed. */
static long must_at(long value, int line) {
	if (value < 0) { dprintf(2, "floor: line %d: %s\n", line, strerror(errno)); _exit(125); }
	return value;
}
#define must(call) must_at((call), __LINE__)
#define sys(name, ...) syscall(SYS_##name, __VA_ARGS__)

static void put(int dir, const char *name, const char *text) {
	int fd = must(openat(dir, name, O_WRONLY | O_CLOEXEC));
	must(write(fd, text, strlen(text)));
	close(fd);
}

/* A filesystem of its own: up to two options beside the source. */
static int filesystem(const char *type, const char *const options[][2], uint64_t attributes) {
	int fd = must(sys(fsopen, type, FSOPEN_CLOEXEC));
	must(sys(fsconfig, fd, FSCONFIG_SET_STRING, "source", type, 0));
	for (; options && (*options)[0]; options++) must(sys(fsconfig, fd, FSCONFIG_SET_STRING, (*options)[0], (*options)[1], 0));
	must(sys(fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	int mount = must(sys(fsmount, fd, FSMOUNT_CLOEXEC, attributes));
	close(fd);
	return mount;
}

static void attach(int mount, int dir, const char *name) { must(sys(move_mount, mount, "", dir, name, FROM_AND_TO)); }

static int copy(int dir, const char *path, int more) {
	return sys(open_tree, dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW | EMPTY_PATH | more);
}

static void attributes(int mount, uint64_t set, uint64_t propagation, int more) {
	struct mount_attr wanted = { .attr_set = set, .propagation = propagation };
	must(sys(mount_setattr, mount, "", EMPTY_PATH | more, &wanted, sizeof wanted));
}

/* A directory of the sandbox's tmpfs as a mount of its own. */
static int part(int memory, const char *name, mode_t mode) {
	must(mkdirat(memory, name, mode));
	return must(copy(memory, name, 0));
}

static int bind_file(const char *source, int dir, const char *name, uint64_t set) {
	int mount = must(copy(AT_FDCWD, source, RECURSIVE));
	attributes(mount, set, PRIVATE, RECURSIVE);
	close(must(openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444)));
	attach(mount, dir, name);
	return mount;
}

/* What hides in /proc is covered, what can be written is read-only. */
static void mask(int proc, int memory) {
	static const char *const files[] = { "keys", "timer_list" }, *const written[] = { "bus", "fs", "irq", "sys" };
	int scratch = part(memory, "scratch", 0755), fd;
	close(must(openat(scratch, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0)));
	must(mkdirat(scratch, "dir", 0));
	attributes(scratch, MOUNT_ATTR_RDONLY, 0, 0);
	attach(scratch, memory, "scratch");
	for (int i = 0; i < 2; i++) {
		if (faccessat(proc, files[i], F_OK, AT_SYMLINK_NOFOLLOW)) continue;
		attach(fd = must(copy(scratch, "file", 0)), proc, files[i]);
		close(fd);
	}
	if (!faccessat(proc, "acpi", F_OK, AT_SYMLINK_NOFOLLOW)) {
		attach(fd = must(copy(scratch, "dir", 0)), proc, "acpi");
		close(fd);
	}
	for (int i = 0; i < 4; i++) {
		if ((fd = copy(proc, written[i], 0)) < 0) continue;
		attributes(fd, MOUNT_ATTR_RDONLY, 0, 0);
		attach(fd, proc, written[i]);
		close(fd);
	}
	close(scratch);
}

static int ruleset;
static void allow(int fd, uint64_t rights) {
	struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };
	/* A pipe has no place in the view, and needs no rule. */
	if (defaults && sys(landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) && errno != EBADFD) must(-1);
}

/* As many instructions as a filter of sbx's has, in a tree as it is one: numbers between low and high, all allowed. */
static struct sock_filter code[256];
static int length;
static void tree(int low, int high) {
	if (high - low < 16) { code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW); return; }
	int here = length++, middle = (low + high) / 2;
	tree(low, middle);
	code[here] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, middle, length - here - 1, 0);
	tree(middle, high);
}
static void filter(void) {
	code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4);
	code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0);
	code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	tree(0, 480);
	struct sock_fprog program = { .len = length, .filter = code };
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void view(int binds, const char *file) {
	static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };
	static const char *const links[][2] = { { "/proc/self/fd", "fd" }, { "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
		{ "/proc/self/fd/2", "stderr" }, { "pts/ptmx", "ptmx" } };
	static const char *const merged[] = { "bin", "lib", "lib64", "sbin" };
	static const char *const tmpfs[][2] = { { "mode", "0755" }, { 0 } };
	static const char *const devpts[][2] = { { "mode", "0620" }, { "ptmxmode", "0666" }, { 0 } };
	uint64_t read = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR, write = (1 << 13) - 1;
	uint64_t device = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	char name[16], target[64];
	int memory = filesystem("tmpfs", tmpfs, SAFE), fd;
	umask(0);
	attach(memory, AT_FDCWD, "/tmp");
	int root = part(memory, "root", 0755);
	attach(root, memory, "root");
	allow(root, LANDLOCK_ACCESS_FS_READ_DIR);
	for (int i = 0; i < 4; i++) {
		struct stat found;
		snprintf(name, sizeof name, "/%s", merged[i]);
		snprintf(target, sizeof target, "usr/%s", merged[i]);
		if (!lstat(name, &found) && S_ISLNK(found.st_mode)) must(symlinkat(target, root, merged[i]));
	}
	must(mkdirat(root, "dev", 0755));
	int dev = must(openat(root, "dev", O_PATH | O_DIRECTORY | O_CLOEXEC));
	for (int i = 0; i < 6; i++) {
		snprintf(target, sizeof target, "/dev/%s", devices[i]);
		allow(fd = bind_file(target, dev, devices[i], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID), device);
		close(fd);
	}
	for (int i = 0; i < 5; i++) must(symlinkat(links[i][0], dev, links[i][1]));
	must(mkdirat(dev, "pts", 0755));
	attach(fd = filesystem("devpts", devpts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), dev, "pts");
	allow(fd, device);
	close(fd);
	must(mkdirat(dev, "shm", 0755));
	attach(fd = part(memory, "shm", 01777), dev, "shm");
	allow(fd, write);
	close(fd);
	must(mkdirat(dev, "mqueue", 0755));
	attach(fd = filesystem("mqueue", NULL, SAFE | MOUNT_ATTR_NOEXEC), dev, "mqueue");
	allow(fd, write);
	close(fd);
	must(mkdirat(root, "proc", 0755));
	attach(fd = filesystem("proc", NULL, SAFE | MOUNT_ATTR_NOEXEC), root, "proc");
	if (defaults) mask(fd, memory);
	allow(fd, read | device);
	close(fd);
	must(mkdirat(root, "tmp", 0755));
	attach(fd = part(memory, "tmp", 01777), root, "tmp");
	allow(fd, write);
	close(fd);
	fd = must(copy(AT_FDCWD, "/usr", RECURSIVE));
	attributes(fd, MOUNT_ATTR_RDONLY | SAFE, PRIVATE, RECURSIVE);
	must(mkdirat(root, "usr", 0755));
	attach(fd, root, "usr");
	allow(fd, read);
	close(fd);
	if (binds) {
		must(mkdirat(root, "b", 0755));
		int dir = must(openat(root, "b", O_PATH | O_DIRECTORY | O_CLOEXEC));
		for (int i = 0; i < binds; i++) {
			snprintf(name, sizeof name, "%d", i);
			allow(fd = bind_file(file, dir, name, MOUNT_ATTR_RDONLY | SAFE), LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE);
			close(fd);
		}
	}
	attributes(root, MOUNT_ATTR_RDONLY, 0, 0);
	must(fchdir(root));
	must(sys(pivot_root, ".", "."));
	must(sys(umount2, ".", 2 /* MNT_DETACH */));
	must(chdir("/"));
}

/* PID 1: the namespaces' parts, the view, the lock-down, and the program until its end. */
static int first(const char *uids, const char *gids, int binds, const char *file, char **program) {
	must(prctl(PR_SET_PDEATHSIG, SIGKILL));
	int proc = must(open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
	put(proc, "setgroups", "deny");
	put(proc, "uid_map", uids);
	put(proc, "gid_map", gids);
	close(proc);
	must(sethostname("sandbox", 7));
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	must(ioctl(fd, 0x8914 /* SIOCSIFFLAGS */, &loopback));
	close(fd);
	if (defaults) {
		struct landlock_ruleset_attr wanted = { .handled_access_fs = (1 << 13) - 1 };
		put(AT_FDCWD, "/proc/sys/user/max_user_namespaces", "0");
		ruleset = must(sys(landlock_create_ruleset, &wanted, sizeof wanted, 0));
	}
	view(binds, file);
	for (int fd = 0; defaults && fd < 3; fd++) allow(fd, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
	must(prctl(PR_SET_DUMPABLE, 0));
	sys(keyctl, 1L /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
	for (int capability = 0; !prctl(PR_CAPBSET_DROP, capability); capability++);
	must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	must(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECURE_ALL_LOCKS | SECBIT_NO_CAP_AMBIENT_RAISE));
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (defaults) must(sys(landlock_restrict_self, ruleset, 0));
	uint32_t header[2] = { 0x20080522, 0 }, none[6] = { 0 };
	must(sys(capset, header, none));
	must(setsid());
	pid_t pid = vfork();
	if (pid == 0) {
		sys(close_range, 3, ~0U, 0);
		filter();
		execv(program[0], program);
		_exit(127);
	}
	must(pid);
	sys(close_range, 0, ~0U, 0);
	int status;
	while (wait(&status) != pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv) {
	int binds = 0, status;
	const char *file = NULL;
	char uids[64], gids[64];
	if (argc > 1 && !strcmp(argv[1], "--defaults")) defaults = 1, argv++;
	if (argc > 4 && !strcmp(argv[1], "--binds")) binds = atoi(argv[2]), file = argv[3], argv += 3;
	if (!argv[1]) { dprintf(2, "usage: floor [--defaults] [--binds N FILE] PROGRAM [ARG]...\n"); return 2; }
	snprintf(uids, sizeof uids, "%d %d 1\n", getuid(), getuid());
	snprintf(gids, sizeof gids, "%d %d 1\n", getgid(), getgid());
	/* struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls. */
	uint64_t args[8] = { CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
		| (defaults ? CLONE_NEWTIME : 0), 0, 0, 0, SIGCHLD };
	pid_t pid = must(sys(clone3, args, sizeof args));
	if (pid == 0) _exit(first(uids, gids, binds, file, argv + 1));
	must(waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
