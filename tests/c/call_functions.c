/* call_functions FAILING LOADING FLAKY FLAKY: functions of single calls, beside those of their client. */
#include "check.h"

typedef struct {
    int asked, delays, edits, events, freed, bodies;
    reknock_answer answer;
} counts;

static reknock_answer retry_if(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    counts *to = (counts *)user_data;
    *wait_ms = 0;
    to->asked++;
    to->bodies += attempt->body != NULL;
    return to->answer;
}

static reknock_answer delay(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    CHECK(attempt->number > 0);
    *wait_ms = 1;
    ((counts *)user_data)->delays++;
    return REKNOCK_ANSWER_WAIT;
}

static reknock_answer before_retry(void *user_data, const reknock_attempt *attempt, reknock_request *request) {
    CHECK(attempt && request);
    ((counts *)user_data)->edits++;
    return REKNOCK_ANSWER_DEFAULT;
}

static void on_event(void *user_data, const reknock_event *event) {
    ((counts *)user_data)->events += event->kind == REKNOCK_EVENT_END;
}

static void frees(void *user_data) {
    ((counts *)user_data)->freed++;
}

static void begun(reknock_call_options *options, counts *to, reknock_answer answer) {
    memset(to, 0, sizeof *to);
    to->answer = answer;
    options->user_data = to;
    options->free_user_data = frees;
}

/* The call's own functions are asked, and the client's where the call has none. */
static void in_place(reknock_client *client, counts *clients, const char *failing, const char *loading) {
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = new_request("GET", failing);
    reknock_response *response = NULL;
    counts own;
    begun(&options, &own, REKNOCK_ANSWER_STOP);
    options.retry_if = retry_if;
    OK(reknock_client_send(client, request, &options, &response, error));
    CHECK(reknock_response_attempt_count(response) == 1 && reknock_response_stop_reason(response) == REKNOCK_STOP_PREDICATE_STOP);
    CHECK(own.asked == 1 && own.bodies == 0 && own.freed == 1);
    CHECK(clients->asked == 0 && clients->events == 1 && clients->freed == 0);
    reknock_response_free(response);
    reknock_request_free(request);

    request = new_request("GET", loading);
    begun(&options, &own, REKNOCK_ANSWER_RETRY);
    options.retry_if_body = 1;
    options.delay = delay;
    options.before_retry = before_retry;
    options.on_event = on_event;
    OK(reknock_client_send(client, request, &options, &response, error));
    CHECK(reknock_response_attempt_count(response) == 3 && own.asked == 2 && own.bodies == 2);
    CHECK(own.delays == 2 && own.edits == 2 && own.events == 1 && own.freed == 1);
    CHECK(clients->asked == 0 && clients->events == 1);
    reknock_response_free(response);
    /* Nothing of it stays with the client. */
    OK(reknock_client_send(client, request, NULL, &response, error));
    CHECK(clients->asked == 1 && clients->events == 2 && own.freed == 1);
    reknock_response_free(response);
    reknock_request_free(request);
}

static void streamed(reknock_client *client, const char *url) {
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = new_request("GET", url);
    reknock_response *response = NULL;
    counts own;
    begun(&options, &own, REKNOCK_ANSWER_DEFAULT);
    options.delay = delay;
    OK(reknock_client_stream(client, request, &options, &response, error));
    CHECK(reknock_response_status(response) == 200 && own.delays == 1);
    reknock_response_free(response);
    CHECK(own.freed == 1);
    reknock_request_free(request);
}

static void queued(reknock_client *client, const char *url) {
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = new_request("GET", url);
    reknock_queue *queue = NULL;
    reknock_completion completion;
    counts own, other;
    OK(reknock_queue_new(&queue, error));
    begun(&options, &own, REKNOCK_ANSWER_DEFAULT);
    options.delay = delay;
    options.on_event = on_event;
    OK(reknock_client_submit(client, request, &options, queue, NULL, NULL, error));
    completion = next_completion(queue);
    CHECK(completion.status == REKNOCK_OK && own.delays == 1 && own.events == 1);
    reknock_response_free(completion.response);
    /* One that is given up. */
    begun(&options, &other, REKNOCK_ANSWER_DEFAULT);
    OK(reknock_client_submit(client, request, &options, queue, NULL, NULL, error));
    reknock_queue_free(queue);
    reknock_request_free(request);
    CHECK(own.freed == 1 && other.freed <= 1);
    while (other.freed == 0) poll(NULL, 0, 1); /* where the call ends */
}

static void refused(reknock_client *client, const char *url) {
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = new_request("GET", url);
    reknock_response *response = NULL;
    counts own;
    begun(&options, &own, REKNOCK_ANSWER_DEFAULT);
    options.delay = delay;
    CHECK(reknock_client_send(NULL, request, &options, &response, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT && own.freed == 1);
    CHECK(reknock_client_send(client, NULL, &options, &response, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT && own.freed == 2);
    CHECK(reknock_client_send(client, request, &options, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT && own.freed == 3);
    CHECK(reknock_client_stream(client, request, &options, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT && own.freed == 4);
    CHECK(reknock_client_submit(client, request, &options, NULL, NULL, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT && own.freed == 5);
    options.max_redirects = 100000;
    CHECK(reknock_client_send(client, request, &options, &response, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT && own.freed == 6);
    /* A size that is none tells nothing of what is behind it. */
    options.max_redirects = 0;
    options.struct_size -= 4;
    CHECK(reknock_client_send(client, request, &options, &response, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT && own.freed == 6);
    reknock_request_free(request);
}

int main(int argc, char **argv) {
    reknock_client *client = new_client("{backoff: none}");
    counts clients;
    CHECK(argc == 5);
    memset(&clients, 0, sizeof clients);
    OK(reknock_client_set_retry_if(client, retry_if, 0, &clients, frees, error));
    OK(reknock_client_set_on_event(client, on_event, &clients, NULL, error));
    in_place(client, &clients, argv[1], argv[2]);
    OK(reknock_client_set_retry_if(client, NULL, 0, NULL, NULL, error));
    CHECK(clients.freed == 1);
    streamed(client, argv[3]);
    queued(client, argv[4]);
    refused(client, argv[1]);
    reknock_client_free(client);
    return 0;
}
