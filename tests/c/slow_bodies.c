/* slow_bodies ECHO FINE: functions that take their time hold up no completion of a queue: what is over comes out first, and each reknock_queue_next
 * runs one of them at most. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <time.h>

enum { BODIES = 4, PIECES = 40 };

static int reads;

static reknock_answer read_slowly(void *user_data, uint8_t *buffer, size_t size, size_t *written) {
    int *left = (int *)user_data;
    struct timespec nap = {0, 20 * 1000 * 1000};
    CHECK(size >= 8);
    reads++;
    if (*left == 0) {
        *written = 0;
        return REKNOCK_ANSWER_DEFAULT;
    }
    --*left;
    nanosleep(&nap, NULL);
    memcpy(buffer, "letters", 8);
    *written = 8;
    return REKNOCK_ANSWER_DEFAULT;
}

/* The next completion. Each look runs one callback at most, and the descriptor says when there is more to do. */
static reknock_completion watched_completion(reknock_queue *queue) {
    reknock_completion completion;
    struct pollfd poller;
    poller.fd = reknock_queue_descriptor(queue);
    poller.events = POLLIN;
    memset(&completion, 0, sizeof completion);
    for (;;) {
        int before = reads;
        reknock_status status = reknock_queue_next(queue, &completion);
        CHECK(reads - before <= 1);
        if (status == REKNOCK_OK) return completion;
        CHECK(status == REKNOCK_EMPTY && poll(&poller, 1, 20000) == 1);
    }
}

int main(int argc, char **argv) {
    reknock_client *client = new_client("{}");
    reknock_request *get;
    reknock_queue *queue = NULL;
    reknock_call call = 0, quick = 0;
    int left[BODIES], i, before_the_quick_one = -1;
    CHECK(argc == 3);
    OK(reknock_queue_new(&queue, error));
    for (i = 0; i < BODIES; i++) {
        reknock_request *upload = new_request("PUT", argv[1]);
        left[i] = PIECES;
        OK(reknock_request_set_body_stream(upload, read_slowly, NULL, REKNOCK_LENGTH_UNKNOWN, &left[i], NULL, error));
        OK(reknock_client_submit(client, upload, NULL, queue, NULL, &call, error));
        reknock_request_free(upload);
    }
    get = new_request("GET", argv[2]);
    OK(reknock_client_submit(client, get, NULL, queue, NULL, &quick, error));
    for (i = 0; i < BODIES + 1; i++) {
        reknock_completion completion = watched_completion(queue);
        CHECK(completion.status == REKNOCK_OK && reknock_response_status(completion.response) == 200);
        if (completion.call == quick) before_the_quick_one = reads;
        reknock_response_free(completion.response);
    }
    /* All of them would be 164. */
    CHECK(reads == BODIES * (PIECES + 1) && before_the_quick_one >= 0 && before_the_quick_one < reads / 2);
    reknock_request_free(get);
    reknock_queue_free(queue);
    reknock_client_free(client);
    return 0;
}
