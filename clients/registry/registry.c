/* registry.c - a client of a schema registry: requests by libcurl, answers read with suspicion. */
#include "clients/registry/registry.h"

#include <ctype.h>
#include <curl/curl.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/memory.h"
#include "core/url.h"

#define ANSWER_MAX (1 << 20)
#define STOP_US 2000000 /* how long a caller that wants to end still waits for an answer */
#define LOOK_MS 200
#define CONTENT_TYPE "Content-Type: application/vnd.schemaregistry.v1+json"
#define ACCEPT                                                                                    \
    "Accept: application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json;q=0.9, " \
    "application/json;q=0.5"

/* What a subject's schema was answered with last. A table that goes back and forth between shapes is asked for again, which costs a request. */
struct known {
    char *subject, *schema;
    uint32_t id;
};

struct tr_schema_registry {
    CURL *curl;
    CURLM *multi;
    struct curl_slist *headers;
    int stop_fd;
    int64_t give_up_us; /* 0 until stop_fd is readable */
    void (*waiting)(void *arg, const char *whom, int64_t since_us);
    void *waiting_arg;
    char **urls; /* without the slash at the end */
    size_t nurls, at;
    bool lookup_only;
    char problem[CURL_ERROR_SIZE];
    struct tr_buffer answer;
    struct known *known;
    size_t nknown, known_cap;
};

/* ---------------------------------------------------------------------------------------- life */

static size_t
on_answer(char *bytes, size_t size, size_t count, void *arg)
{
    struct tr_buffer *answer = arg;
    tr_buffer_add(answer, bytes, size * count);
    return answer->overflow ? 0 : size * count;
}

/* One of the list: http or https, without what would be sent elsewhere. */
static int
add_url(struct tr_schema_registry *registry, const char *text, size_t len, struct tr_error *err)
{
    while (len > 0 && isspace((unsigned char)*text)) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == '/' || isspace((unsigned char)text[len - 1])))
        len--;
    char *url = tr_strndup(text, len), *shown = tr_url_redact(url);
    int rc = 0;
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        rc = tr_fail(err, TR_CONFIG,
                     "schema_registry: \"%.200s\" is no address of a registry: http:// or https://", shown);
    else if (strpbrk(url, "?# ") != NULL)
        rc = tr_fail(err, TR_CONFIG, "schema_registry: \"%.200s\" has more than a host and a path", shown);
    free(shown);
    if (rc < 0) {
        free(url);
        return rc;
    }
    registry->urls = tr_realloc(registry->urls, (registry->nurls + 1) * sizeof(*registry->urls));
    registry->urls[registry->nurls++] = url;
    return 0;
}

static int
read_urls(struct tr_schema_registry *registry, const char *list, struct tr_error *err)
{
    int rc = 0;
    for (const char *at = list; rc == 0 && *at != '\0';) {
        size_t len = strcspn(at, ",");
        rc = add_url(registry, at, len, err);
        at += len + (at[len] == ',');
    }
    return rc == 0 && registry->nurls == 0 ? tr_fail(err, TR_CONFIG, "schema_registry names no registry")
                                           : rc;
}

static bool
set_text(CURL *curl, CURLoption option, const char *text)
{
    return text == NULL || text[0] == '\0' || curl_easy_setopt(curl, option, text) == CURLE_OK;
}

static bool
set_options(struct tr_schema_registry *registry, const struct tr_schema_registry_config *config)
{
    CURL *curl = registry->curl;
    long ms = (long)(config->timeout_us / 1000);
    bool good = true;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, registry->problem);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &registry->answer);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, registry->headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "tailrace/" TR_VERSION);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, ms);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a look-up of a name that is left */
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, config->insecure ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, config->insecure ? 0L : 2L);
    good &= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    good &= set_text(curl, CURLOPT_CAINFO, config->ca);
    good &= set_text(curl, CURLOPT_SSLCERT, config->certificate);
    good &= set_text(curl, CURLOPT_SSLKEY, config->key);
    if (config->user != NULL && config->user[0] != '\0')
        good &= curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) == CURLE_OK;
    return good && set_text(curl, CURLOPT_USERNAME, config->user) &&
           set_text(curl, CURLOPT_PASSWORD, config->password);
}

