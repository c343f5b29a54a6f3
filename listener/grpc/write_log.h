/* write_log: logs.LogService/WriteLog. An entry is answered once it is stored. */
#ifndef FLEXI_LISTENER_GRPC_WRITE_LOG_H
#define FLEXI_LISTENER_GRPC_WRITE_LOG_H

#include "call.h"
#include "entry/entry.h"
#include "store/writer.h"

/* The writer that entries go to; call it before there are calls. */
void write_log_use(struct writer *writer);

/* The method. */
void write_log(struct call *call, struct text message);

/* What the metadata say of an entry: a new id, INFO and now are what is taken if they are silent. */
enum error_code write_log_metadata(const struct call_metadata *metadata, struct entry *entry,
				   struct error *e);

#endif
