/* clock.h - monotonic time for every timeout; wall time only to be shown or stamped on events. */
#ifndef TR_CORE_CLOCK_H
#define TR_CORE_CLOCK_H

#include <stdint.h>

#define TR_US_PER_S INT64_C(1000000)

int64_t tr_clock_us(void);      /* monotonic microseconds */
int64_t tr_wall_clock_us(void); /* microseconds since 1970-01-01 UTC */

#endif
