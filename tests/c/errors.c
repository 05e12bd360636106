/* errors REFUSED LATIN: what errors came of, the system's numbers, header fields as bytes, and options that need others. */
#include "check.h"

#include <errno.h>

static void causes(const char *url) {
    reknock_client *client = new_client("{max_retries: 0}");
    reknock_request *request = new_request("GET", url);
    reknock_response *response = NULL;
    reknock_error *error = NULL;
    size_t count = 0;
    CHECK(reknock_client_send(client, request, NULL, &response, &error) == REKNOCK_ERROR_CONNECT);
    CHECK(reknock_error_errno(error) == ECONNREFUSED);
    while (reknock_error_cause(error, count)) CHECK(*reknock_error_cause(error, count++) != 0);
    CHECK(count > 0 && reknock_error_cause(error, count + 1) == NULL);
    reknock_error_free(error);
    reknock_request_free(request);
    /* What the system says of a file. */
    request = new_request("POST", url);
    CHECK(reknock_request_set_body_file(request, "/no/such/file", &error) == REKNOCK_ERROR_INVALID_REQUEST);
    CHECK(reknock_error_errno(error) == ENOENT && reknock_error_cause(error, 0));
    reknock_error_free(error);
    /* Nothing of the system's. */
    CHECK(reknock_request_add_header(request, "a b", "c", &error) == REKNOCK_ERROR_INVALID_REQUEST && reknock_error_errno(error) == 0);
    reknock_error_free(error);
    CHECK(reknock_request_add_header(NULL, "a", "c", &error) == REKNOCK_ERROR_INVALID_ARGUMENT && reknock_error_cause(error, 0) == NULL);
    reknock_error_free(error);
    reknock_request_free(request);
    reknock_client_free(client);
}

static void fields(const char *url) {
    reknock_client *client = new_client("{}");
    reknock_request *request = new_request("GET", url);
    reknock_response *response = NULL;
    size_t length = 0;
    const uint8_t *value;
    OK(reknock_client_send(client, request, NULL, &response, error));
    value = reknock_response_header_bytes(response, "X-Two", 1, &length);
    CHECK(value && length == 6 && memcmp(value, "second", 6) == 0);
    value = reknock_response_header_bytes(response, "x-two", 0, NULL);
    CHECK(value && strcmp((const char *)value, "first") == 0);
    length = 4711;
    CHECK(reknock_response_header_bytes(response, "x-two", 2, &length) == NULL && length == 4711);
    CHECK(reknock_response_header_bytes(response, "x-none", 0, &length) == NULL && length == 4711);
    CHECK(reknock_attempt_record_size() == sizeof(reknock_attempt_record));
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_client_free(client);
}

static void options_that_need_others(void) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_client *client = NULL;
    reknock_error *error = NULL;
    options.password = "secret";
    CHECK(reknock_client_new(&options, &client, &error) == REKNOCK_ERROR_INVALID_ARGUMENT && client == NULL);
    CHECK(strcmp(reknock_error_message(error), "password: needs username") == 0);
    reknock_error_free(error);
    options.password = NULL;
    options.key_pem = (const uint8_t *)"key";
    options.key_pem_length = 3;
    CHECK(reknock_client_new(&options, &client, &error) == REKNOCK_ERROR_INVALID_ARGUMENT && client == NULL);
    CHECK(strcmp(reknock_error_message(error), "key_pem: needs cert_pem, the certificate that the key belongs to") == 0);
    reknock_error_free(error);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    causes(argv[1]);
    fields(argv[2]);
    options_that_need_others();
    return 0;
}
