/* queue_stream BIG CUT STALLED REFUSED: responses whose bodies are read through a queue. BIG answers 503, then a large body; CUT breaks
 * its body off, STALLED stops after ten bytes, REFUSED refuses connections. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>

static int marker;

/* The response of a streamed call. */
static reknock_response *submit_stream(reknock_client *client, reknock_request *request, const reknock_call_options *options,
                                       reknock_queue *queue) {
    reknock_completion completion;
    reknock_call call = 0;
    OK(reknock_client_submit_stream(client, request, options, queue, &marker, &call, error));
    completion = next_completion(queue);
    CHECK(completion.call == call && completion.user_data == &marker && completion.status == REKNOCK_OK);
    CHECK(reknock_response_status(completion.response) == 200);
    return completion.response;
}

static reknock_call submit_read(reknock_response *response, reknock_queue *queue) {
    reknock_call call = 0;
    OK(reknock_response_submit_read(response, queue, response, &call, error));
    return call;
}

/* Waits for a read, and checks that it is the one that was meant. */
static reknock_completion read_completion(reknock_response *response, reknock_queue *queue) {
    reknock_call call = submit_read(response, queue);
    reknock_completion completion = next_completion(queue);
    CHECK(completion.call == call && completion.user_data == response);
    return completion;
}

