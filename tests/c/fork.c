/* fork URL: what a forked child may do with what it inherited, while a call of the parent is in flight and a body is
 * being read. URL answers 503, then 500,000 bytes. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <sys/wait.h>
#include <unistd.h>

static void get(reknock_client *client, reknock_request *request) {
    reknock_response *response = NULL;
    OK(reknock_client_send(client, request, NULL, &response, error));
    CHECK(reknock_response_status(response) == 200);
    reknock_response_free(response);
}

static int child(reknock_client *client, reknock_request *request, reknock_queue *inherited, reknock_response *streamed) {
    reknock_queue *queue = NULL;
    reknock_completion completion;
    uint8_t buffer[10];
    size_t count;
    get(client, request);
    CHECK(reknock_response_status(streamed) == 200);
    CHECK(reknock_response_read(streamed, buffer, sizeof buffer, &count, NULL) == REKNOCK_ERROR_CLOSED);
    reknock_response_free(streamed);
    CHECK(reknock_client_submit(client, request, NULL, inherited, NULL, NULL, NULL) == REKNOCK_ERROR_CLOSED);
    CHECK(reknock_queue_next(inherited, &completion) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(reknock_queue_pending(inherited) == 0);
    reknock_call_cancel(inherited, 1);
    reknock_queue_free(inherited);
    OK(reknock_queue_new(&queue, error));
    OK(reknock_client_submit(client, request, NULL, queue, NULL, NULL, error));
    completion = next_completion(queue);
    CHECK(completion.status == REKNOCK_OK);
    reknock_response_free(completion.response);
    reknock_queue_free(queue);
    reknock_client_free(client);
    return 0;
}

int main(int argc, char **argv) {
    reknock_client *client = new_client("{backoff: {base: 100ms}}");
    reknock_request *request;
    reknock_queue *queue = NULL;
    reknock_completion completion;
    int round;
    CHECK(argc == 2);
    request = new_request("GET", argv[1]);
    get(client, request);
    OK(reknock_queue_new(&queue, error));
    for (round = 0; round < 10; round++) {
        reknock_response *streamed = NULL;
        uint8_t buffer[1000];
        size_t total, count;
        int status = 0;
        pid_t pid;
        if (round % 2) {
            OK(reknock_client_stream(client, request, NULL, &streamed, error));
        } else {
            OK(reknock_client_submit_stream(client, request, NULL, queue, NULL, NULL, error));
            streamed = next_completion(queue).response;
            CHECK(streamed != NULL);
        }
        OK(reknock_client_submit(client, request, NULL, queue, NULL, NULL, error));
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) _exit(child(client, request, queue, streamed));
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        for (total = 0; total < 500000; total += count) OK(reknock_response_read(streamed, buffer, sizeof buffer, &count, error));
        reknock_response_free(streamed);
        completion = next_completion(queue);
        CHECK(completion.status == REKNOCK_OK);
        reknock_response_free(completion.response);
        get(client, request);
    }
    reknock_queue_free(queue);
    reknock_request_free(request);
    reknock_client_free(client);
    return 0;
}
