/* kafka.h - the offset store in a compacted topic: a task can start on any machine that reaches the brokers. docs/offset-store.md */
#ifndef TR_OFFSETS_KAFKA_KAFKA_H
#define TR_OFFSETS_KAFKA_KAFKA_H

#include "offsets/offset_store.h"

/*
 * `where` is kafka://[user:password@]host:port,host:port/TOPIC?tls=...&replication=N; the topic is tailrace-offsets when none is named, is made when
 * missing, and may hold many tasks. thread: one at a time; a thread of the store's own shows the brokers that the owner lives.
 */
extern const struct tr_offset_store_class tr_kafka_store;

#endif