static void whole_bodies_arrive(reknock_client *client, reknock_queue *queue, const char *url) {
    reknock_request *request = new_request("GET", url);
    reknock_response *response = submit_stream(client, request, NULL, queue);
    uint8_t buffer[1000];
    size_t total = 0, count, i;
    CHECK(reknock_response_attempt_count(response) == 2);
    for (;;) {
        reknock_completion completion = read_completion(response, queue);
        CHECK(completion.status == REKNOCK_OK && completion.response == response && completion.error == NULL);
        /* Some of the piece, so that the next read has a rest to give. */
        OK(reknock_response_read(response, buffer, sizeof buffer, &count, error));
        if (count == 0) break;
        for (i = 0; i < count; i++, total++) CHECK(buffer[i] == total % 65536 % 251);
    }
    CHECK(total == 3000000);
    reknock_response_free(response);

    /* A thread may read what came from a queue, too; and what came whole is there. */
    response = submit_stream(client, request, NULL, queue);
    for (total = 0; total < 3000000; total += count) OK(reknock_response_read(response, buffer, sizeof buffer, &count, error));
    reknock_response_free(response);
    OK(reknock_client_submit(client, request, NULL, queue, NULL, NULL, error));
    response = next_completion(queue).response;
    CHECK(reknock_response_submit_read(response, queue, NULL, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    OK(reknock_response_read(response, buffer, sizeof buffer, &count, error));
    CHECK(count == sizeof buffer);
    reknock_response_free(response);
    reknock_request_free(request);
}

static void failures_come_out(reknock_client *client, reknock_queue *queue, const char *cut, const char *refused) {
    reknock_request *request = new_request("GET", cut);
    reknock_response *response = submit_stream(client, request, NULL, queue);
    reknock_completion completion;
    uint8_t buffer[100];
    size_t count;
    do {
        completion = read_completion(response, queue);
        if (completion.status == REKNOCK_OK) OK(reknock_response_read(response, buffer, sizeof buffer, &count, error));
    } while (completion.status == REKNOCK_OK && count > 0);
    CHECK(completion.status == REKNOCK_ERROR_BODY && completion.response == NULL);
    CHECK(reknock_error_http_status(completion.error) == 200);
    reknock_error_free(completion.error);
    reknock_response_free(response);

    OK(reknock_request_set_url(request, refused, error));
    OK(reknock_client_submit_stream(client, request, NULL, queue, NULL, NULL, error));
    completion = next_completion(queue);
    CHECK(completion.status == REKNOCK_ERROR_CONNECT && reknock_error_attempt_count(completion.error) == 3);
    reknock_error_free(completion.error);
    reknock_request_free(request);
}

/* A response that has given its ten bytes. */
static reknock_response *stalled(reknock_client *client, reknock_request *request, const reknock_call_options *options, reknock_queue *queue) {
    reknock_response *response = submit_stream(client, request, options, queue);
    uint8_t buffer[100];
    size_t count, total;
    for (total = 0; total < 10; total += count) OK(reknock_response_read(response, buffer, sizeof buffer, &count, error));
    return response;
}

static void reads_are_cancelled(reknock_queue *queue, const char *url) {
    reknock_client *client = new_client("{}");
    reknock_request *request = new_request("GET", url);
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_response *response = stalled(client, request, NULL, queue);
    reknock_completion completion;
    uint8_t byte;
    size_t count;

    /* By its number. Meanwhile the response is busy. */
    reknock_call call = submit_read(response, queue);
    CHECK(reknock_response_read(response, &byte, 1, &count, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(reknock_response_submit_read(response, queue, NULL, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    reknock_call_cancel(queue, call);
    completion = next_completion(queue);
    CHECK(completion.call == call && completion.status == REKNOCK_ERROR_CANCELLED);
    reknock_error_free(completion.error);
    reknock_response_free(response);

    /* By the token of the call. */
    {
        reknock_cancel *cancel = NULL;
        OK(reknock_cancel_new(&cancel, error));
        options.cancel = cancel;
        response = stalled(client, request, &options, queue);
        call = submit_read(response, queue);
        reknock_cancel_trigger(cancel);
        reknock_cancel_free(cancel);
        completion = next_completion(queue);
        CHECK(completion.call == call && completion.status == REKNOCK_ERROR_CANCELLED);
        reknock_error_free(completion.error);
        reknock_response_free(response);
    }

    /* By closing the client. */
    response = stalled(client, request, NULL, queue);
    call = submit_read(response, queue);
    reknock_client_close(client);
    completion = next_completion(queue);
    CHECK(completion.call == call && completion.status == REKNOCK_ERROR_CLOSED);
    reknock_error_free(completion.error);
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_client_free(client);
}

/* Freed while it is read: nothing comes any more. */
static void freed_early(reknock_client *client, reknock_queue *queue, const char *url) {
    reknock_request *request = new_request("GET", url);
    reknock_response *response = stalled(client, request, NULL, queue);
    reknock_completion completion;
    submit_read(response, queue);
    CHECK(reknock_queue_pending(queue) == 1);
    reknock_response_free(response);
    while (reknock_queue_pending(queue) > 0) {
        struct pollfd poller;
        poller.fd = reknock_queue_descriptor(queue);
        poller.events = POLLIN;
        CHECK(poll(&poller, 1, 20000) == 1 && reknock_queue_next(queue, &completion) == REKNOCK_EMPTY);
    }

    /* And with its queue, which is freed first. */
    {
        reknock_queue *other = NULL;
        OK(reknock_queue_new(&other, error));
        response = stalled(client, request, NULL, other);
        submit_read(response, other);
        reknock_queue_free(other);
        reknock_response_free(response);
    }
    reknock_request_free(request);
}

static void misuse(reknock_client *client, reknock_queue *queue, const char *url) {
    reknock_request *request = new_request("GET", url);
    reknock_response *response = NULL;
    CHECK(reknock_response_submit_read(NULL, queue, NULL, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(reknock_client_submit_stream(client, NULL, NULL, queue, NULL, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(reknock_client_submit_stream(client, request, NULL, NULL, NULL, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    OK(reknock_client_stream(client, request, NULL, &response, error));
    CHECK(reknock_response_submit_read(response, NULL, NULL, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(reknock_response_submit_read(response, queue, NULL, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    reknock_response_free(response);
    reknock_request_free(request);
    CHECK(reknock_queue_pending(queue) == 0);
}

int main(int argc, char **argv) {
    /* Nothing but freeing ends the reads of what stalls. */
    reknock_client *client = new_client("{backoff: {base: 1ms}, idle_timeout: none}");
    reknock_queue *queue = NULL;
    CHECK(argc == 5);
    OK(reknock_queue_new(&queue, error));
    whole_bodies_arrive(client, queue, argv[1]);
    failures_come_out(client, queue, argv[2], argv[4]);
    reads_are_cancelled(queue, argv[3]);
    freed_early(client, queue, argv[3]);
    misuse(client, queue, argv[1]);
    reknock_queue_free(queue);
    reknock_client_free(client);
    return 0;
}
