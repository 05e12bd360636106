/* threads URL SLOW: one client, many threads; and a client that is freed while threads are inside it. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <time.h>

enum { THREADS = 100, CALLS = 5 };

static const char *url;

static void *calls(void *client) {
    reknock_request *request = new_request("GET", url);
    int i;
    for (i = 0; i < CALLS; i++) {
        reknock_response *response = NULL;
        OK(reknock_client_send((reknock_client *)client, request, NULL, &response, error));
        CHECK(reknock_response_status(response) == 200);
        CHECK(strlen(reknock_response_explain(response)) > 0);
        reknock_response_free(response);
    }
    reknock_request_free(request);
    return NULL;
}

typedef struct {
    reknock_client *client;
    reknock_cancel *cancel;
} held;

static void *waits(void *both) {
    held *arguments = (held *)both;
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = new_request("GET", url);
    reknock_response *response = NULL;
    options.cancel = arguments->cancel;
    CHECK(reknock_client_send(arguments->client, request, &options, &response, NULL) == REKNOCK_ERROR_CANCELLED);
    reknock_request_free(request);
    return NULL;
}

static void pause_ms(long ms) {
    struct timespec time;
    time.tv_sec = 0;
    time.tv_nsec = ms * 1000000;
    nanosleep(&time, NULL);
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    reknock_client *client = new_client("{budget: none}");
    held arguments;
    int i;
    CHECK(argc == 3);
    url = argv[1];
    for (i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, calls, client) == 0);
    for (i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);

    url = argv[2];
    arguments.client = client;
    arguments.cancel = NULL;
    OK(reknock_cancel_new(&arguments.cancel, error));
    for (i = 0; i < 10; i++) CHECK(pthread_create(&threads[i], NULL, waits, &arguments) == 0);
    pause_ms(300);
    reknock_client_free(client); /* all ten are inside */
    pause_ms(50);
    reknock_cancel_trigger(arguments.cancel);
    for (i = 0; i < 10; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    reknock_cancel_free(arguments.cancel);
    return 0;
}
