/* write.h - the bytes of JSON: strings, base64, numbers. */
#ifndef TR_ENCODERS_COMMON_WRITE_H
#define TR_ENCODERS_COMMON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

/* The inside of a JSON string, no quotes. Clean runs are copied whole; invalid UTF-8 becomes U+FFFD. */
void json_escape(struct tr_buffer *out, const char *text, size_t len);

/* With quotes. (json_string is a name of jansson.) */
void tr_json_string(struct tr_buffer *out, const char *text, size_t len);

/* Base64, padded, and the same in quotes. url: the URL-safe alphabet. */
void tr_base64_add(struct tr_buffer *out, const void *bytes, size_t len, bool url);
void json_base64(struct tr_buffer *out, const void *bytes, size_t len, bool url);

/* Decode padded base64 of the ordinary alphabet; false when it is none. Appends to out. */
bool tr_base64_decode(struct tr_buffer *out, const char *text, size_t len);

/* Decode pairs of hex digits; false when they are none, or an odd number. Appends to out. */
bool json_unhex(struct tr_buffer *out, const char *hex, size_t len);

/* A literal, its length known at compile time. */
#define json_literal(out, text) tr_buffer_add(out, text "", sizeof(text) - 1)

#endif
