/* url.h - scheme://user:password@host:port,host:port/path?key=value, as libpq and others spell it. */
#ifndef TR_CORE_URL_H
#define TR_CORE_URL_H

#include <stdbool.h>

#include "core/error.h"

struct tr_url_param {
    char *key;
    char *value;
};

struct tr_url {
    char *scheme;
    char *user;     /* decoded; NULL when not given */
    char *password; /* wiped by tr_url_fini */
    char *hosts;    /* "host:port,host:port" as written (brackets for IPv6), may be empty */
    char *host;     /* the first host */
    int port;       /* of the first host; 0 = not given */
    char *path;     /* decoded, without the leading slash; NULL when not given */
    struct tr_url_param *params;
    int nparams;
};

int tr_url_parse(const char *text, struct tr_url *url, struct tr_error *err);
void tr_url_fini(struct tr_url *url);
const char *tr_url_param(const struct tr_url *url, const char *key); /* NULL when not given */

/* A copy for messages: the password replaced by ***. The caller frees it. */
char *tr_url_redact(const char *text);

/* "127.0.0.0/8", "::1", "localhost", a socket directory: no TLS is demanded there. */
bool tr_url_is_local(const struct tr_url *url);

#endif
