/* stream BIG CUT ECHO FILE STALLED FINE: a large body in pieces, a body that breaks off, a file as a body, a read that is cancelled;
 * connections that are given back. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>

static void a_large_body_is_read_in_pieces(reknock_client *client, const char *url) {
    reknock_request *request = new_request("GET", url);
    reknock_response *response = NULL;
    uint8_t buffer[10000];
    size_t total = 0, count = 0;
    OK(reknock_client_stream(client, request, NULL, &response, error));
    CHECK(reknock_response_status(response) == 200 && reknock_response_attempt_count(response) == 2);
    do {
        size_t i;
        OK(reknock_response_read(response, buffer, sizeof buffer, &count, error));
        for (i = 0; i < count; i++) CHECK(buffer[i] == (total + i) % 65536 % 251);
        total += count;
    } while (count > 0);
    CHECK(total == 3000000);
    OK(reknock_response_read(response, buffer, sizeof buffer, &count, error));
    CHECK(count == 0);
    CHECK(reknock_response_read(response, NULL, 1, &count, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(reknock_response_read(response, buffer, 0, &count, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(reknock_response_read(NULL, buffer, 1, &count, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(reknock_response_read(response, buffer, 1, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    reknock_response_free(response);

    response = NULL; /* and one that is given up */
    OK(reknock_client_stream(client, request, NULL, &response, error));
    OK(reknock_response_read(response, buffer, 1, &count, error));
    CHECK(count == 1);
    reknock_response_free(response);
    reknock_request_free(request);
}

/* Once its body is read, a response holds no connection: the test that runs this counts them. */
static void what_is_over_is_given_back(reknock_client *client, const char *url) {
    reknock_request *request = new_request("GET", url);
    reknock_response *responses[3] = {NULL, NULL, NULL};
    int i;
    for (i = 0; i < 3; i++) {
        uint8_t buffer[100];
        size_t count;
        OK(reknock_client_stream(client, request, NULL, &responses[i], error));
        do OK(reknock_response_read(responses[i], buffer, sizeof buffer, &count, error));
        while (count > 0);
    }
    for (i = 0; i < 3; i++) reknock_response_free(responses[i]);
    reknock_request_free(request);
}

static void a_body_that_breaks_is_an_error(reknock_client *client, const char *url) {
    reknock_request *request = new_request("GET", url);
    reknock_response *response = NULL;
    reknock_error *failure = NULL;
    uint8_t buffer[64];
    size_t count = 77;
    reknock_status status;
    OK(reknock_client_stream(client, request, NULL, &response, error));
    do status = reknock_response_read(response, buffer, sizeof buffer, &count, &failure);
    while (status == REKNOCK_OK && count > 0);
    CHECK(status == REKNOCK_ERROR_BODY && reknock_error_http_status(failure) == 200);
    reknock_error_free(failure);
    reknock_response_free(response);
    reknock_request_free(request);
}

static void a_file_is_a_body(reknock_client *client, const char *url, const char *file) {
    reknock_request *request = new_request("PUT", url);
    reknock_response *response = NULL;
    uint8_t buffer[4];
    size_t count = 0;
    CHECK(reknock_request_set_body_file(request, "/nowhere", NULL) == REKNOCK_ERROR_INVALID_REQUEST);
    OK(reknock_request_set_body_file(request, file, error));
    OK(reknock_client_send(client, request, NULL, &response, error));
    CHECK(reknock_response_status(response) == 200 && reknock_response_attempt_count(response) == 2);
    /* A whole response can be read in pieces too. */
    OK(reknock_response_read(response, buffer, 1, &count, error));
    CHECK(count == 1 && buffer[0] == '{');
    reknock_response_free(response);
    reknock_request_free(request);
}

static void *cancels(void *cancel) {
    reknock_cancel_trigger((reknock_cancel *)cancel);
    return NULL;
}

static void *closes(void *client) {
    reknock_client_close((reknock_client *)client);
    return NULL;
}

/* A thread that waits for more of a body is woken by what cancels the call, and by closing the client. */
static void a_read_is_cancelled(const char *url) {
    int closing;
    for (closing = 0; closing <= 1; closing++) {
        reknock_client *client = new_client("{}");
        reknock_request *request = new_request("GET", url);
        reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
        reknock_cancel *cancel = NULL;
        reknock_response *response = NULL;
        reknock_error *failure = NULL;
        pthread_t thread;
        uint8_t buffer[100];
        size_t count = 0, total;
        reknock_status status;
        OK(reknock_cancel_new(&cancel, error));
        options.cancel = cancel;
        OK(reknock_client_stream(client, request, &options, &response, error));
        for (total = 0; total < 10; total += count) OK(reknock_response_read(response, buffer, sizeof buffer, &count, error));
        CHECK(pthread_create(&thread, NULL, closing ? closes : cancels, closing ? (void *)client : (void *)cancel) == 0);
        status = reknock_response_read(response, buffer, sizeof buffer, &count, &failure);
        CHECK(status == (closing ? REKNOCK_ERROR_CLOSED : REKNOCK_ERROR_CANCELLED) && reknock_error_http_status(failure) == 200);
        CHECK(pthread_join(thread, NULL) == 0);
        reknock_error_free(failure);
        reknock_response_free(response);
        reknock_cancel_free(cancel);
        reknock_request_free(request);
        reknock_client_free(client);
    }
}

int main(int argc, char **argv) {
    reknock_client *client = new_client("{backoff: {base: 1ms}}");
    CHECK(argc == 7);
    a_large_body_is_read_in_pieces(client, argv[1]);
    a_body_that_breaks_is_an_error(client, argv[2]);
    a_file_is_a_body(client, argv[3], argv[4]);
    a_read_is_cancelled(argv[5]);
    what_is_over_is_given_back(client, argv[6]);
    reknock_client_free(client);
    return 0;
}
