/* lines.c - batches in, lines of JSON out. */
#include "sinks/jsonl/lines.h"

#include <string.h>

#define LINE_MAX ((size_t)4 << 30)
#define literal(out, text) tr_buffer_add(out, text "", sizeof(text) - 1)

static void
part(struct tr_buffer *out, const char *json, size_t len)
{
    if (json == NULL)
        literal(out, "null");
    else
        tr_buffer_add(out, json, len);
}

/* Values and header values are JSON already, and keys have such a form; topics hold nothing that needs escaping. */
static int
add_line(void *arg, const struct tr_message *message, struct tr_error *err)
{
    struct lines *lines = arg;
    struct tr_buffer *out = &lines->out;
    literal(out, "{\"topic\":\"");
    tr_buffer_text(out, message->topic);
    literal(out, "\",\"key\":");
    if (message->key_json != NULL)
        part(out, message->key_json, message->key_json_len);
    else
        part(out, message->key, message->key_len);
    if (message->header_name != NULL) {
        literal(out, ",\"headers\":{\"");
        tr_buffer_text(out, message->header_name);
        literal(out, "\":");
        part(out, message->header_value, message->header_len);
        tr_buffer_byte(out, '}');
    }
    literal(out, ",\"value\":");
    part(out, message->value, message->value_len);
    literal(out, "}\n");
    if (out->overflow)
        return tr_fail(err, TR_REFUSED, "topic %s: the lines of one event pass the limit of 4 GiB",
                       message->topic);
    return lines->drain != NULL && out->len >= lines->high ? lines->drain(lines->arg, err) : 0;
}

int
lines_open(struct lines *lines, const struct tr_sink_env *env, struct tr_error *err)
{
    tr_buffer_init(&lines->out, LINE_MAX);
    lines->emit = (struct tr_emit){ .arg = lines, .message = add_line };
    lines->env = (struct tr_encoder_env){ .settings = env->settings,
                                          .connector = env->source_name,
                                          .prefix = env->task,
                                          .database = env->source_database,
                                          .stop_fd = env->stop_fd };
    if (env->encoder->binary)
        return tr_fail(err, TR_CONFIG, "format %s is binary: it goes to kafka://, not into lines",
                       env->encoder->name);
    return env->encoder->open(&lines->env, &lines->encoder, err);
}

void
lines_close(struct lines *lines)
{
    if (lines->encoder != NULL)
        lines->encoder->class->close(lines->encoder);
    tr_buffer_fini(&lines->out);
    lines->encoder = NULL;
}

int
lines_batch(struct lines *lines, const struct tr_batch *batch, struct tr_error *err)
{
    return tr_encode_batch(lines->encoder, batch, &lines->emit, err);
}