int
tr_schema_registry_open(const struct tr_schema_registry_config *config, struct tr_schema_registry **out,
                        struct tr_error *err)
{
    struct tr_schema_registry *registry = tr_calloc(1, sizeof(*registry));
    tr_buffer_init(&registry->answer, ANSWER_MAX);
    registry->lookup_only = config->lookup_only;
    registry->stop_fd = config->stop_fd;
    registry->waiting = config->waiting;
    registry->waiting_arg = config->waiting_arg;
    *out = NULL;
    int rc = read_urls(registry, config->urls, err);
    if (rc == 0) {
        registry->headers = curl_slist_append(NULL, CONTENT_TYPE);
        registry->headers = curl_slist_append(registry->headers, ACCEPT);
        registry->curl = curl_easy_init();
        registry->multi = curl_multi_init();
        if (registry->curl == NULL || registry->multi == NULL || !set_options(registry, config))
            rc = tr_fail(err, TR_FATAL, "schema registry: libcurl %s does not take the settings",
                         curl_version_info(CURLVERSION_NOW)->version);
    }
    if (rc < 0) {
        tr_schema_registry_close(registry);
        return rc;
    }
    *out = registry;
    return 0;
}

void
tr_schema_registry_close(struct tr_schema_registry *registry)
{
    if (registry == NULL)
        return;
    if (registry->curl != NULL)
        curl_easy_cleanup(registry->curl);
    if (registry->multi != NULL)
        curl_multi_cleanup(registry->multi);
    curl_slist_free_all(registry->headers);
    for (size_t i = 0; i < registry->nurls; i++)
        free(registry->urls[i]);
    for (size_t i = 0; i < registry->nknown; i++) {
        free(registry->known[i].subject);
        free(registry->known[i].schema);
    }
    tr_buffer_fini(&registry->answer);
    free(registry->known);
    free(registry->urls);
    free(registry);
}

/* ------------------------------------------------------------------------------------ requests */

/* What the server said, fit for one line of a message. */
static void
quote_answer(const struct tr_buffer *answer, char *text, size_t size)
{
    size_t len = 0;
    bool space = true;
    for (size_t i = 0; i < answer->len && len + 4 < size; i++) {
        unsigned char c = (unsigned char)answer->data[i];
        bool blank = c <= ' ' || c == 0x7f;
        if (!blank || !space)
            text[len++] = blank ? ' ' : c < 0x80 ? (char)c : '?';
        space = blank;
    }
    text[len] = '\0';
}

/* How the operator is told where it went wrong; without a password. */
static char *
where(const struct tr_schema_registry *registry)
{
    return tr_url_redact(registry->urls[registry->at]);
}

static int
fail_transport(const struct tr_schema_registry *registry, CURLcode code, struct tr_error *err)
{
    char *url = where(registry);
    const char *why = registry->problem[0] != '\0' ? registry->problem : curl_easy_strerror(code);
    enum tr_error_class class = TR_RETRY;
    const char *hint = NULL;
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
        class = TR_FATAL;
        hint =
            "see schema_registry_ca: the registry's certificate must be signed by one of it and bear the host's name";
        break;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: class = TR_CONFIG; break;
    case CURLE_WRITE_ERROR:
        why = "the answer is longer than 1 MiB";
        hint = "is there a registry at this address?";
        break;
    default: break;
    }
    tr_fail(err, class, "schema registry %s: %s", url, why);
    if (hint != NULL)
        tr_error_hint(err, "%s", hint);
    free(url);
    return -(int)class;
}

