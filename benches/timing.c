/* timing ROUNDS RUNS DIR ACCOUNT COMMAND [';' COMMAND]...: starts each command RUNS times a round as the account ("-": as who calls), and
 * prints the medians of each round in microseconds, one line a round. The commands take turns in who is first.
 *
 * In a command, `copy:FILE` is a copy of FILE that is made anew for each round below DIR: where a file lies in memory and on disk
 * changes times by several percent, and must not be the same accident for all rounds. `own:FILE` is a copy that belongs to the account.
 * `in:N:FILE` is no argument but opens FILE as descriptor N. A run is timed from before fork to after wait; the first two of a block
 * pay for the block before, and are left out. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_COMMANDS = 16, WARM_UP = 2 };
struct command { char **written, **args; int opened[4]; const char *files[4]; int count_opened; };

static struct { int wanted, count; uid_t uid; gid_t gid, groups[64]; } account = { .count = 64 };

static void fail(const char *what) { fprintf(stderr, "timing: %s: %s\n", what, strerror(errno)); exit(1); }

static int is_copy(const char *arg) { return !strncmp(arg, "copy:", 5) ? 5 : !strncmp(arg, "own:", 4) ? 4 : 0; }

static char *copy(const char *written, const char *dir, int round, int number) {
	const char *from = written + is_copy(written);
	char *to;
	struct stat found;
	if (asprintf(&to, "%s/%d-%d", dir, round, number) < 0 || (mkdir(to, 0755) && errno != EEXIST)) fail(to);
	free(to);
	if (asprintf(&to, "%s/%d-%d/%s", dir, round, number, strrchr(from, '/') + 1) < 0) fail("memory");
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (in < 0 || out < 0 || fstat(in, &found)) fail(in < 0 ? from : to);
	for (off_t left = found.st_size; left > 0;) {
		ssize_t done = sendfile(out, in, NULL, left);
		if (done <= 0) fail(to);
		left -= done;
	}
	if (account.wanted && *written == 'o' && fchown(out, account.uid, account.gid)) fail(to);
	close(in);
	close(out);
	return to;
}

static void ready(struct command *command, const char *dir, int round, int number) {
	int count = 0;
	command->count_opened = 0;
	for (char **arg = command->written; *arg; arg++) {
		if (is_copy(*arg)) {
			command->args[count++] = copy(*arg, dir, round, number);
		} else if (!strncmp(*arg, "in:", 3) && strchr(*arg + 3, ':')) {
			command->opened[command->count_opened] = atoi(*arg + 3);
			command->files[command->count_opened++] = strchr(*arg + 3, ':') + 1;
		} else {
			command->args[count++] = *arg;
		}
	}
	command->args[count] = NULL;
}

static void forget(struct command *command) {
	for (char **arg = command->args, **from = command->written; *arg; from++) {
		if (!strncmp(*from, "in:", 3)) continue;
		if (is_copy(*from)) {
			unlink(*arg);
			*strrchr(*arg, '/') = 0;
			rmdir(*arg);
			free(*arg);
		}
		arg++;
	}
}

static double run(const struct command *command) {
	struct timespec from, to;
	int status;
	clock_gettime(CLOCK_MONOTONIC, &from);
	pid_t pid = vfork();
	if (pid == 0) {
		for (int i = 0; i < command->count_opened; i++) {
			int fd = open(command->files[i], O_RDONLY);
			if (fd != command->opened[i] && (dup2(fd, command->opened[i]) < 0 || close(fd))) _exit(126);
		}
		/* Past the C library, which would tell its threads. */
		if (account.wanted && (syscall(SYS_setgroups, (long)account.count, account.groups) || syscall(SYS_setresgid, account.gid, account.gid, account.gid)
			|| syscall(SYS_setresuid, account.uid, account.uid, account.uid))) _exit(126);
		execv(command->args[0], command->args);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) fail("fork");
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (status) {
		fprintf(stderr, "timing: ended with %d:", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		for (int i = 0; command->args[i] && i < 30; i++) fprintf(stderr, " %s", command->args[i]);
		fputc('\n', stderr);
		exit(1);
	}
	return (to.tv_sec - from.tv_sec) * 1e6 + (to.tv_nsec - from.tv_nsec) / 1e3;
}

static int compare(const void *a, const void *b) { return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b); }

int main(int argc, char **argv) {
	static struct command commands[MAX_COMMANDS];
	int count = 0;
	if (argc < 6) { fputs("usage: timing ROUNDS RUNS DIR ACCOUNT COMMAND [';' COMMAND]...\n", stderr); return 2; }
	int rounds = atoi(argv[1]), runs = atoi(argv[2]), first = 0, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* What is started has the streams of a program that nobody looks at, and not the pipe that the figures go to. */
	FILE *figures = fdopen(fcntl(1, F_DUPFD_CLOEXEC, 3), "w");
	if (null < 0 || !figures || dup2(null, 0) < 0 || dup2(null, 1) < 0) fail("/dev/null");
	for (int i = 5; i < argc && count < MAX_COMMANDS; count++) {
		commands[count].written = argv + i;
		while (i < argc && strcmp(argv[i], ";")) i++;
		if (i < argc) argv[i++] = NULL;
		commands[count].args = calloc(argc + 1, sizeof(char *));
	}
	if (strcmp(argv[4], "-")) {
		struct passwd *entry = getpwnam(argv[4]);
		if (!entry || getgrouplist(argv[4], entry->pw_gid, account.groups, &account.count) < 0) fail(argv[4]);
		account.wanted = 1, account.uid = entry->pw_uid, account.gid = entry->pw_gid;
	}
	double *times = calloc(runs, sizeof(double)), median[MAX_COMMANDS];
	for (int round = 0; round < rounds; round++, first = (first + 1) % count) {
		for (int i = 0; i < count; i++) ready(&commands[i], argv[3], round, i);
		for (int turn = 0; turn < count; turn++) {
			int which = (first + turn) % count;
			for (int i = 0; i < WARM_UP; i++) run(&commands[which]);
			for (int i = 0; i < runs; i++) times[i] = run(&commands[which]);
			qsort(times, runs, sizeof(double), compare);
			median[which] = runs % 2 ? times[runs / 2] : (times[runs / 2 - 1] + times[runs / 2]) / 2;
		}
		for (int i = 0; i < count; i++) fprintf(figures, i + 1 < count ? "%.1f\t" : "%.1f\n", median[i]);
		fflush(figures);
		for (int i = 0; i < count; i++) forget(&commands[i]);
	}
	return 0;
}
