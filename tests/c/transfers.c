/* transfers HALF LARGE SLOW STALLED HALF LARGE HALF: what is told of transfers, and calls that it ends. */
#include "check.h"

#include <pthread.h>

typedef struct {
    int told, attempts, freed, late, complete;
    reknock_answer answer; /* once so many bytes came */
    uint64_t enough;
    reknock_transfer last;
} watched;

static reknock_answer on_transfer(void *user_data, const reknock_transfer *now) {
    watched *to = (watched *)user_data;
    CHECK(now->number >= to->last.number);
    if (now->number > to->last.number) {
        to->attempts++;
    } else {
        CHECK(now->sent >= to->last.sent && now->received >= to->last.received);
    }
    CHECK(now->send_total < 0 || now->sent <= (uint64_t)now->send_total);
    CHECK(now->receive_total < 0 || now->received <= (uint64_t)now->receive_total);
    to->late += to->complete;
    to->last = *now;
    to->told++;
    return now->received >= to->enough ? to->answer : REKNOCK_ANSWER_DEFAULT;
}

/* Data may be freed on a thread of the library's. */
static pthread_mutex_t freeing = PTHREAD_MUTEX_INITIALIZER;

static void frees(void *user_data) {
    pthread_mutex_lock(&freeing);
    ((watched *)user_data)->freed++;
    pthread_mutex_unlock(&freeing);
}

static int freed(const watched *to) {
    int times;
    pthread_mutex_lock(&freeing);
    times = to->freed;
    pthread_mutex_unlock(&freeing);
    return times;
}

static void begun(reknock_call_options *options, watched *to, reknock_answer answer, uint64_t enough) {
    pthread_mutex_lock(&freeing);
    memset(to, 0, sizeof *to);
    pthread_mutex_unlock(&freeing);
    to->answer = answer;
    to->enough = enough;
    options->on_transfer = on_transfer;
    options->user_data = to;
    options->free_user_data = frees;
}

static void ended(watched *to, uint64_t sent, uint64_t received) {
    CHECK(to->last.sent == sent && to->last.send_total == (int64_t)sent);
    CHECK(to->last.received == received && to->last.receive_total == (int64_t)received);
    CHECK(to->late == 0);
}

static reknock_request *upload(const char *url) {
    static uint8_t body[200000];
    reknock_request *request = new_request("PUT", url);
    OK(reknock_request_set_body(request, body, sizeof body, error));
    return request;
}

/* Each attempt begins anew, and the last bytes are always told. */
static void blocking(reknock_client *client, const char *half) {
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = upload(half);
    reknock_response *response = NULL;
    watched to;
    begun(&options, &to, REKNOCK_ANSWER_DEFAULT, 0);
    OK(reknock_client_send(client, request, &options, &response, error));
    CHECK(reknock_response_attempt_count(response) == 2 && to.attempts == 2 && to.told >= 3 && to.freed == 1);
    ended(&to, 200000, 500000);
    reknock_response_free(response);
    reknock_request_free(request);
}

/* Any answer but DEFAULT cancels; the program's token does, too, and is not cancelled with the call. */
static void cancelled(reknock_client *client, const char *large, const char *slow) {
    static const reknock_answer answers[] = {REKNOCK_ANSWER_STOP, REKNOCK_ANSWER_ERROR, REKNOCK_ANSWER_WAIT, 77};
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = new_request("GET", large);
    reknock_response *response = NULL;
    watched to;
    size_t i;
    OK(reknock_cancel_new((reknock_cancel **)&options.cancel, error));
    for (i = 0; i < sizeof answers / sizeof *answers; i++) {
        reknock_error *why = NULL;
        begun(&options, &to, answers[i], 100000);
        CHECK(reknock_client_send(client, request, &options, &response, &why) == REKNOCK_ERROR_CANCELLED);
        CHECK(reknock_error_stop_reason(why) == REKNOCK_STOP_CANCELLED && reknock_error_attempt_count(why) == 1);
        CHECK(to.last.received >= 100000 && to.last.received < 3000000 && to.freed == 1);
        reknock_error_free(why);
    }
    begun(&options, &to, REKNOCK_ANSWER_DEFAULT, 0);
    OK(reknock_client_send(client, request, &options, &response, error));
    ended(&to, 0, 3000000);
    reknock_response_free(response);
    reknock_request_free(request);
    /* Told while nothing moves: the attempt's begin, and a second later. */
    request = new_request("GET", slow);
    begun(&options, &to, REKNOCK_ANSWER_DEFAULT, 0);
    to.answer = REKNOCK_ANSWER_STOP;
    to.enough = 0;
    CHECK(reknock_client_send(client, request, &options, &response, NULL) == REKNOCK_ERROR_CANCELLED && to.told == 1);
    reknock_cancel_trigger(options.cancel);
    begun(&options, &to, REKNOCK_ANSWER_DEFAULT, 0);
    CHECK(reknock_client_send(client, request, &options, &response, NULL) == REKNOCK_ERROR_CANCELLED && to.freed == 1);
    reknock_cancel_free((reknock_cancel *)options.cancel);
    reknock_request_free(request);
}

