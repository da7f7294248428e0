/* text.h - bytes of unknown origin made fit to be shown, on a terminal, in a log line, in JSON; and what of it may stand there as it is. */
#ifndef TR_CORE_TEXT_H
#define TR_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"

/* Length of the valid UTF-8 sequence at p (1..4, not past len), or 0 when there is none. */
size_t tr_utf8_length(const char *p, size_t len);

bool tr_utf8_valid(const char *p, size_t len);

/* Append for people: control bytes and invalid UTF-8 as \n, \t, \xNN, so that no name from a server can steer a terminal or fake a line. */
void tr_text_printable(struct tr_buffer *out, const char *text, size_t len);

/* Append the inside of a JSON string (no quotes); invalid UTF-8 becomes U+FFFD. */
void tr_text_json(struct tr_buffer *out, const char *text, size_t len);

/* A number as JSON writes it (RFC 8259, section 6): no leading zeros, no bare point, no NaN. */
bool tr_text_is_number(const char *text, size_t len);

/* Such a number without its exponent: 1.5e-7 as 0.00000015. False for what is none, or would have more than 400 digits more. */
bool tr_text_plain_number(const char *text, size_t len, struct tr_buffer *out);

/* A number without an exponent, with `scale` digits behind the point at most; halves go away from zero. */
void tr_text_round_number(struct tr_buffer *number, int scale);

#endif
