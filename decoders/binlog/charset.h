/*
 * charset.h - the character sets of MySQL and MariaDB, by the number of a collation, and their way to
 * UTF-8.
 */
#ifndef TR_DECODERS_BINLOG_CHARSET_H
#define TR_DECODERS_BINLOG_CHARSET_H

#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"

struct single_byte {
    const char *name;
    uint16_t code[256];
};

/* A code that a server reads otherwise than iconv does. */
struct odd_code {
    const char *charset;
    uint32_t code; /* its bytes, the first one highest */
    uint16_t unicode;
};

enum charset_kind {
    CHARSET_UTF8,
    CHARSET_BINARY,
    CHARSET_SINGLE,
    CHARSET_WIDE,
    CHARSET_ICONV,
    CHARSET_ODD, /* by iconv but for its odd codes, and ASCII as it is */
};

struct charset {
    const char *name;
    enum charset_kind kind;
    uint8_t max_bytes; /* of one character */
    const char *iconv; /* CHARSET_WIDE and CHARSET_ICONV */
};

#define BINARY_COLLATION 63

/* Ends with a NULL name. */
extern const struct single_byte tr_binlog_single_byte[];

/* Ordered by set and code. */
extern const struct odd_code tr_binlog_odd_codes[];
extern const size_t tr_binlog_odd_code_count;

/* NULL when the number is not known. */
const struct charset *binlog_charset(uint32_t collation);

/* By name, also "utf8" for utf8mb3; NULL when not known. */
const struct charset *binlog_charset_named(const char *name);

/* Append as UTF-8. Fails (TR_CONFLICT) when the bytes are not text of that set. */
int binlog_to_utf8(const struct charset *charset, const char *bytes, size_t len, struct tr_buffer *out,
                   struct tr_error *err);

#endif
