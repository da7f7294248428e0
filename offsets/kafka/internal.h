/*
 * internal.h - what the files of the Kafka store share.
 *
 * Every record's key is TASK/WHAT, the task's name percent-encoded: TASK/position, /identity, /sink_state, /phase, /owner, /format, and
 * /table:schema.name with "done POSITION" or "begun POSITION". The newest committed value of a key holds; no value = removed. All is written in
 * transactions of one transactional id per task, so that the brokers themselves fence a process that was replaced.
 */
#ifndef TR_OFFSETS_KAFKA_INTERNAL_H
#define TR_OFFSETS_KAFKA_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "clients/kafka/client.h"
#include "offsets/kafka/kafka.h"

/* The owner shows itself this often, and who shows nothing for so long may be replaced. */
#define BEAT_US 1200000
#define LEASE_US 5000000

/* What a commit that was not answered yet would make true. */
enum pending { PENDING_NOTHING, PENDING_POSITION, PENDING_ALL };

struct kafka_store {
    struct tr_offset_store base;
    struct tr_url url;
    struct tr_kafka_security security;
    struct tr_kafka_client client;
    int replication; /* of a topic that is made; -1 = the brokers' default */
    char *topic;
    char *task;   /* for messages */
    char *prefix; /* "TASK/" of the keys */
    rd_kafka_t *rk;
    rd_kafka_queue_t *policy; /* the topic's, asked for and not yet judged */
    bool new_here;            /* the task had nothing in the topic: then its policy is judged */

    pthread_mutex_t lock; /* guards all below, and the producer */
    pthread_cond_t wake;
    pthread_t beater;
    bool beating, closing;
    char owner[256];  /* ours; "" = not the owner yet */
    uint64_t beats;   /* told apart by it */
    int64_t shown_us; /* the last transaction */
    bool dropped;
    bool entering;
    bool aborting, committing; /* a transaction whose end the brokers have not answered */
    bool broken;               /* the producer must be made anew */
    enum pending pending;
    struct tr_checkpoint next;  /* of PENDING_ALL; of PENDING_POSITION only position and sink_state */
    struct tr_checkpoint saved; /* what is committed */
    struct tr_error failure;    /* class TR_FATAL: another process has taken over */
};

/* --- record.c --- */

/* "shop/", every character that is not a letter, digit, _ - or . as %XX */
char *record_prefix(const char *task);

/* One record into the checkpoint. false when no task wrote it so. */
bool record_take(struct tr_checkpoint *checkpoint, const char *what, const char *value);

/* The value of a table's record; the caller frees it. */
char *record_of_table(const struct tr_table_cut *cut);

/* --- owner.c --- */

/* This process, on this machine, as the value of the owner's record. */
void owner_name(char *text, size_t size);
/* The part that says who, without the beat: for comparing. */
bool owner_same(const char *a, const char *b);
/* Did it run on this machine, and is gone for sure? */
bool owner_is_dead(const char *owner);
/* "process 17 on host db1" */
void owner_describe(const char *owner, char *text, size_t size);

/* --- save.c: lock held --- */

/* Make the producer; nothing is fenced yet. */
int save_producer(struct kafka_store *store, struct tr_error *err);
/* Finish what is unanswered, then begin. wait_ms: for the brokers. */
int save_begin(struct kafka_store *store, int wait_ms, struct tr_error *err);
/* `value` NULL removes. On failure the transaction is aborted. */
int save_put(struct kafka_store *store, const char *what, const char *value, struct tr_error *err);
/* What is `pending` becomes `saved` when the brokers have it. */
int save_commit(struct kafka_store *store, int wait_ms, struct tr_error *err);
/* The state is known: nothing is unanswered. */
int save_settle(struct kafka_store *store, int wait_ms, struct tr_error *err);

/* --- enter.c: lock held --- */

/* Whoever owns the task now: refused when it lives, replaced when not. Reads `saved`. */
int enter(struct kafka_store *store, struct tr_error *err);
/* After a failure that broke the producer: go on, unless somebody else has taken over. */
int enter_again(struct kafka_store *store, struct tr_error *err);

#endif
