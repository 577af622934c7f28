// SPDX-License-Identifier: MIT OR Apache-2.0
// Makes calls and prints what each returned, and which signals came meanwhile. WIDTH: of the column of calls.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t signals;
// How often the timer has fired, which children see as well.
static volatile int *alarms;
static int step, alarms_before;

// Until the next call has returned, and not once only: once could be before the call.
static void ring(int microseconds)
{
	struct itimerval often = { { 0, microseconds }, { 0, microseconds } };
	setitimer(ITIMER_REAL, &often, NULL);
}

// In a child: our parent is in the call by then, or soon.
static void wait_for_alarms(void)
{
	for (int before = *alarms; *alarms < before + 3;)
		usleep(1000);
}

static void share_alarms(void)
{
	alarms = mmap(NULL, sizeof *alarms, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void show(const char *what, long result)
{
	int error = errno;
	ring(0);
	printf("%3d %-*s %ld %s", ++step, WIDTH, what, result, result < 0 ? strerrorname_np(error) : "-");
	if (signals) {
		printf(" signals %d", (int)signals);
		signals = 0;
	}
	if (*alarms != alarms_before)
		printf(" alarms");
	alarms_before = *alarms;
	printf("\n");
}
#define CALL(expression) (errno = 0, show(#expression, (long)(expression)))
