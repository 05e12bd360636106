/* envoy_call: calls under routes of Envoy, one a line, one after the other. See lines.h.
 *
 *     URL METHOD HTTP2 ROUTE MERGED SIZE STREAM LEAP [NAME VALUE]..  ->  done STATUS STOP ATTEMPTS HINT_US WAIT_US
 *
 * MERGED: a JSON document that is merged into the policy of the route, or empty. The body has SIZE bytes, or there is none if that is
 * -1; if STREAM is true it comes of a function that can produce it once. Before each retry "retry" is printed and a line read, before
 * the call goes on; if LEAP is true "planned" and the policy's wait in microseconds are printed before that, and nothing is waited for.
 * STATUS: the response's, or the kind of failure. HINT_US and WAIT_US: those of the first attempt. */
#include "lines.h"

static int is_true(const char *text) {
    return strcmp(text, "true") == 0;
}

static reknock_client *client_of(const char *route, const char *merged, int http2) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_policies *policies = NULL;
    reknock_policy *policy = NULL;
    reknock_client *client = NULL;
    OK(reknock_policies_read(route, "envoy", &policies, error));
    CHECK(reknock_policies_count(policies) == 1);
    OK(reknock_policy_merge_json(reknock_policies_at(policies, 0), *merged ? merged : "{}", &policy, error));
    options.policy = policy;
    options.envoy_headers = 1;
    options.http2 = http2 ? REKNOCK_HTTP2_ONLY : REKNOCK_HTTP2_NONE;
    OK(reknock_client_new(&options, &client, error));
    reknock_policy_free(policy);
    reknock_policies_free(policies);
    return client;
}

static void told(void *user_data, const reknock_event *event) {
    char line[8];
    (void)user_data;
    if (event->kind != REKNOCK_EVENT_RETRY) return;
    printf("retry\n");
    CHECK(fflush(stdout) == 0 && fgets(line, sizeof line, stdin));
}

static reknock_answer leaps(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)user_data;
    if (!attempt->verdict) return REKNOCK_ANSWER_DEFAULT;
    printf("planned\t%lld\n", (long long)attempt->planned_wait_us);
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

static reknock_request *request_of(char **fields, int count, stream *body) {
    reknock_request *request = new_request(fields[1], fields[0]);
    long size = atol(fields[5]);
    int i;
    for (i = 8; i + 1 < count; i += 2) OK(reknock_request_add_header(request, fields[i], fields[i + 1], error));
    if (size >= 0 && is_true(fields[6])) {
        body->size = (size_t)size;
        OK(reknock_request_set_body_stream(request, produces, NULL, REKNOCK_LENGTH_UNKNOWN, body, NULL, error));
    } else if (size >= 0) {
        uint8_t *bytes = (uint8_t *)malloc((size_t)size + 1);
        CHECK(bytes);
        fill(bytes, (size_t)size, 0);
        OK(reknock_request_set_body(request, bytes, (size_t)size, error));
        free(bytes);
    }
    return request;
}

static void print_done(const char *status, reknock_stop_reason stop, size_t attempts, const reknock_attempt_record *first) {
    CHECK(first != NULL);
    printf("done\t%s\t%s\t%u\t%lld\t%lld\n", status, reknock_stop_reason_name(stop), (unsigned)attempts, (long long)first->hint_us,
           (long long)first->wait_us);
    CHECK(fflush(stdout) == 0);
}

static void call(char **fields, int count) {
    reknock_client *client = client_of(fields[3], fields[4], is_true(fields[2]));
    reknock_response *response = NULL;
    reknock_error *failure = NULL;
    stream body = {0, 0};
    reknock_request *request = request_of(fields, count, &body);
    OK(reknock_client_set_on_event(client, told, NULL, NULL, error));
    if (is_true(fields[7])) OK(reknock_client_set_retry_if(client, leaps, 0, NULL, NULL, error));
    if (reknock_client_send(client, request, NULL, &response, &failure)) {
        print_done(reknock_status_name(reknock_error_status(failure)), reknock_error_stop_reason(failure),
                   reknock_error_attempt_count(failure), reknock_error_attempt(failure, 0));
    } else {
        char status[12];
        snprintf(status, sizeof status, "%d", (int)reknock_response_status(response));
        print_done(status, reknock_response_stop_reason(response), reknock_response_attempt_count(response),
                   reknock_response_attempt(response, 0));
    }
    reknock_error_free(failure);
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_client_free(client);
}

int main(void) {
    char *fields[FIELDS];
    int count;
    while ((count = next_question(fields)) > 0) {
        CHECK(count >= 8);
        call(fields, count);
    }
    return 0;
}
