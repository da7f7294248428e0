/* internal.h - what the files that build the task share. */
#ifndef TR_APP_CONVERT_INTERNAL_H
#define TR_APP_CONVERT_INTERNAL_H

#include "app/convert/convert.h"

struct line {
    const char *section;
    char *name;
    char **values;
    size_t count;
    bool list;
};

struct conversion {
    struct pairs *pairs;
    const struct convert_wish *wish;
    const char *scheme; /* postgresql, mysql, mariadb */
    const char *format;
    struct tr_settings *settings; /* by which values are judged */
    struct line *lines;
    size_t nlines;
    struct tr_buffer params; /* of the source's URL: "&name=value..." */
    struct tr_buffer idle;   /* keys that need nothing, for the comment */
    struct tr_buffer lost;   /* "key: reason" lines */
    struct tr_buffer notes;  /* lines for the reader */
    size_t nlost;
    char *brokers, *user, *password; /* of the target */
    bool has_references;             /* to the environment: the output cannot be tried here */
};

/* debezium.c */
void convert_lost(struct conversion *c, const char *key, const char *fmt, ...) TR_PRINTF(3, 4);
void convert_idle(struct conversion *c, const char *key);
void convert_note(struct conversion *c, const char *fmt, ...) TR_PRINTF(2, 3);
/* One value of an option; lost, with the reason, when there is no such option here or it does not take the value. */
void convert_set(struct conversion *c, const char *section, const char *name, const char *value,
                 const char *key);
/* One more item of a list. */
void convert_item(struct conversion *c, const char *section, const char *name, const char *value);
bool convert_has(const struct conversion *c, const char *section, const char *name);
/* Bytes other than letters, digits and -._~ as %XX. Connect's references become ours; the caller frees it. */
char *convert_url_part(struct conversion *c, const char *text, const char *variable, const char *key);
bool is_true(const char *text);

/* target.c: topics, transforms, converters, the producer */
void convert_format(struct conversion *c);
void convert_target(struct conversion *c);

/* routes.c: what a topic's name becomes where the expression fits it, as topic_routes; else lost */
void convert_route(struct conversion *c, const char *key, const char *regex, const char *replacement);

/* tables.c */
void convert_tables(struct conversion *c);
void convert_key_columns(struct conversion *c);

#endif
