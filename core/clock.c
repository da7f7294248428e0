/* clock.c - the two clocks. */
#include "core/clock.h"

#include <time.h>

static int64_t
read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * TR_US_PER_S + now.tv_nsec / 1000;
}

int64_t
tr_clock_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t
tr_wall_clock_us(void)
{
    return read_clock(CLOCK_REALTIME);
}
