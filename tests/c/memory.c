/* memory: a body that the system has no memory for is an error. */
#include "check.h"

#include <sys/resource.h>

int main(void) {
    const size_t size = (size_t)600 << 20;
    const struct rlimit limit = {(rlim_t)1 << 30, (rlim_t)1 << 30};
    reknock_request *request = new_request("POST", "http://127.0.0.1/");
    reknock_error *failed = NULL;
    unsigned char *body;

    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    body = malloc(size);
    CHECK(body != NULL);
    memset(body, 'x', size);
    CHECK(reknock_request_set_body(request, body, size, &failed) == REKNOCK_ERROR_INVALID_REQUEST);
    CHECK(strcmp(reknock_error_message(failed), "body: 629145600 bytes do not fit into memory") == 0);
    reknock_error_free(failed);
    OK(reknock_request_set_body(request, body, 1 << 20, error));
    free(body);
    reknock_request_free(request);
    return 0;
}
