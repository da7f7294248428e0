/* url.c - takes a connection URL apart, and hides its secrets from messages. */
#include "core/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/buffer.h"
#include "core/memory.h"

#define URL_MAX 16384
#define PARAMS_MAX 256

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A decoded copy of len bytes, or NULL for a broken escape or an encoded NUL. */
static char *
decode(const char *text, size_t len)
{
    char *out = tr_malloc(len + 1), *to = out;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            c = (char)(high * 16 + low);
            if (low < 0 || c == '\0') {
                tr_wipe(out, len + 1);
                free(out);
                return NULL;
            }
            i += 2;
        }
        *to++ = c;
    }
    *to = '\0';
    return out;
}

static int
fail_url(struct tr_error *err, const char *text, const char *why)
{
    char *shown = tr_url_redact(text);
    int rc = tr_fail(err, TR_CONFIG, "the URL %.300s cannot be read: %s", shown, why);
    free(shown);
    return rc;
}

static size_t
scheme_length(const char *text)
{
    size_t n = 0;
    if (!isalpha((unsigned char)text[0]))
        return 0;
    while (isalnum((unsigned char)text[n]) || text[n] == '+' || text[n] == '-' || text[n] == '.')
        n++;
    return text[n] == ':' ? n : 0;
}

static const char *
parse_user(struct tr_url *url, const char *from, const char *at)
{
    const char *colon = memchr(from, ':', (size_t)(at - from));
    url->user = decode(from, (size_t)((colon != NULL ? colon : at) - from));
    if (url->user == NULL)
        return "the user name has a broken % escape";
    if (colon != NULL) {
        url->password = decode(colon + 1, (size_t)(at - colon - 1));
        if (url->password == NULL)
            return "the password has a broken % escape (a percent sign itself is written %25)";
    }
    return NULL;
}

/* Everything after the colon must be a port; an empty one is allowed, as libpq does. */
static const char *
parse_port(const char *from, const char *end, int *port)
{
    *port = 0;
    for (; from < end; from++) {
        if (*from < '0' || *from > '9' || *port > 65535)
            return "the port is not a number from 1 to 65535 (a colon, slash, ? or @ in a password is written %3A, %2F, %3F, %40)";
        *port = *port * 10 + (*from - '0');
    }
    return *port > 65535 ? "the port is not a number from 1 to 65535" : NULL;
}

/* One "host:port" of the list; the first one fills host and port. */
static const char *
parse_host(struct tr_url *url, const char *from, const char *end)
{
    const char *host = from, *host_end, *rest;
    if (from < end && *from == '[') {
        host = from + 1;
        host_end = memchr(host, ']', (size_t)(end - host));
        if (host_end == NULL)
            return "an IPv6 address lacks its closing bracket";
        rest = host_end + 1;
    } else {
        host_end = memchr(from, ':', (size_t)(end - from));
        host_end = host_end != NULL ? host_end : end;
        rest = host_end;
    }
    int port = 0;
    if (rest < end) {
        if (*rest != ':')
            return "there is more after the closing bracket of an IPv6 address";
        const char *wrong = parse_port(rest + 1, end, &port);
        if (wrong != NULL)
            return wrong;
    }
    char *decoded = decode(host, (size_t)(host_end - host));
    if (decoded == NULL)
        return "the host name has a broken % escape";
    if (url->host == NULL) {
        url->host = decoded;
        url->port = port;
    } else {
        free(decoded);
    }
    return NULL;
}

static const char *
parse_authority(struct tr_url *url, const char *from, const char *end)
{
    const char *at = memrchr(from, '@', (size_t)(end - from));
    if (at != NULL) {
        if (memchr(from, '@', (size_t)(at - from)) != NULL)
            return "it has more than one @ before the host; an @ in a user name or password is written %40";
        const char *wrong = parse_user(url, from, at);
        if (wrong != NULL)
            return wrong;
        from = at + 1;
    }
    url->hosts = tr_strndup(from, (size_t)(end - from));
    for (const char *host = from;;) {
        const char *comma = memchr(host, ',', (size_t)(end - host));
        const char *wrong = parse_host(url, host, comma != NULL ? comma : end);
        if (wrong != NULL || comma == NULL)
            return wrong;
        host = comma + 1;
    }
}

