/* async FLAKY SLOW FLAKY FLAKY FLAKY: each FLAKY answers 503, then 200; SLOW never answers. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>

static int readable(reknock_queue *queue, int timeout_ms) {
    struct pollfd poller;
    poller.fd = reknock_queue_descriptor(queue);
    poller.events = POLLIN;
    poller.revents = 0;
    return poll(&poller, 1, timeout_ms) == 1;
}

static pthread_t loop_thread;
static int asked, events, freed;

static reknock_answer retry_if(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)wait_ms;
    CHECK(user_data == &asked && pthread_equal(pthread_self(), loop_thread));
    CHECK(attempt->number >= 1 && strcmp(attempt->method, "GET") == 0);
    asked++;
    return REKNOCK_ANSWER_DEFAULT;
}

static void on_event(void *user_data, const reknock_event *event) {
    (void)user_data;
    CHECK(pthread_equal(pthread_self(), loop_thread) && event->attempt_count > 0);
    events++;
}

/* Of one call at a time: how each of its attempts began and ended, and its end, by their kinds. */
static int told[8], tellings;

static void keep_kinds(void *user_data, const reknock_event *event) {
    (void)user_data;
    CHECK(tellings < 8);
    told[tellings++] = event->kind;
    if (event->kind == REKNOCK_EVENT_ATTEMPT_END) CHECK(event->attempts[0].error == REKNOCK_ERROR_CANCELLED);
    if (event->kind != REKNOCK_EVENT_END) return;
    CHECK(event->stop_reason == REKNOCK_STOP_CANCELLED && event->failed == 0 && event->attempt_count <= 1);
    CHECK(strstr(event->text, "the call was cancelled after ") != NULL);
}

/* Whoever cancels is told of what had begun, by the time that the call is completed; then no more. */
static void cancelled_calls_tell_their_end(reknock_queue *queue, const char *url) {
    reknock_client *client = new_client("{}");
    reknock_request *request = new_request("GET", url);
    reknock_completion completion;
    reknock_call call = 0;
    int turn, look;
    OK(reknock_client_set_on_event(client, keep_kinds, NULL, NULL, error));
    for (turn = 0; turn < 2; turn++) {
        tellings = 0;
        OK(reknock_client_submit(client, request, NULL, queue, NULL, &call, error));
        for (look = 0; turn == 0 && look < 3; look++) {
            readable(queue, 10);
            CHECK(reknock_queue_next(queue, &completion) == REKNOCK_EMPTY);
        }
        reknock_call_cancel(queue, call);
        completion = next_completion(queue);
        CHECK(completion.call == call && completion.status == REKNOCK_ERROR_CANCELLED);
        reknock_error_free(completion.error);
        reknock_call_cancel(queue, call);
        CHECK(reknock_queue_next(queue, &completion) == REKNOCK_EMPTY);
        /* One that is cancelled at once may not have begun its attempt. */
        CHECK(tellings == 3 || (turn == 1 && tellings == 1));
        CHECK(told[tellings - 1] == REKNOCK_EVENT_END);
        if (tellings == 3) CHECK(told[0] == REKNOCK_EVENT_ATTEMPT_START && told[1] == REKNOCK_EVENT_ATTEMPT_END);
    }
    reknock_request_free(request);
    reknock_client_free(client);
}

static void count_free(void *user_data) {
    (void)user_data;
    freed++;
}

static void callbacks_run_where_the_queue_is_drained(reknock_queue *queue, const char *url) {
    reknock_client *client = new_client("{backoff: {base: 1ms}}");
    reknock_request *request = new_request("GET", url);
    reknock_completion completion;
    reknock_call call = 0;
    int mine = 0;
    OK(reknock_client_set_retry_if(client, retry_if, 0, &asked, count_free, error));
    OK(reknock_client_set_on_event(client, on_event, NULL, NULL, error));
    OK(reknock_client_submit(client, request, NULL, queue, &mine, &call, error));
    reknock_client_free(client);
    reknock_request_free(request);
    CHECK(reknock_queue_pending(queue) == 1);
    completion = next_completion(queue);
    CHECK(completion.call == call && completion.user_data == &mine && completion.status == REKNOCK_OK);
    CHECK(reknock_response_status(completion.response) == 200 && completion.error == NULL);
    CHECK(reknock_response_attempt_count(completion.response) == 2);
    CHECK(asked == 2 && events == 6 && freed == 1); /* of each attempt start and end, a retry, the end */
    reknock_response_free(completion.response);
    CHECK(reknock_queue_pending(queue) == 0 && reknock_queue_next(queue, &completion) == REKNOCK_EMPTY);
    CHECK(!readable(queue, 0));
}

static void cancelled_calls_complete(reknock_queue *queue, const char *url) {
    reknock_client *client = new_client("{}");
    reknock_request *request = new_request("GET", url);
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_cancel *cancel = NULL;
    reknock_completion completion;
    reknock_call call = 0;
    OK(reknock_client_submit(client, request, NULL, queue, NULL, &call, error));
    CHECK(!readable(queue, 30));
    reknock_call_cancel(queue, call);
    reknock_call_cancel(queue, call);
    completion = next_completion(queue);
    CHECK(completion.call == call && completion.status == REKNOCK_ERROR_CANCELLED && completion.response == NULL);
    CHECK(reknock_error_stop_reason(completion.error) == REKNOCK_STOP_CANCELLED);
    reknock_error_free(completion.error);
    reknock_call_cancel(queue, call);
    reknock_call_cancel(queue, 4711);

    OK(reknock_cancel_new(&cancel, error));
    options.cancel = cancel;
    OK(reknock_client_submit(client, request, &options, queue, NULL, &call, error));
    reknock_cancel_trigger(cancel);
    reknock_cancel_free(cancel);
    completion = next_completion(queue);
    CHECK(completion.call == call && completion.status == REKNOCK_ERROR_CANCELLED);
    reknock_error_free(completion.error);

    OK(reknock_client_submit(client, request, NULL, queue, NULL, &call, error));
    reknock_client_close(client);
    completion = next_completion(queue);
    CHECK(completion.call == call && completion.status == REKNOCK_ERROR_CLOSED);
    reknock_error_free(completion.error);
    reknock_request_free(request);
    reknock_client_free(client);
}

