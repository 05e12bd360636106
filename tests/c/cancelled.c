/* cancelled SLOW: a thread that is cancelled (pthread_cancel) in a blocking call ends when the call has
 * ended, and the process goes on. SLOW never answers. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <unistd.h>

static int here[2];

static void *calls(void *url) {
    reknock_client *client = NULL;
    reknock_response *response = NULL;
    reknock_policy *policy = NULL;
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_request *request = new_request("GET", (const char *)url);
    OK(reknock_policy_from_json("{\"max_retries\": 0, \"timeout\": \"200ms\"}", &policy, error));
    options.policy = policy;
    OK(reknock_client_new(&options, &client, error));
    CHECK(write(here[1], "x", 1) == 1);
    CHECK(reknock_client_send(client, request, NULL, &response, NULL) == REKNOCK_ERROR_DEADLINE);
    reknock_client_free(client);
    reknock_policy_free(policy);
    reknock_request_free(request);
    pthread_testcancel();
    return url;
}

int main(int argc, char **argv) {
    pthread_t thread;
    void *result;
    char one;
    CHECK(argc == 2 && pipe(here) == 0);
    CHECK(pthread_create(&thread, NULL, calls, argv[1]) == 0);
    CHECK(read(here[0], &one, 1) == 1);
    CHECK(pthread_cancel(thread) == 0);
    CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    return 0;
}
