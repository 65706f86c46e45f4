/* order PROGRAM COMMAND [ARG]...: runs the command and its children step by step, and prints which 16 bytes of the file PROGRAM they
 * executed, as addresses in it (hexadecimal), in the order in which they did so first. By ptrace(2). */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what) { fprintf(stderr, "order: %s: %s\n", what, strerror(errno)); return 1; }

static char program[PATH_MAX];
static struct task { pid_t pid; unsigned long start, end; } tasks[4096];
static int count;
static unsigned char seen[1 << 22]; /* for each 16 bytes of 64 MiB */

/* Where the task has mapped the program, if it has. */
static void look(struct task *task) {
	char line[PATH_MAX + 256];
	unsigned long start, end, offset;
	snprintf(line, sizeof line, "/proc/%d/maps", task->pid);
	FILE *maps = fopen(line, "r");
	task->start = task->end = 0;
	while (maps && fgets(line, sizeof line, maps)) {
		int path = 0;
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %n", &start, &end, &offset, &path) != 3 || strcmp(line + path, program)) continue;
		if (!task->start) task->start = start - offset;
		task->end = end;
	}
	if (maps) fclose(maps);
}

static struct task *of(pid_t pid) {
	for (int i = 0; i < count; i++) if (tasks[i].pid == pid) return tasks + i;
	if (count == sizeof tasks / sizeof *tasks) exit((fputs("order: too many processes\n", stderr), 1));
	tasks[count].pid = pid;
	look(tasks + count);
	return tasks + count++;
}

int main(int argc, char **argv) {
	if (argc < 3) { fputs("usage: order PROGRAM COMMAND [ARG]...\n", stderr); return 2; }
	if (!realpath(argv[1], program)) return fail(argv[1]);
	int status, code = 0;
	struct user_regs_struct registers;
	pid_t first = fork(), pid = first;
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stdout)) _exit(fail("/dev/null"));
		if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(fail("ptrace"));
		execvp(argv[2], argv + 2);
		_exit(fail(argv[2]));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return fail("fork");
	long options = PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	if (ptrace(PTRACE_SETOPTIONS, pid, 0, options)) return fail("ptrace");
	ptrace(PTRACE_CONT, pid, 0, 0);
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (!WIFSTOPPED(status)) {
			if (pid == first) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			continue;
		}
		struct task *task = of(pid);
		if (status >> 16 == PTRACE_EVENT_EXEC) look(task);
		if (task->start && !ptrace(PTRACE_GETREGS, pid, 0, &registers) && registers.rip >= task->start && registers.rip < task->end) {
			unsigned long block = (registers.rip - task->start) >> 4;
			if (block < sizeof seen && !seen[block]) seen[block] = 1, printf("%lx\n", block << 4);
		}
		int signal = WSTOPSIG(status);
		if (signal == SIGTRAP || signal == SIGSTOP) signal = 0;
		ptrace(task->start ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, 0, signal);
	}
	return code;
}
