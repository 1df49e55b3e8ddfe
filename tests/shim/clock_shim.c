/*
 * Lets a test move the clocks of a running program: the file that WAYPOST_CLOCK names holds two numbers of nanoseconds,
 * which are added to the wall clock and to the monotonic one. Preloaded; without the variable it changes nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const volatile int64_t *offsets;
static long (*real_syscall)(long, ...);

__attribute__((constructor)) static void begin(void) {
    real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    const char *path = getenv("WAYPOST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *map = mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED)
        offsets = map;
}

static void add(struct timespec *at, int64_t nanoseconds) {
    int64_t all = at->tv_sec * SECOND + at->tv_nsec + nanoseconds;
    at->tv_sec = all / SECOND;
    at->tv_nsec = all % SECOND;
}

/* Constructors of others may ask before ours ran. */
static long call(long number, long a, long b, long c, long d, long e, long f) {
    if (!real_syscall)
        real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return real_syscall(number, a, b, c, d, e, f);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int result = (int)call(SYS_clock_gettime, clock, (long)at, 0, 0, 0, 0);
    if (result != 0 || !offsets)
        return result;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
        add(at, offsets[0]);
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        add(at, offsets[1]);
        break;
    default:
        break;
    }
    return result;
}

int gettimeofday(struct timeval *at, void *zone) {
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

/* Waits until a moment of the moved clock are waits until one of the kernel's. */
long syscall(long number, ...) {
    va_list arguments;
    va_start(arguments, number);
    long a = va_arg(arguments, long), b = va_arg(arguments, long), c = va_arg(arguments, long);
    long d = va_arg(arguments, long), e = va_arg(arguments, long), f = va_arg(arguments, long);
    va_end(arguments);
    struct timespec moved;
    if (number == SYS_futex && (b & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && d && offsets) {
        moved = *(const struct timespec *)d;
        add(&moved, -offsets[(b & FUTEX_CLOCK_REALTIME) ? 0 : 1]);
        d = (long)&moved;
    }
    return call(number, a, b, c, d, e, f);
}
