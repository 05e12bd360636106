/* What the test programs share. */
#ifndef CHECK_H
#define CHECK_H

#include <poll.h>
#include <reknock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)

/* A call that must work. */
#define OK(call)                                                                                          \
    do {                                                                                                  \
        reknock_error *ok_error = NULL;                                                                   \
        reknock_error **error = &ok_error;                                                                \
        if ((call) != REKNOCK_OK) {                                                                       \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, reknock_error_message(ok_error)); \
            exit(1);                                                                                      \
        }                                                                                                 \
    } while (0)

static inline reknock_client *new_client(const char *yaml) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_policy *policy = NULL;
    reknock_client *client = NULL;
    OK(reknock_policy_from_yaml(yaml, &policy, error));
    options.policy = policy;
    OK(reknock_client_new(&options, &client, error));
    reknock_policy_free(policy);
    return client;
}

static inline reknock_request *new_request(const char *method, const char *url) {
    reknock_request *request = NULL;
    OK(reknock_request_new(method, url, &request, error));
    return request;
}

/* Waits for the next completion of a queue, and runs its callbacks. */
static inline reknock_completion next_completion(reknock_queue *queue) {
    reknock_completion completion;
    struct pollfd poller;
    poller.fd = reknock_queue_descriptor(queue);
    poller.events = POLLIN;
    memset(&completion, 0, sizeof completion);
    while (reknock_queue_next(queue, &completion) == REKNOCK_EMPTY) CHECK(poll(&poller, 1, 20000) == 1);
    return completion;
}

#endif