/* One completion per turn of the loop, as programs do that share it. */
static void a_queue_drained_bit_by_bit_stays_readable(reknock_queue *queue, const char *url) {
    reknock_client *client = new_client("{max_retries: 0}");
    reknock_request *request = new_request("GET", url);
    reknock_completion completion;
    int i;
    for (i = 0; i < 50; i++) OK(reknock_client_submit(client, request, NULL, queue, NULL, NULL, error));
    for (i = 0; i < 50; i++) {
        do CHECK(readable(queue, 20000));
        while (reknock_queue_next(queue, &completion) == REKNOCK_EMPTY);
        CHECK(completion.status == REKNOCK_OK);
        reknock_response_free(completion.response);
    }
    reknock_request_free(request);
    reknock_client_free(client);
}

static reknock_answer frees_the_queue(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)attempt;
    (void)wait_ms;
    reknock_queue_free((reknock_queue *)user_data);
    return REKNOCK_ANSWER_STOP;
}

static void queues_are_freed_with_calls_in_flight(const char *flaky, const char *slow) {
    reknock_client *client = new_client("{}");
    reknock_request *request = new_request("GET", slow);
    reknock_completion completion;
    reknock_queue *queue = NULL;
    int i;
    OK(reknock_queue_new(&queue, error));
    for (i = 0; i < 20; i++) OK(reknock_client_submit(client, request, NULL, queue, NULL, NULL, error));
    CHECK(!readable(queue, 30));
    reknock_queue_free(queue);

    OK(reknock_queue_new(&queue, error));
    OK(reknock_request_set_url(request, flaky, error));
    OK(reknock_client_set_retry_if(client, frees_the_queue, 0, queue, NULL, error));
    OK(reknock_client_submit(client, request, NULL, queue, NULL, NULL, error));
    CHECK(readable(queue, 20000));
    if (reknock_queue_next(queue, &completion) == REKNOCK_OK) {
        reknock_response_free(completion.response);
        reknock_error_free(completion.error);
    }
    reknock_request_free(request);
    reknock_client_free(client);
}

/* What was called, and a queue that the first call frees. */
typedef struct {
    reknock_queue *queue;
    int calls, questions;
} last_call;

static void frees(last_call *last) {
    CHECK(last->calls++ == 0);
    reknock_queue_free(last->queue);
}

static void event_frees(void *user_data, const reknock_event *event) {
    if (event->kind == REKNOCK_EVENT_RETRY) frees((last_call *)user_data);
}

static reknock_answer rewind_frees(void *user_data) {
    frees((last_call *)user_data);
    return REKNOCK_ANSWER_DEFAULT;
}

static reknock_answer counts_questions(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)attempt;
    (void)wait_ms;
    ((last_call *)user_data)->questions++;
    return REKNOCK_ANSWER_DEFAULT;
}

static reknock_answer read_too_late(void *user_data, uint8_t *buffer, size_t size, size_t *written) {
    (void)user_data;
    (void)buffer;
    (void)size;
    (void)written;
    CHECK(!"asked for a body behind the end of its queue");
    return REKNOCK_ANSWER_ERROR;
}

/* Drains until the queue is freed: nothing comes out then. */
static void drain_to_the_end(const last_call *last) {
    while (!last->calls) {
        reknock_completion completion;
        CHECK(readable(last->queue, 20000));
        CHECK(reknock_queue_next(last->queue, &completion) == REKNOCK_EMPTY);
    }
}

/* What waits behind it is another event and the end of the call, a question, or the rest of a pull. */
static void nothing_is_called_behind_a_free(char **urls) {
    int what;
    for (what = 0; what < 3; what++) {
        reknock_client *client = new_client("{backoff: {base: 1ms}}");
        reknock_request *request = new_request("PUT", urls[what]);
        last_call last = {NULL, 0, 0};
        OK(reknock_queue_new(&last.queue, error));
        if (what == 2) {
            OK(reknock_request_set_body_stream(request, read_too_late, rewind_frees, 1, &last, NULL, error));
        } else {
            OK(reknock_client_set_on_event(client, event_frees, &last, NULL, error));
            if (what == 1) OK(reknock_client_set_retry_if(client, counts_questions, 0, &last, NULL, error));
        }
        OK(reknock_client_submit(client, request, NULL, last.queue, NULL, NULL, error));
        drain_to_the_end(&last);
        CHECK(last.questions == (what == 1)); /* about the first attempt */
        reknock_request_free(request);
        reknock_client_free(client);
    }
}

int main(int argc, char **argv) {
    reknock_queue *queue = NULL;
    CHECK(argc == 6);
    loop_thread = pthread_self();
    OK(reknock_queue_new(&queue, error));
    callbacks_run_where_the_queue_is_drained(queue, argv[1]);
    cancelled_calls_complete(queue, argv[2]);
    cancelled_calls_tell_their_end(queue, argv[2]);
    a_queue_drained_bit_by_bit_stays_readable(queue, argv[1]);
    queues_are_freed_with_calls_in_flight(argv[1], argv[2]);
    nothing_is_called_behind_a_free(argv + 3);
    reknock_queue_free(queue);
    return 0;
}