static int
fail_stopped(const struct tr_schema_registry *registry, struct tr_error *err)
{
    char *url = where(registry);
    tr_fail(err, TR_RETRY, "schema registry %s: no answer yet, and the task is to end", url);
    free(url);
    return -TR_RETRY;
}

/* A proxy of the environment does not reach what is on this machine. */
static void
set_proxy(struct tr_schema_registry *registry)
{
    struct tr_url url;
    struct tr_error ignored;
    bool local = tr_url_parse(registry->urls[registry->at], &url, &ignored) == 0;
    if (local) {
        local = tr_url_is_local(&url);
        tr_url_fini(&url);
    }
    curl_easy_setopt(registry->curl, CURLOPT_NOPROXY, local ? "*" : NULL);
}

/* Sleep until there is something to do for the request. False when the caller is to end, and has waited for long enough. */
static bool
wait_for_answer(struct tr_schema_registry *registry)
{
    struct curl_waitfd stop = { .fd = registry->stop_fd, .events = CURL_WAIT_POLLIN };
    bool listens = registry->stop_fd > 0 && registry->give_up_us == 0;
    int64_t left_us = registry->give_up_us != 0 ? registry->give_up_us - tr_clock_us() : LOOK_MS * 1000;
    if (left_us <= 0)
        return false;
    int ms = left_us < LOOK_MS * 1000 ? (int)(left_us / 1000) + 1 : LOOK_MS;
    curl_multi_poll(registry->multi, &stop, listens ? 1 : 0, ms, NULL);
    struct pollfd fd = { .fd = registry->stop_fd, .events = POLLIN };
    if (listens && poll(&fd, 1, 0) > 0)
        registry->give_up_us = tr_clock_us() + STOP_US;
    return true;
}

/* The caller's other work goes on. */
static void
tell_waiting(const struct tr_schema_registry *registry, int64_t since_us)
{
    if (registry->waiting == NULL)
        return;
    char *url = where(registry);
    registry->waiting(registry->waiting_arg, url, since_us);
    free(url);
}

/* curl_easy_perform, but for an end of the task in between: *stopped. */
static CURLcode
perform(struct tr_schema_registry *registry, bool *stopped)
{
    CURLcode code = CURLE_OK;
    CURLMsg *message;
    int running = 1, more;
    int64_t since_us = tr_clock_us(), told_us = since_us;
    *stopped = false;
    if (curl_multi_add_handle(registry->multi, registry->curl) != CURLM_OK)
        return CURLE_FAILED_INIT;
    while (running > 0 && !*stopped && code == CURLE_OK) {
        if (curl_multi_perform(registry->multi, &running) != CURLM_OK)
            code = CURLE_FAILED_INIT;
        else if (running > 0)
            *stopped = !wait_for_answer(registry);
        if (tr_clock_us() - told_us >= LOOK_MS * 1000) {
            tell_waiting(registry, since_us);
            told_us = tr_clock_us();
        }
    }
    while ((message = curl_multi_info_read(registry->multi, &more)) != NULL)
        if (message->msg == CURLMSG_DONE)
            code = message->data.result;
    curl_multi_remove_handle(registry->multi, registry->curl);
    return code;
}

