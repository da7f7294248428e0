/* wait.c - waiting for brokers that may not answer, by somebody who may be told to end meanwhile. */
#include <stdatomic.h>

#include "clients/kafka/client.h"
#include "core/clock.h"

#define SLICE_MS 100
#define PAUSE_MS 10

static int64_t
end_of(const struct tr_kafka_client *client)
{
    return client->end_us != NULL ? atomic_load_explicit(client->end_us, memory_order_relaxed) : 0;
}

bool
tr_kafka_is_ending(const struct tr_kafka_client *client)
{
    return end_of(client) != 0;
}

int
tr_kafka_left_ms(const struct tr_kafka_client *client, int64_t deadline_us)
{
    int64_t end_us = end_of(client);
    int64_t left_us = (end_us != 0 && end_us < deadline_us ? end_us : deadline_us) - tr_clock_us();
    return left_us > 0 ? (int)((left_us + 999) / 1000) : 0;
}

rd_kafka_error_t *
tr_kafka_call(const struct tr_kafka_client *client, rd_kafka_t *rk,
              rd_kafka_error_t *(*call)(rd_kafka_t *rk, int timeout_ms), int wait_ms)
{
    int64_t deadline_us = tr_clock_us() + (int64_t)wait_ms * 1000;
    for (;;) {
        int left = tr_kafka_left_ms(client, deadline_us);
        rd_kafka_error_t *error = call(rk, left > SLICE_MS ? SLICE_MS : left > 0 ? left : 1);
        rd_kafka_resp_err_t code = error != NULL ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
        /* A call that is under way (a commit, where an abort is asked for) stays so. */
        if (error == NULL || left <= SLICE_MS || !rd_kafka_error_is_retriable(error) ||
            code == RD_KAFKA_RESP_ERR__CONFLICT)
            return error;
        /* The end of a slice is told as what the brokers answered in it, if they did: a coordinator that is not ready yet is asked on. */
        if (code != RD_KAFKA_RESP_ERR__TIMED_OUT)
            rd_kafka_poll(rk, PAUSE_MS);
        rd_kafka_error_destroy(error);
    }
}

rd_kafka_event_t *
tr_kafka_answer(const struct tr_kafka_client *client, rd_kafka_queue_t *queue, int wait_ms)
{
    int64_t deadline_us = tr_clock_us() + (int64_t)wait_ms * 1000;
    rd_kafka_event_t *event = NULL;
    while (event == NULL && !tr_kafka_is_ending(client)) {
        int left = tr_kafka_left_ms(client, deadline_us);
        event = rd_kafka_queue_poll(queue, left > SLICE_MS ? SLICE_MS : left);
        if (left <= SLICE_MS)
            break;
    }
    return event;
}
