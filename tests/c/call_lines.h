/* What the programs share that answer questions about whole calls: calls.c says how these are written. */
#ifndef CALL_LINES_H
#define CALL_LINES_H

#include "lines.h"

static inline int is_true(const char *text) {
    return strcmp(text, "true") == 0;
}

/* The bytes that a body at this place has. */
static inline void fill(uint8_t *bytes, size_t size, size_t at) {
    size_t i;
    for (i = 0; i < size; i++) bytes[i] = (uint8_t)((at + i) % 65536 % 251);
}

static inline void print_attempt(const reknock_attempt_record *record) {
    CHECK(record != NULL);
    printf("\t%d\t%s\t%d\t%u\t%lld\t%lld\t%d\t%d\t%lld\t%llu\t%s\t%u", (int)record->http_status, reknock_status_name(record->error),
           (int)record->evidence, (unsigned)record->hop, (long long)record->hint_us, (long long)record->wait_us, (int)record->reused,
           (int)record->http_version, (long long)record->first_byte_us, (unsigned long long)record->duration_us, record->peer,
           (unsigned)record->interim);
}

#endif
