/* http: the transport that posts an entry to the handler log on the internal site. */
#ifndef FLEXI_TRANSPORT_HTTP_H
#define FLEXI_TRANSPORT_HTTP_H

#include "transport/transport.h"

enum outcome http_send(const struct entry *entry, int64_t deadline_ms, struct error *e);

#endif
