/* crowd N: N threads that do nothing until the process is ended. Says "ready" when they are there. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *idle(void *none) { for (;;) pause(); return none; }

int main(int argc, char **argv) {
	pthread_attr_t small;
	pthread_t thread;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 16384);
	for (int i = argc > 1 ? atoi(argv[1]) : 0; i > 0; i--) {
		if (pthread_create(&thread, &small, idle, NULL)) { perror("crowd"); return 1; }
	}
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
