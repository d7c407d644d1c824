/* A wall clock that is off by as many seconds as the file SHIFTED_CLOCK says; the monotonic one is not.
   For LD_PRELOAD, so that one host of a test can have its clock set back. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    const char *path = getenv("SHIFTED_CLOCK");
    if (failed || !path || clock != CLOCK_REALTIME)
        return failed;
    FILE *file = fopen(path, "r");
    long seconds = 0;
    if (file) {
        if (fscanf(file, "%ld", &seconds) == 1)
            now->tv_sec += seconds;
        fclose(file);
    }
    return 0;
}