static reknock_answer second_time(void *user_data, const reknock_transfer *now) {
    int *told = (int *)user_data;
    CHECK(now->number == 1 && now->sent == 0 && now->send_total == 0);
    return ++*told < 2 ? REKNOCK_ANSWER_DEFAULT : REKNOCK_ANSWER_STOP;
}

static void silent(reknock_client *client, const char *slow) {
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = new_request("GET", slow);
    reknock_response *response = NULL;
    int told = 0;
    options.on_transfer = second_time;
    options.user_data = &told;
    CHECK(reknock_client_send(client, request, &options, &response, NULL) == REKNOCK_ERROR_CANCELLED && told == 2);
    reknock_request_free(request);
}

/* What reads of a streamed body bring is the program's; its token cancels them, whoever is told. */
static void streamed(reknock_client *client, const char *stalled) {
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = upload(stalled);
    reknock_response *response = NULL;
    reknock_cancel *cancel = NULL;
    uint8_t buffer[100];
    size_t size = 0;
    watched to;
    OK(reknock_cancel_new(&cancel, error));
    options.cancel = cancel;
    begun(&options, &to, REKNOCK_ANSWER_DEFAULT, 0);
    OK(reknock_client_stream(client, request, &options, &response, error));
    to.complete = 1;
    CHECK(to.last.sent == 200000 && to.last.received == 0 && to.last.receive_total == -1);
    OK(reknock_response_read(response, buffer, sizeof buffer, &size, error));
    CHECK(size == 10);
    reknock_cancel_trigger(cancel);
    CHECK(reknock_response_read(response, buffer, sizeof buffer, &size, NULL) == REKNOCK_ERROR_CANCELLED);
    reknock_response_free(response);
    CHECK(to.late == 0 && to.freed == 1);
    reknock_cancel_free(cancel);
    reknock_request_free(request);
}

static void queued(reknock_client *client, const char *half, const char *large) {
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = upload(half);
    reknock_queue *queue = NULL;
    reknock_completion completion;
    watched first, to, other;
    OK(reknock_queue_new(&queue, error));
    begun(&options, &first, REKNOCK_ANSWER_DEFAULT, 0);
    OK(reknock_client_submit(client, request, &options, queue, NULL, NULL, error));
    completion = next_completion(queue);
    first.complete = 1;
    CHECK(completion.status == REKNOCK_OK && first.attempts >= 1);
    ended(&first, 200000, 500000);
    reknock_response_free(completion.response);
    reknock_request_free(request);

    request = new_request("GET", large);
    begun(&options, &to, REKNOCK_ANSWER_STOP, 0);
    OK(reknock_client_submit(client, request, &options, queue, NULL, NULL, error));
    completion = next_completion(queue);
    CHECK(completion.status == REKNOCK_ERROR_CANCELLED && to.told == 1);
    reknock_error_free(completion.error);
    /* One that is given up with its queue. */
    begun(&options, &other, REKNOCK_ANSWER_DEFAULT, 0);
    OK(reknock_client_submit(client, request, &options, queue, NULL, NULL, error));
    reknock_queue_free(queue);
    other.complete = 1;
    reknock_request_free(request);
    while (freed(&first) == 0 || freed(&to) == 0 || freed(&other) == 0) poll(NULL, 0, 1); /* where the calls end */
    CHECK(freed(&first) == 1 && freed(&to) == 1 && freed(&other) == 1 && first.late + other.late == 0);
}

/* Inside it calls may be made, and the queue freed. */
typedef struct {
    reknock_client *client;
    reknock_queue *queue;
    const char *url;
} inside;

static reknock_answer calls_and_frees(void *user_data, const reknock_transfer *now) {
    inside *at = (inside *)user_data;
    reknock_request *request = new_request("GET", at->url);
    reknock_response *response = NULL;
    CHECK(now->number == 1);
    OK(reknock_client_send(at->client, request, NULL, &response, error));
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_queue_free(at->queue);
    return REKNOCK_ANSWER_DEFAULT;
}

static void freed_inside(reknock_client *client, const char *url) {
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_request *request = new_request("GET", url);
    reknock_completion completion;
    struct pollfd bell;
    inside at;
    at.client = client;
    at.url = url;
    OK(reknock_queue_new(&at.queue, error));
    options.on_transfer = calls_and_frees;
    options.user_data = &at;
    OK(reknock_client_submit(client, request, &options, at.queue, NULL, NULL, error));
    bell.fd = reknock_queue_descriptor(at.queue);
    bell.events = POLLIN;
    CHECK(poll(&bell, 1, 20000) == 1);
    CHECK(reknock_queue_next(at.queue, &completion) == REKNOCK_EMPTY);
    reknock_request_free(request);
}

int main(int argc, char **argv) {
    reknock_client *client = new_client("{backoff: none}");
    CHECK(argc == 8);
    blocking(client, argv[1]);
    cancelled(client, argv[2], argv[3]);
    silent(client, argv[3]);
    streamed(client, argv[4]);
    queued(client, argv[5], argv[6]);
    freed_inside(client, argv[7]);
    reknock_client_free(client);
    return 0;
}
