/* fake.h - a registry whose connectors have options and nothing else, for tests of the configuration. */
#ifndef TR_TESTS_UNIT_APP_FAKE_H
#define TR_TESTS_UNIT_APP_FAKE_H

#include "app/registry.h"

/* Source "lake" (lake:, pond:) with slot, tls (bool), batch, password (secret); targets "sea" (sea:) with batch, depth and the formats "salt" and "sweet" (with sugar), and "out" (stdout:, file:). */
const struct tr_registry *fake_registry(void);

#endif
