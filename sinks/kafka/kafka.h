/* kafka.h - changes as messages in Kafka's topics: at least once with an idempotent producer, or exactly once by transactions. docs/sink-kafka.md */
#ifndef TR_SINKS_KAFKA_KAFKA_H
#define TR_SINKS_KAFKA_KAFKA_H

#include "sinks/sink.h"

extern const struct tr_sink_class tr_kafka_sink; /* kafka://host:port,host:port */

#endif
