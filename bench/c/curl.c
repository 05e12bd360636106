/* libcurl: the easy interface with a handle per thread, and the multi interface with all handles on one thread.
 * It repeats nothing by itself, so a loop does: a 503 is sent again at once. */
#include "harness.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    CURL *easy;
    unsigned char *bytes;
    size_t length, capacity;
    int retries_left;
} slot_state;

static slot_state *slots;
static CURLM *multi;
static int retries;

static size_t store(char *data, size_t size, size_t count, void *argument) {
    slot_state *slot = argument;
    size_t length = size * count;
    if (slot->length + length > slot->capacity) {
        slot->capacity = 2 * (slot->length + length);
        slot->bytes = realloc(slot->bytes, slot->capacity);
        if (!slot->bytes) abort();
    }
    memcpy(slot->bytes + slot->length, data, length);
    slot->length += length;
    return length;
}

void client_open(const task *task, int blocking) {
    int i;
    retries = task->retries;
    curl_global_init(CURL_GLOBAL_ALL);
    if (!blocking) {
        multi = curl_multi_init();
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)task->in_flight);
    }
    slots = calloc((size_t)task->in_flight, sizeof *slots);
    for (i = 0; i < task->in_flight; i++) {
        slots[i].easy = curl_easy_init();
        curl_easy_setopt(slots[i].easy, CURLOPT_URL, task->url);
        curl_easy_setopt(slots[i].easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(slots[i].easy, CURLOPT_WRITEFUNCTION, store);
        curl_easy_setopt(slots[i].easy, CURLOPT_WRITEDATA, &slots[i]);
        curl_easy_setopt(slots[i].easy, CURLOPT_PRIVATE, &slots[i]);
    }
}

static reply answer(slot_state *slot, CURLcode result) {
    reply reply = {0, slot->bytes, slot->length};
    long status = 0;
    if (result == CURLE_OK) {
        curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    } else {
        fprintf(stderr, "Error: %s\n", curl_easy_strerror(result));
    }
    reply.status = (int)status;
    return reply;
}

reply client_call(int number) {
    slot_state *slot = &slots[number];
    int left = retries;
    for (;;) {
        reply reply;
        slot->length = 0;
        reply = answer(slot, curl_easy_perform(slot->easy));
        if (reply.status != 503 || left-- == 0) return reply;
    }
}

static void send_slot(slot_state *slot) {
    slot->length = 0;
    curl_multi_add_handle(multi, slot->easy);
}

void client_submit(int number) {
    slots[number].retries_left = retries;
    send_slot(&slots[number]);
}

/* The next transfer that ended, NULL if none did. */
static slot_state *finished(CURLcode *result) {
    slot_state *slot = NULL;
    int left;
    CURLMsg *message = curl_multi_info_read(multi, &left);
    if (!message) return NULL;
    *result = message->data.result;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
    curl_multi_remove_handle(multi, slot->easy);
    return slot;
}

reply client_next(int *number) {
    int performed = 0;
    for (;;) {
        CURLcode result;
        slot_state *slot = finished(&result);
        if (slot) {
            reply reply = answer(slot, result);
            if (reply.status != 503 || slot->retries_left-- == 0) {
                *number = (int)(slot - slots);
                return reply;
            }
            send_slot(slot);
            performed = 0;
        } else if (!performed) {
            int running;
            curl_multi_perform(multi, &running);
            performed = 1;
        } else {
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
            performed = 0;
        }
    }
}
