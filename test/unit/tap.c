/*
 * tap.c
 *	  The Test Anything Protocol printer: owns the counters of one program.
 */
#include "tap.h"

#include <stdarg.h>
#include <stdio.h>

#define MAX_DIAGS 100

static int points = 0;
static int failures = 0;
static int diags = 0;

void
tap_result(bool pass, const char *format, ...)
{
	va_list args;

	points++;
	failures += !pass;
	printf("%s - ", pass ? "ok" : "not ok");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout); /* a crash in the next test must not lose this line */
}

void
tap_diag(const char *format, ...)
{
	va_list args;

	if (++diags > MAX_DIAGS)
		return;
	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

int
tap_done(void)
{
	printf("1..%d\n", points);
	return failures == 0 ? 0 : 1;
}