static const char *
parse_params(struct tr_url *url, const char *from)
{
    while (*from != '\0') {
        const char *end = strchrnul(from, '&');
        const char *equals = memchr(from, '=', (size_t)(end - from));
        if (equals == NULL || equals == from)
            return "a parameter after the ? is not of the form key=value";
        if (url->nparams == PARAMS_MAX)
            return "it has too many parameters";
        url->params = tr_realloc(url->params, sizeof(*url->params) * (size_t)(url->nparams + 1));
        struct tr_url_param *param = &url->params[url->nparams++];
        param->key = decode(from, (size_t)(equals - from));
        param->value = decode(equals + 1, (size_t)(end - equals - 1));
        if (param->key == NULL || param->value == NULL)
            return "a parameter after the ? has a broken % escape";
        from = *end == '&' ? end + 1 : end;
    }
    return NULL;
}

static const char *
parse_rest(struct tr_url *url, const char *rest)
{
    const char *query = strchr(rest, '?');
    const char *end = query != NULL ? query : rest + strlen(rest);
    bool has_authority = rest[0] == '/' && rest[1] == '/';
    if (has_authority) {
        const char *slash = memchr(rest + 2, '/', (size_t)(end - rest - 2));
        const char *wrong = parse_authority(url, rest + 2, slash != NULL ? slash : end);
        if (wrong != NULL)
            return wrong;
        rest = slash != NULL ? slash + 1 : end;
        if (slash != NULL && (url->path = decode(rest, (size_t)(end - rest))) == NULL)
            return "the path has a broken % escape";
    } else if (rest < end && (url->path = decode(rest, (size_t)(end - rest))) == NULL) {
        return "the path has a broken % escape";
    }
    return query != NULL ? parse_params(url, query + 1) : NULL;
}

int
tr_url_parse(const char *text, struct tr_url *url, struct tr_error *err)
{
    *url = (struct tr_url){ 0 };
    size_t n = scheme_length(text);
    const char *wrong = NULL;
    if (strlen(text) > URL_MAX)
        return tr_fail(err, TR_CONFIG, "a URL is longer than %d bytes", URL_MAX);
    if (n == 0)
        return fail_url(err, text, "it does not begin with a scheme, such as postgresql://");
    url->scheme = tr_strndup(text, n);
    for (char *c = url->scheme; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    wrong = parse_rest(url, text + n + 1);
    if (url->hosts == NULL)
        url->hosts = tr_strdup("");
    if (url->host == NULL)
        url->host = tr_strdup("");
    if (wrong == NULL)
        return 0;
    tr_url_fini(url);
    return fail_url(err, text, wrong);
}

/* Any text of a URL may hold a secret (sslpassword=...), so all are wiped. */
static void
wipe_free(char *text)
{
    if (text != NULL)
        tr_wipe(text, strlen(text));
    free(text);
}

void
tr_url_fini(struct tr_url *url)
{
    free(url->scheme);
    free(url->user);
    wipe_free(url->password);
    free(url->hosts);
    free(url->host);
    free(url->path);
    for (int i = 0; i < url->nparams; i++) {
        free(url->params[i].key);
        wipe_free(url->params[i].value);
    }
    free(url->params);
    *url = (struct tr_url){ 0 };
}

const char *
tr_url_param(const struct tr_url *url, const char *key)
{
    /* The last one wins, as in libpq. */
    for (int i = url->nparams - 1; i >= 0; i--)
        if (strcmp(url->params[i].key, key) == 0)
            return url->params[i].value;
    return NULL;
}

/* A parameter whose value nobody must read: password, sslpassword, access_token, client_secret, sasl.password... */
static bool
is_secret_param(const char *key, size_t len)
{
    static const char *const words[] = { "password", "passwd", "pwd", "secret", "token", "passphrase" };
    char name[64];
    if (len >= sizeof(name) || memchr(key, '%', len) != NULL)
        return true;
    memcpy(name, key, len);
    name[len] = '\0';
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasestr(name, words[i]) != NULL)
            return true;
    return false;
}

