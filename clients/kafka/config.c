/* config.c - librdkafka's properties for connections and for readers of one topic. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "clients/kafka/client.h"

int
tr_kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct tr_error *err)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return 0;
    return tr_fail(err, TR_CONFIG, "librdkafka %s does not take %s: %s", rd_kafka_version_str(), name, why);
}

static int
set_given(rd_kafka_conf_t *conf, const char *name, const char *value, struct tr_error *err)
{
    return value == NULL || value[0] == '\0' ? 0 : tr_kafka_set(conf, name, value, err);
}

/* librdkafka speaks of its own properties, and of a file that is not there as of an error in OpenSSL. */
static int
check_file(const char *option, const char *path, struct tr_error *err)
{
    if (path == NULL || path[0] == '\0' || access(path, R_OK) == 0)
        return 0;
    return tr_fail(err, TR_CONFIG, "%s: cannot read %s: %s", option, path, strerror(errno));
}

/* By its option, or by the property of librdkafka that takes the text instead of a file. */
static bool
is_given(const rd_kafka_conf_t *conf, const char *path, const char *pem)
{
    size_t size = 0;
    return (path != NULL && path[0] != '\0') ||
           (rd_kafka_conf_get(conf, pem, NULL, &size) == RD_KAFKA_CONF_OK && size > 1);
}

static int
check_files(const rd_kafka_conf_t *conf, const struct tr_kafka_security *security, struct tr_error *err)
{
    bool certificate = is_given(conf, security->certificate, "ssl.certificate.pem"),
         key = is_given(conf, security->key, "ssl.key.pem");
    if (certificate != key)
        return tr_fail(err, TR_CONFIG, "%s is given without %s", certificate ? "tls_certificate" : "tls_key",
                       certificate ? "tls_key" : "tls_certificate");
    int rc = check_file("tls_ca", security->ca, err);
    if (rc == 0)
        rc = check_file("tls_certificate", security->certificate, err);
    return rc == 0 ? check_file("tls_key", security->key, err) : rc;
}

static int
set_tls(rd_kafka_conf_t *conf, const struct tr_kafka_security *security, struct tr_error *err)
{
    int rc = check_files(conf, security, err);
    if (rc == 0)
        rc = set_given(conf, "ssl.ca.location", security->ca, err);
    if (rc == 0)
        rc = set_given(conf, "ssl.certificate.location", security->certificate, err);
    if (rc == 0)
        rc = set_given(conf, "ssl.key.location", security->key, err);
    if (rc == 0)
        rc = tr_kafka_set(conf, "enable.ssl.certificate.verification", security->verify ? "true" : "false",
                          err);
    if (rc == 0)
        rc = tr_kafka_set(conf, "ssl.endpoint.identification.algorithm", security->verify ? "https" : "none",
                          err);
    return rc;
}

static bool
has_property(const rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char have[64];
    size_t size = sizeof(have);
    return rd_kafka_conf_get(conf, name, have, &size) == RD_KAFKA_CONF_OK && strcasecmp(have, value) == 0;
}

/* Without a source of tokens librdkafka logs nothing in and says nothing. */
static int
check_token(const rd_kafka_conf_t *conf, struct tr_error *err)
{
    if (has_property(conf, "sasl.oauthbearer.method", "oidc") ||
        has_property(conf, "enable.sasl.oauthbearer.unsecure.jwt", "true"))
        return 0;
    tr_fail(err, TR_CONFIG, "sasl_mechanism: OAUTHBEARER has no source of tokens");
    return tr_error_hint(
        err,
        "kafka: [\"sasl.oauthbearer.method=oidc\", \"sasl.oauthbearer.client.id=...\", \"sasl.oauthbearer.client.secret=...\", "
        "\"sasl.oauthbearer.token.endpoint.url=...\"] asks a server for them; for trials "
        "[\"enable.sasl.oauthbearer.unsecure.jwt=true\", \"sasl.oauthbearer.config=principal=NAME\"] makes them here");
}

int
tr_kafka_set_connection(rd_kafka_conf_t *conf, const struct tr_url *url,
                        const struct tr_kafka_security *security, struct tr_error *err)
{
    bool tls = strcmp(security->tls, "on") == 0 ||
               (strcmp(security->tls, "auto") == 0 && !tr_url_is_local(url));
    bool sasl = url->user != NULL || strcmp(security->mechanism, "OAUTHBEARER") == 0;
    const char *protocol = tls ? (sasl ? "sasl_ssl" : "ssl") : (sasl ? "sasl_plaintext" : "plaintext");
    int rc = tr_kafka_set(conf, "bootstrap.servers", url->hosts, err);
    if (rc == 0 && has_property(conf, "client.id", "rdkafka")) /* the library's own: the user has set none */
        rc = tr_kafka_set(conf, "client.id", "tailrace", err);
    if (rc == 0)
        rc = tr_kafka_set(conf, "security.protocol", protocol, err);
    if (rc == 0 && tls)
        rc = set_tls(conf, security, err);
    if (rc == 0 && sasl)
        rc = tr_kafka_set(conf, "sasl.mechanisms", security->mechanism, err);
    if (rc == 0 && strcmp(security->mechanism, "OAUTHBEARER") == 0)
        rc = check_token(conf, err);
    if (rc == 0)
        rc = set_given(conf, "sasl.username", url->user, err);
    if (rc == 0)
        rc = set_given(conf, "sasl.password", url->password, err);
    return rc;
}

int
tr_kafka_set_reader(rd_kafka_conf_t *conf, bool committed, struct tr_error *err)
{
    static const char *const properties[][2] = {
        { "enable.partition.eof", "true" },  { "enable.auto.commit", "false" },
        { "auto.offset.reset", "earliest" }, { "fetch.wait.max.ms", "50" },
        { "fetch.error.backoff.ms", "50" },
    };
    int rc = tr_kafka_set(conf, "isolation.level", committed ? "read_committed" : "read_uncommitted", err);
    for (size_t i = 0; rc == 0 && i < sizeof(properties) / sizeof(properties[0]); i++)
        rc = tr_kafka_set(conf, properties[i][0], properties[i][1], err);
    return rc;
}
