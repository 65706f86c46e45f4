/* phases RUNS COMMAND [ARG]...: starts the command, which prints the phases of its start on stderr (src/sys/phases.rs), and hands them on: one
 * line a phase, and one for what is left until the command has been waited for. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what) { fprintf(stderr, "phases: %s: %s\n", what, strerror(errno)); return 1; }
static long now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000L + t.tv_nsec; }

int main(int argc, char **argv) {
	if (argc < 3) { fputs("usage: phases RUNS COMMAND [ARG]...\n", stderr); return 2; }
	for (int run = -2; run < atoi(argv[1]); run++) {
		int ends[2], status;
		char text[8192], begin[64];
		ssize_t length = 0, more;
		if (pipe2(ends, O_CLOEXEC)) return fail("pipe");
		long began = now();
		snprintf(begin, sizeof begin, "phases:%ld", began);
		setenv("SBX_TRACE", begin, 1);
		pid_t pid = vfork();
		if (pid == 0) {
			int null = open("/dev/null", O_RDWR);
			if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(ends[1], 2) < 0 || close(null)) _exit(126);
			execv(argv[2], argv + 2);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid) return fail("wait");
		long ended = (now() - began) / 1000, last = 0;
		close(ends[1]);
		while ((more = read(ends[0], text + length, sizeof text - 1 - length)) > 0) length += more;
		close(ends[0]);
		text[length] = 0;
		if (status) { fprintf(stderr, "phases: %s", text); return fail(argv[2]); }
		/* The first runs find nothing in the caches. */
		for (char *line = strtok(text, "\n"); run >= 0 && line; line = strtok(NULL, "\n")) {
			char *name = NULL;
			long at = strtol(line, &name, 10);
			if (*name != '\t') continue;
			last = at;
			puts(line);
		}
		if (run >= 0) printf("%ld\t%ld\tprinting this, and the launcher's exit\n", ended, ended - last);
	}
	return 0;
}
