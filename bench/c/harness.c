/* Measures one C client: PROGRAM blocking|async URL IN_FLIGHT WARM SECONDS RETRIES. The protocol is described in bench/README.md. */
#define _GNU_SOURCE
#include "harness.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    unsigned long long calls, bytes;
    double wall;
    uint32_t checksum; /* of a last body */
} phase;

typedef struct {
    pthread_t thread;
    int slot;
    double end;
    phase done;
} worker;

static int blocking;
static int in_flight;
static pthread_barrier_t ready;

static double seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double now(void) { return seconds_of(CLOCK_MONOTONIC); }

static uint32_t checksum(const reply *reply) {
    uint32_t sum = 0;
    size_t i;
    for (i = 0; i < reply->length; i++) sum = sum * 31 + reply->bytes[i];
    return sum;
}

static void count(phase *done, const reply *reply) {
    if (reply->status != 200) {
        fprintf(stderr, "status %d\n", reply->status);
        exit(1);
    }
    done->calls++;
    done->bytes += reply->length;
}

static void work(worker *self) {
    for (;;) {
        reply reply = client_call(self->slot);
        count(&self->done, &reply);
        if (now() >= self->end) {
            self->done.checksum = checksum(&reply);
            return;
        }
    }
}

static void *work_in_thread(void *argument) {
    pthread_barrier_wait(&ready);
    work(argument);
    return NULL;
}

/* One call at a time per slot, each slot in a thread of its own, or on the main thread if there is one. */
static phase blocking_phase(double seconds) {
    worker *workers = calloc((size_t)in_flight, sizeof *workers);
    phase total = {0};
    double begin;
    int i;
    pthread_barrier_init(&ready, NULL, (unsigned)in_flight + 1);
    for (i = 0; i < in_flight; i++) {
        workers[i].slot = i;
        workers[i].end = now() + seconds;
        if (in_flight > 1 && pthread_create(&workers[i].thread, NULL, work_in_thread, &workers[i])) abort();
    }
    if (in_flight > 1) pthread_barrier_wait(&ready);
    begin = now();
    if (in_flight == 1) work(&workers[0]);
    for (i = 0; i < in_flight; i++) {
        if (in_flight > 1) pthread_join(workers[i].thread, NULL);
        total.calls += workers[i].done.calls;
        total.bytes += workers[i].done.bytes;
        total.checksum = workers[i].done.checksum;
    }
    total.wall = now() - begin;
    pthread_barrier_destroy(&ready);
    free(workers);
    return total;
}

/* All slots on this thread. */
static phase async_phase(double seconds) {
    phase total = {0};
    double begin = now();
    int running = in_flight, i;
    for (i = 0; i < in_flight; i++) client_submit(i);
    while (running > 0) {
        int slot = 0;
        reply reply = client_next(&slot);
        count(&total, &reply);
        if (now() < begin + seconds) {
            client_submit(slot);
        } else if (--running == 0) {
            total.checksum = checksum(&reply);
        }
    }
    total.wall = now() - begin;
    return total;
}

static phase run(double seconds) { return blocking ? blocking_phase(seconds) : async_phase(seconds); }

/* Largest memory of this process so far. Not ru_maxrss, which starts with that of the process that started us. */
static long peak_kib(void) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;
    while (status && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %ld", &kib);
    if (status) fclose(status);
    return kib;
}

int main(int argc, char **argv) {
    task task;
    phase first = {0}, warm, timed;
    reply reply;
    double start, cpu, warm_seconds, seconds;
    uint32_t first_checksum;
    long bare = peak_kib();
    int slot = 0;

    if (argc != 7) {
        fprintf(stderr, "usage: %s blocking|async URL IN_FLIGHT WARM SECONDS RETRIES\n", argv[0]);
        return 2;
    }
    blocking = strcmp(argv[1], "blocking") == 0;
    task.url = argv[2];
    task.in_flight = in_flight = atoi(argv[3]);
    warm_seconds = atof(argv[4]);
    seconds = atof(argv[5]);
    task.retries = atoi(argv[6]);

    start = now();
    client_open(&task, blocking);
    if (!blocking) client_submit(0);
    reply = blocking ? client_call(0) : client_next(&slot);
    count(&first, &reply);
    first_checksum = checksum(&reply);
    start = now() - start;

    warm = run(warm_seconds);
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    timed = run(seconds);
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("{\"calls\": %llu, \"all_calls\": %llu, \"wall\": %.6f, \"cpu\": %.6f, \"bytes\": %llu, \"checksums\": [%u, %u], "
           "\"import\": null, \"start\": %.6f, \"bare_kib\": %ld, \"peak_kib\": %ld}\n",
           timed.calls, 1 + warm.calls + timed.calls, timed.wall, cpu, first.bytes + warm.bytes + timed.bytes,
           (unsigned)first_checksum, (unsigned)timed.checksum, start, bare, peak_kib());
    return 0;
}