/* One request to the server at hand. Returns its status, or a failure. */
static int
request(struct tr_schema_registry *registry, const char *path, const char *body, struct tr_error *err)
{
    char *url = tr_asprintf("%s%s", registry->urls[registry->at], path);
    long status = 0;
    tr_buffer_reset(&registry->answer);
    registry->answer.overflow = false;
    registry->problem[0] = '\0';
    curl_easy_setopt(registry->curl, CURLOPT_URL, url);
    set_proxy(registry);
    if (body != NULL) {
        curl_easy_setopt(registry->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
        curl_easy_setopt(registry->curl, CURLOPT_POSTFIELDS, body);
    } else {
        curl_easy_setopt(registry->curl, CURLOPT_HTTPGET, 1L);
    }
    bool stopped;
    CURLcode code = perform(registry, &stopped);
    free(url);
    if (stopped)
        return fail_stopped(registry, err);
    if (code != CURLE_OK)
        return fail_transport(registry, code, err);
    curl_easy_getinfo(registry->curl, CURLINFO_RESPONSE_CODE, &status);
    return status > 0 ? (int)status : fail_transport(registry, CURLE_GOT_NOTHING, err);
}

/* The answer as JSON, or NULL: proxies and front ends answer with pages. */
static json_t *
parse_answer(const struct tr_schema_registry *registry)
{
    return registry->answer.len > 0
               ? json_loadb(registry->answer.data, registry->answer.len, JSON_REJECT_DUPLICATES, NULL)
               : NULL;
}

/* The registry's own words out of {"error_code":..,"message":".."}, else the beginning of what it sent. */
static void
registry_words(const struct tr_schema_registry *registry, char *text, size_t size)
{
    json_t *answer = parse_answer(registry);
    const char *message = json_string_value(json_object_get(answer, "message"));
    struct tr_buffer borrowed = registry->answer;
    if (message != NULL) {
        borrowed.data = (char *)(uintptr_t)message;
        borrowed.len = strlen(message);
    }
    quote_answer(&borrowed, text, size);
    if (text[0] == '\0')
        strcpy(text, "nothing");
    json_decref(answer);
}

static int
fail_strange(const struct tr_schema_registry *registry, int status, enum tr_error_class class,
             struct tr_error *err)
{
    char words[201], *url = where(registry);
    registry_words(registry, words, sizeof(words));
    tr_fail(err, class, "schema registry %s answers HTTP %d: %s", url, status, words);
    free(url);
    return -(int)class;
}

/* A status that is no success, as far as the subject does not matter. */
static int
fail_status(const struct tr_schema_registry *registry, int status, struct tr_error *err)
{
    if (status == 401 || status == 403) {
        fail_strange(registry, status, TR_FATAL, err);
        return tr_error_hint(
            err, "see schema_registry_user and schema_registry_password; the user must be allowed to "
                 "read and write the subjects of the topics");
    }
    if (status >= 500 || status == 408 || status == 425 || status == 429)
        return fail_strange(registry, status, TR_RETRY, err);
    fail_strange(registry, status, TR_CONFIG, err);
    return tr_error_hint(err, "see schema_registry: the address of the registry, with its path if it has one "
                              "(Apicurio: /apis/ccompat/v7)");
}

/* Ask the server that answered last, then the others. A failure that another server would repeat ends it. */
static int
ask(struct tr_schema_registry *registry, const char *path, const char *body, struct tr_error *err)
{
    int rc = 0;
    for (size_t tried = 0; tried < registry->nurls; tried++) {
        rc = request(registry, path, body, err);
        if (rc >= 500)
            rc = fail_status(registry, rc, err);
        if (rc != -TR_RETRY)
            return rc;
        registry->at = (registry->at + 1) % registry->nurls;
        if (registry->give_up_us != 0)
            break;
    }
    return rc;
}

/* ------------------------------------------------------------------------------------- schemas */

static int
fail_schema(const struct tr_schema_registry *registry, int status, const char *subject, struct tr_error *err)
{
    char words[601], *url = where(registry);
    registry_words(registry, words, sizeof(words));
    int rc = -TR_REFUSED;
    if (status == 409) {
        tr_fail(err, TR_REFUSED,
                "schema registry %s: the table's new schema is not compatible with those of subject %s: %s",
                url, subject, words);
        tr_error_hint(
            err,
            "change the subject's compatibility (PUT /config/%s {\"compatibility\":\"NONE\"}) once its "
            "consumers are ready for the new shape, then start the task again; nothing is lost in between",
            subject);
    } else if (status == 422) {
        tr_fail(err, TR_REFUSED, "schema registry %s does not take a schema of subject %s: %s", url, subject,
                words);
    } else if (status == 404 && registry->lookup_only) {
        tr_fail(err, TR_REFUSED, "schema registry %s: subject %s has no such schema: %s", url, subject,
                words);
        tr_error_hint(err, "register it, or set schema_registry_register: true");
    } else {
        rc = fail_status(registry, status, err);
    }
    free(url);
    return rc;
}

static int
read_id(const struct tr_schema_registry *registry, int status, uint32_t *id, struct tr_error *err)
{
    json_t *answer = parse_answer(registry);
    const json_t *number = json_object_get(answer, "id");
    bool good = json_is_integer(number) && json_integer_value(number) >= 0 &&
                json_integer_value(number) <= INT32_MAX;
    if (good)
        *id = (uint32_t)json_integer_value(number);
    json_decref(answer);
    if (good)
        return 0;
    fail_strange(registry, status, TR_RETRY, err);
    return tr_error_hint(err, "a registry answers with the schema's id: see schema_registry");
}

static char *
schema_path(const struct tr_schema_registry *registry, const char *subject)
{
    char *name = curl_easy_escape(registry->curl, subject, (int)strlen(subject));
    char *path = tr_asprintf("/subjects/%s%s", name, registry->lookup_only ? "" : "/versions");
    curl_free(name);
    return path;
}

static int
ask_id(struct tr_schema_registry *registry, const char *subject, const char *schema, uint32_t *id,
       struct tr_error *err)
{
    json_t *json = json_pack("{s:s}", "schema", schema);
    char *body = json_dumps(json, JSON_COMPACT), *path = schema_path(registry, subject);
    json_decref(json);
    int status = body != NULL
                     ? ask(registry, path, body, err)
                     : tr_fail(err, TR_REFUSED, "the schema of subject %s is no valid UTF-8", subject);
    free(body);
    free(path);
    if (status < 0)
        return status;
    return status == 200 || status == 201 ? read_id(registry, status, id, err)
                                          : fail_schema(registry, status, subject, err);
}

static struct known *
known_subject(struct tr_schema_registry *registry, const char *subject)
{
    for (size_t i = 0; i < registry->nknown; i++)
        if (strcmp(registry->known[i].subject, subject) == 0)
            return &registry->known[i];
    if (registry->nknown == registry->known_cap) {
        registry->known_cap = registry->known_cap > 0 ? 2 * registry->known_cap : 16;
        registry->known = tr_realloc(registry->known, registry->known_cap * sizeof(*registry->known));
    }
    registry->known[registry->nknown] = (struct known){ .subject = tr_strdup(subject) };
    return &registry->known[registry->nknown++];
}

int
tr_schema_registry_id(struct tr_schema_registry *registry, const char *subject, const char *schema,
                      uint32_t *id, struct tr_error *err)
{
    struct known *known = known_subject(registry, subject);
    if (known->schema == NULL || strcmp(known->schema, schema) != 0) {
        int rc = ask_id(registry, subject, schema, &known->id, err);
        free(known->schema);
        known->schema = rc == 0 ? tr_strdup(schema) : NULL;
        if (rc < 0)
            return rc;
    }
    *id = known->id;
    return 0;
}

int
tr_schema_registry_probe(struct tr_schema_registry *registry, struct tr_error *err)
{
    int status = ask(registry, "/schemas/types", NULL, err);
    if (status < 0)
        return status;
    if (status != 200)
        return fail_status(registry, status, err);
    json_t *answer = parse_answer(registry), *type;
    size_t i;
    bool avro = false;
    for (i = 0; (type = json_array_get(answer, i)) != NULL; i++)
        avro |= json_is_string(type) && strcmp(json_string_value(type), "AVRO") == 0;
    json_decref(answer);
    if (avro)
        return 0;
    fail_strange(registry, status, TR_RETRY, err);
    return tr_error_hint(
        err, "a registry lists the types of its schemas here, AVRO among them: see schema_registry");
}
