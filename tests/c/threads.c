/* threads URL SLOW: one client, many threads; and a client that is freed while threads are inside it. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>

enum { THREADS = 100, CALLS = 5, WAITING = 10 };

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

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int inside;

/* An empty body: who is asked for it is inside the client. */
static reknock_answer tells(void *user_data, uint8_t *buffer, size_t size, size_t *written) {
    (void)user_data, (void)buffer, (void)size;
    pthread_mutex_lock(&lock);
    inside++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    *written = 0;
    return REKNOCK_ANSWER_DEFAULT;
}

static void *waits(void *both) {
    held *arguments = (held *)both;
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = new_request("PUT", url);
    reknock_response *response = NULL;
    OK(reknock_request_set_body_stream(request, tells, NULL, REKNOCK_LENGTH_UNKNOWN, NULL, NULL, error));
    options.cancel = arguments->cancel;
    CHECK(reknock_client_send(arguments->client, request, &options, &response, NULL) == REKNOCK_ERROR_CANCELLED);
    reknock_request_free(request);
    return NULL;
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
    for (i = 0; i < WAITING; i++) CHECK(pthread_create(&threads[i], NULL, waits, &arguments) == 0);
    pthread_mutex_lock(&lock);
    while (inside < WAITING) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    reknock_client_free(client); /* all of them are inside */
    reknock_cancel_trigger(arguments.cancel);
    for (i = 0; i < WAITING; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    reknock_cancel_free(arguments.cancel);
    return 0;
}
