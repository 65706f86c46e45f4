/* calls PROGRAM [ARG]...: runs the program and prints how many system calls it makes, how many its children make until they execute
 * another program (what that one does is not the launcher's), and how many page faults it has with all processes that were waited for,
 * that other program's among them. By ptrace(2) and wait4(2). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what) { fprintf(stderr, "calls: %s: %s\n", what, strerror(errno)); return 1; }

int main(int argc, char **argv) {
	if (argc < 2) { fputs("usage: calls PROGRAM [ARG]...\n", stderr); return 2; }
	enum { CALL = SIGTRAP | 0x80 };
	int status, code = 0, executed = 0, null = open("/dev/null", O_RDWR);
	struct rusage usage;
	long faults = 0, stops[2] = { 0, 0 }, options = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
	pid_t program = fork(), pid;
	if (program == 0) {
		if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || close(null) || ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(fail("ptrace"));
		raise(SIGSTOP);
		execv(argv[1], argv + 1);
		_exit(fail(argv[1]));
	}
	if (program < 0 || waitpid(program, &status, 0) != program) return fail("fork");
	if (ptrace(PTRACE_SETOPTIONS, program, 0, options | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) return fail("ptrace");
	ptrace(PTRACE_CONT, program, 0, 0);
	while ((pid = wait4(-1, &status, __WALL, &usage)) > 0) {
		if (!WIFSTOPPED(status)) {
			if (pid != program) continue;
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			faults = usage.ru_minflt + usage.ru_majflt;
			continue;
		}
		int signal = WSTOPSIG(status), event = status >> 16;
		if (event == PTRACE_EVENT_EXEC && pid != program) {
			ptrace(PTRACE_DETACH, pid, 0, 0);
			continue;
		}
		executed |= event == PTRACE_EVENT_EXEC;
		if (signal == CALL) stops[pid != program]++;
		/* A new child begins with SIGSTOP. */
		if (signal == SIGSTOP || signal == SIGTRAP || signal == CALL) signal = 0;
		ptrace(executed ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, signal);
	}
	/* Each call stops twice, at its beginning and at its end, which exit and a child's exec do not have. */
	printf("%ld %ld %ld\n", (stops[0] + 1) / 2, (stops[1] + 1) / 2, faults);
	return code;
}
