/* partition.c - murmur2 as the Java clients use it, so that a key written by either lands in the same partition. */
#include <string.h>

#include "sinks/kafka/internal.h"

#define SEED UINT32_C(0x9747b28c)
#define MIX UINT32_C(0x5bd1e995)

static uint32_t
mix(uint32_t k)
{
    k *= MIX;
    k ^= k >> 24;
    return k * MIX;
}

uint32_t
kafka_murmur2(const void *key, size_t len)
{
    const unsigned char *at = key;
    uint32_t h = SEED ^ (uint32_t)len;
    size_t left = len;
    for (; left >= 4; left -= 4, at += 4) {
        uint32_t k = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        h = h * MIX ^ mix(k);
    }
    if (left == 3)
        h ^= (uint32_t)at[2] << 16;
    if (left >= 2)
        h ^= (uint32_t)at[1] << 8;
    if (left >= 1) {
        h ^= at[0];
        h *= MIX;
    }
    h ^= h >> 13;
    h *= MIX;
    return h ^ h >> 15;
}

int32_t
kafka_partition(uint32_t hash, int32_t partitions)
{
    return partitions > 0 ? (int32_t)((hash & 0x7fffffff) % (uint32_t)partitions) : 0;
}
