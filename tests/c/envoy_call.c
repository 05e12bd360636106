/* envoy_call URL METHOD HTTP2 ROUTE SIZE [NAME VALUE]..: one call under an Envoy route, with a body of SIZE bytes unless that is -1.
 * Prints the status or the kind of failure, the stop reason, and the number of attempts. */
#include "check.h"

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

int main(int argc, char **argv) {
    reknock_client *client;
    reknock_request *request;
    reknock_response *response = NULL;
    reknock_error *failure = NULL;
    long size, i;
    CHECK(argc >= 6);
    client = client_of(argv[4], strcmp(argv[3], "true") == 0);
    request = new_request(argv[2], argv[1]);
    for (i = 6; i + 1 < argc; i += 2) OK(reknock_request_add_header(request, argv[i], argv[i + 1], error));
    size = atol(argv[5]);
    if (size >= 0) {
        uint8_t *body = (uint8_t *)malloc((size_t)size + 1);
        CHECK(body);
        for (i = 0; i < size; i++) body[i] = (uint8_t)(i % 65536 % 251);
        OK(reknock_request_set_body(request, body, (size_t)size, error));
        free(body);
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
