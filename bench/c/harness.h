/* What a C client provides to be measured, once as blocking calls and once as many calls on one thread. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stddef.h>

typedef struct {
    const char *url;
    int in_flight;
    int retries;
} task;

/* The answer to one call. The bytes are valid until the next call of the same slot. */
typedef struct {
    int status; /* of HTTP; 0: no response */
    const unsigned char *bytes;
    size_t length;
} reply;

/* Makes a client with in_flight slots. Ends the process if it cannot. */
void client_open(const task *task, int blocking);

/* Sends and waits, in any thread; a slot is used by one thread at a time. */
reply client_call(int slot);

/* Sends without waiting, then waits for whichever slot is done first. One thread. */
void client_submit(int slot);
reply client_next(int *slot);

#endif