static void
redact_params(struct tr_buffer *out, const char *query)
{
    while (*query != '\0') {
        const char *end = strchrnul(query, '&');
        const char *equals = memchr(query, '=', (size_t)(end - query));
        if (equals != NULL && is_secret_param(query, (size_t)(equals - query))) {
            tr_buffer_add(out, query, (size_t)(equals + 1 - query));
            tr_buffer_text(out, "***");
        } else {
            tr_buffer_add(out, query, (size_t)(end - query));
        }
        if (*end == '&')
            tr_buffer_byte(out, '&');
        query = *end == '&' ? end + 1 : end;
    }
}

/*
 * Works on texts that are no valid URL too, because those are the ones that get into messages: a password may hold a raw @, / or ?.
 * So everything from the first colon behind the // to the last @ is hidden, to the end when that @ stands behind a question mark, where
 * it may itself be part of a secret. Text without a scheme (a key=value connection string) is hidden whole.
 */
char *
tr_url_redact(const char *text)
{
    struct tr_buffer out;
    const char *slashes = strstr(text, "://");
    if (slashes == NULL && scheme_length(text) == 0)
        return tr_strdup("***");
    const char *start = slashes != NULL ? slashes + 3 : text;
    const char *query = strchr(start, '?');
    const char *at = strrchr(start, '@');
    const char *colon = at != NULL ? memchr(start, ':', (size_t)(at - start)) : NULL;
    tr_buffer_init(&out, TR_BUFFER_MAX);
    if (colon != NULL) {
        tr_buffer_add(&out, text, (size_t)(colon + 1 - text));
        tr_buffer_text(&out, "***");
        text = query != NULL && at > query ? "" : at;
        query = strchr(text, '?');
    }
    size_t plain = query != NULL ? (size_t)(query + 1 - text) : strlen(text);
    tr_buffer_add(&out, text, plain);
    redact_params(&out, text + plain);
    return out.data != NULL ? out.data : tr_strdup("");
}

static bool
host_is_local(const char *host, size_t len)
{
    char name[256];
    struct in_addr v4;
    struct in6_addr v6;
    if (len == 0 || host[0] == '/' ||
        host[0] == '@') /* nothing given = the default socket; a directory; an abstract socket */
        return true;
    if (len >= sizeof(name))
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    if (strcasecmp(name, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, name, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* "a,b,c" of bare hosts (a parameter), or of host:port (the authority). */
static bool
hosts_are_local(const char *list, bool with_ports)
{
    for (const char *host = list;;) {
        const char *end = strchrnul(host, ',');
        const char *stop = end;
        const char *from = host;
        if (with_ports && *host == '[') {
            from = host + 1;
            stop = memchr(from, ']', (size_t)(end - from));
            stop = stop != NULL ? stop : end;
        } else if (with_ports && memchr(host, ':', (size_t)(end - host)) != NULL) {
            stop = memchr(host, ':', (size_t)(end - host));
        }
        char *decoded = with_ports ? decode(from, (size_t)(stop - from))
                                   : tr_strndup(from, (size_t)(stop - from));
        bool local = decoded != NULL && host_is_local(decoded, strlen(decoded));
        free(decoded);
        if (!local || *end == '\0')
            return local;
        host = end + 1;
    }
}

/* Every place the URL names must be local: which of them is dialled depends on the client library. */
bool
tr_url_is_local(const struct tr_url *url)
{
    if (!hosts_are_local(url->hosts, true))
        return false;
    for (int i = 0; i < url->nparams; i++) {
        const char *key = url->params[i].key;
        if (strcmp(key, "service") == 0)
            return false;
        bool names_host = strcmp(key, "host") == 0 || strcmp(key, "hostaddr") == 0;
        if (names_host && !hosts_are_local(url->params[i].value, false))
            return false;
    }
    return true;
}
