/*
 * registry.h - a client of a schema registry (the REST interface that Confluent's, Karapace, Apicurio and Redpanda have): schemas in, ids out.
 *
 * Every call blocks, at most for the timeout of the configuration per server, and once stop_fd is readable for two seconds more; it belongs to one thread.
 * Answers are remembered: the same schema under the same subject is asked for once.
 */
#ifndef TR_CLIENTS_REGISTRY_REGISTRY_H
#define TR_CLIENTS_REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

struct tr_schema_registry;

/* Texts are borrowed during tr_schema_registry_open only. NULL = not given. */
struct tr_schema_registry_config {
    const char *
        urls; /* http(s)://host:port/path, several separated by commas: the next is asked when one does not answer */
    const char *user, *password;
    const char *ca, *certificate, *key; /* files, PEM; without `ca` the system's authorities */
    bool insecure;                      /* do not verify certificate and host name */
    bool lookup_only;                   /* schemas must be registered already */
    int64_t timeout_us;                 /* of one request */
    int stop_fd; /* eventfd: readable when the caller wants to end, and a call gives up with TR_RETRY; 0 = none */
    /* Called some times a second while an answer is awaited, with the server's address and since when (monotonic); NULL = none */
    void (*waiting)(void *arg, const char *whom, int64_t since_us);
    void *waiting_arg;
};

/* Makes no connection yet. errors: TR_CONFIG for what is no URL. */
int tr_schema_registry_open(const struct tr_schema_registry_config *config,
                            struct tr_schema_registry **registry, struct tr_error *err) TR_MUST_CHECK;
void tr_schema_registry_close(struct tr_schema_registry *registry); /* NULL is allowed */

/*
 * The id of this Avro schema (JSON text) under this subject, registered when it is new there.
 * errors: TR_RETRY when no server answers as a registry should (away, 5xx, a page that is no JSON); TR_REFUSED when the schema is not compatible with
 * those before it or is not taken; TR_FATAL when the user may not; TR_CONFIG when there is no registry at the URL.
 */
int tr_schema_registry_id(struct tr_schema_registry *registry, const char *subject, const char *schema,
                          uint32_t *id, struct tr_error *err) TR_MUST_CHECK;

/* Does a registry that takes Avro answer? errors: as above. */
int tr_schema_registry_probe(struct tr_schema_registry *registry, struct tr_error *err) TR_MUST_CHECK;

#endif
