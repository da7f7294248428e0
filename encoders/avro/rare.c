/* rare.c - records that are no rows: taken as JSON with their schemas, written as Avro by these. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "encoders/avro/internal.h"

#define PAYLOAD ",\"payload\":"

static struct known_schema *
find(struct avro_encoder *enc, const char *topic, bool key, const char *json, size_t head_len)
{
    for (size_t i = 0; i < enc->nknown; i++) {
        struct known_schema *known = &enc->known[i];
        if (known->key == key && known->head_len == head_len && memcmp(known->head, json, head_len) == 0 &&
            strcmp(known->topic, topic) == 0)
            return known;
    }
    return NULL;
}

static struct known_schema *
add(struct avro_encoder *enc, const char *topic, bool key, const char *json, size_t head_len,
    struct tr_error *err)
{
    char *text = tr_asprintf("%.*snull}", (int)head_len, json);
    json_t *whole = json_loads(text, JSON_ALLOW_NUL, NULL);
    struct known_schema new = { .key = key, .head_len = head_len };
    free(text);
    new.connect = json_incref(json_object_get(whole, "schema"));
    json_decref(whole);
    int rc = new.connect != NULL ? avro_register(enc, topic, key, new.connect, &new.wire, err)
                                 : tr_fail(err, TR_REFUSED, "topic %s: a record without a schema", topic);
    if (rc < 0) {
        json_decref(new.connect);
        return NULL;
    }
    new.head = tr_strndup(json, head_len);
    new.topic = tr_strdup(topic);
    enc->known = tr_realloc(enc->known, (enc->nknown + 1) * sizeof(*enc->known));
    enc->known[enc->nknown] = new;
    return &enc->known[enc->nknown++];
}

/* `{"schema":S,"payload":P}` -> Avro. */
static int
rewrite(struct avro_encoder *enc, const char *topic, bool key, const char *json, size_t len,
        struct tr_buffer *out, struct tr_error *err)
{
    const char *payload = len > 0 ? memmem(json, len, PAYLOAD, sizeof(PAYLOAD) - 1) : NULL;
    if (payload == NULL)
        return tr_fail(err, TR_REFUSED, "topic %s: a record without a schema", topic);
    size_t head_len = (size_t)(payload - json) + sizeof(PAYLOAD) - 1;
    struct known_schema *known = find(enc, topic, key, json, head_len);
    if (known == NULL && (known = add(enc, topic, key, json, head_len, err)) == NULL)
        return -(int)err->class;
    json_t *value = json_loadb(json + head_len, len - head_len - 1, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    tr_buffer_reset(out);
    tr_buffer_add(out, known->wire.head, WIRE_HEAD);
    bool good = value != NULL && avro_transcode(known->connect, value, out) && !out->overflow;
    json_decref(value);
    return good ? 0 : tr_fail(err, TR_REFUSED, "topic %s: a record does not fit its schema", topic);
}

static int
rare_message(void *arg, const struct tr_message *message, struct tr_error *err)
{
    struct rare_emit *rare = arg;
    struct avro_encoder *enc = rare->enc;
    struct tr_message rewritten = *message;
    int rc = 0;
    if (message->key != NULL) {
        rc = rewrite(enc, message->topic, true, message->key, message->key_len, &enc->rare_key, err);
        rewritten.key = enc->rare_key.data;
        rewritten.key_len = enc->rare_key.len;
    }
    if (rc == 0 && message->value != NULL) {
        rc = rewrite(enc, message->topic, false, message->value, message->value_len, &enc->rare_value, err);
        rewritten.value = enc->rare_value.data;
        rewritten.value_len = enc->rare_value.len;
    }
    return rc < 0 ? rc : rare->to->message(rare->to->arg, &rewritten, err);
}

void
rare_begin(struct rare_emit *rare, struct avro_encoder *enc, const struct tr_emit *to)
{
    *rare = (struct rare_emit){ .enc = enc, .to = to };
    rare->emit = (struct tr_emit){ .arg = rare, .message = rare_message };
}

void
rare_free(struct avro_encoder *enc)
{
    for (size_t i = 0; i < enc->nknown; i++) {
        free(enc->known[i].head);
        free(enc->known[i].topic);
        json_decref(enc->known[i].connect);
    }
    free(enc->known);
}
