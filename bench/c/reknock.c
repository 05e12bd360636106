/* reknock: blocking calls in as many threads as there are slots, or calls on a completion queue that one thread drains. */
#include "harness.h"

#include <poll.h>
#include <reknock.h>
#include <stdio.h>
#include <stdlib.h>

static reknock_client *client;
static reknock_request *request;
static reknock_queue *queue;
static reknock_response **responses; /* the last one of each slot */

static void check(reknock_status status, reknock_error *error) {
    if (status != REKNOCK_OK) {
        fprintf(stderr, "%s\n%s", reknock_error_message(error), reknock_error_explain(error));
        exit(1);
    }
}

void client_open(const task *task, int blocking) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_policy *policy = NULL;
    reknock_error *error = NULL;
    char yaml[128];
    snprintf(yaml, sizeof yaml, "{max_retries: %d, statuses: [503], backoff: none}", task->retries);
    check(reknock_policy_from_yaml(yaml, &policy, &error), error);
    options.policy = policy;
    check(reknock_client_new(&options, &client, &error), error);
    check(reknock_request_new("GET", task->url, &request, &error), error);
    if (!blocking) check(reknock_queue_new(&queue, &error), error);
    reknock_policy_free(policy);
    responses = calloc((size_t)task->in_flight, sizeof *responses);
}

/* Keeps the response until the slot's next one. */
static reply answer(int slot, reknock_response *response) {
    reply reply = {0, NULL, 0};
    reknock_response_free(responses[slot]);
    responses[slot] = response;
    reply.status = (int)reknock_response_status(response);
    reply.bytes = reknock_response_body(response, &reply.length);
    return reply;
}

reply client_call(int slot) {
    reknock_response *response = NULL;
    reknock_error *error = NULL;
    check(reknock_client_send(client, request, NULL, &response, &error), error);
    return answer(slot, response);
}

void client_submit(int slot) {
    reknock_error *error = NULL;
    check(reknock_client_submit(client, request, NULL, queue, &responses[slot], NULL, &error), error);
}

reply client_next(int *slot) {
    struct pollfd descriptor = {reknock_queue_descriptor(queue), POLLIN, 0};
    reknock_completion completion;
    while (reknock_queue_next(queue, &completion) != REKNOCK_OK) poll(&descriptor, 1, -1);
    check(completion.status, completion.error);
    *slot = (int)((reknock_response **)completion.user_data - responses);
    return answer(*slot, completion.response);
}
