/* envoy_call URL METHOD HTTP2 ROUTE SIZE STREAM LEAP [NAME VALUE]..: one call under an Envoy route, with a body of SIZE bytes unless that
 * is -1, of a function that can produce it once if STREAM is true. Before each retry it prints "retry" and the wait in microseconds, and
 * reads a line before it goes on; if LEAP is true it prints "planned" and the policy's wait before that, and waits for nothing. At the
 * end it prints the status or the kind of failure, the stop reason, and the number of attempts. */
#include "check.h"

static int is_true(const char *text) {
    return strcmp(text, "true") == 0;
}

static reknock_client *client_of(const char *route, int http2) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_policies *policies = NULL;
    reknock_client *client = NULL;
    OK(reknock_policies_read(route, "envoy", &policies, error));
    CHECK(reknock_policies_count(policies) == 1);
    options.policy = reknock_policies_at(policies, 0);
    options.envoy_headers = 1;
    options.http2 = http2 ? REKNOCK_HTTP2_ONLY : REKNOCK_HTTP2_NONE;
    OK(reknock_client_new(&options, &client, error));
    reknock_policies_free(policies);
    return client;
}

static void told(void *user_data, const reknock_event *event) {
    char line[8];
    (void)user_data;
    if (event->kind != REKNOCK_EVENT_RETRY) return;
    printf("retry %lld\n", (long long)event->attempts[0].wait_us);
    CHECK(fflush(stdout) == 0 && fgets(line, sizeof line, stdin));
}

static reknock_answer leaps(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)user_data;
    if (!attempt->verdict) return REKNOCK_ANSWER_DEFAULT;
    printf("planned %lld\n", (long long)attempt->planned_wait_us);
    *wait_ms = 0;
    return REKNOCK_ANSWER_WAIT;
}

typedef struct {
    size_t size, at;
} stream;

static void fill(uint8_t *bytes, size_t size, size_t at) {
    size_t i;
    for (i = 0; i < size; i++) bytes[i] = (uint8_t)((at + i) % 65536 % 251);
}

static reknock_answer produces(void *user_data, uint8_t *buffer, size_t size, size_t *written) {
    stream *body = (stream *)user_data;
    size_t left = body->size - body->at;
    size = size < 10000 ? size : 10000;
    *written = left < size ? left : size;
    fill(buffer, *written, body->at);
    body->at += *written;
    return REKNOCK_ANSWER_DEFAULT;
}

int main(int argc, char **argv) {
    reknock_client *client;
    reknock_request *request;
    reknock_response *response = NULL;
    reknock_error *failure = NULL;
    stream body = {0, 0};
    long size;
    int i;
    CHECK(argc >= 8);
    client = client_of(argv[4], is_true(argv[3]));
    OK(reknock_client_set_on_event(client, told, NULL, NULL, error));
    if (is_true(argv[7])) OK(reknock_client_set_retry_if(client, leaps, 0, NULL, NULL, error));
    request = new_request(argv[2], argv[1]);
    for (i = 8; i + 1 < argc; i += 2) OK(reknock_request_add_header(request, argv[i], argv[i + 1], error));
    size = atol(argv[5]);
    if (size >= 0 && is_true(argv[6])) {
        body.size = (size_t)size;
        OK(reknock_request_set_body_stream(request, produces, NULL, REKNOCK_LENGTH_UNKNOWN, &body, NULL, error));
    } else if (size >= 0) {
        uint8_t *bytes = (uint8_t *)malloc((size_t)size + 1);
        CHECK(bytes);
        fill(bytes, (size_t)size, 0);
        OK(reknock_request_set_body(request, bytes, (size_t)size, error));
        free(bytes);
    }
    if (reknock_client_send(client, request, NULL, &response, &failure)) {
        size_t attempts = reknock_error_attempt_count(failure);
        printf("%s %s %u\n", reknock_status_name(reknock_error_status(failure)),
               reknock_stop_reason_name(reknock_error_stop_reason(failure)), (unsigned)attempts);
    } else {
        printf("%d %s %u\n", (int)reknock_response_status(response), reknock_stop_reason_name(reknock_response_stop_reason(response)),
               (unsigned)reknock_response_attempt_count(response));
    }
    reknock_error_free(failure);
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_client_free(client);
    return 0;
}
