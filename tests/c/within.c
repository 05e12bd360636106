/* within FAILING SLOW STALLED: functions that close, cancel and free what their own call is made of, or make calls themselves. FAILING answers 503, SLOW
 * never, STALLED the half before the request is there. */
#include "check.h"

#include <pthread.h>

/* Where it is done. */
enum place { RETRY_IF, DELAY, BEFORE_RETRY, ON_EVENT, ON_TRANSFER, READ, REWIND, FREES, PLACES };
/* What is done there, once. */
enum act { CLOSE, FREE_CLIENT, FREE_REQUEST, CANCEL, CANCEL_CALL, FREE_QUEUE, DRAIN, SEND, SUBMIT, SET, ACTS };

typedef struct {
    enum place place;
    enum act act;
    int done, freed;
    const char *url;
    reknock_client *client;
    reknock_request *request;
    reknock_cancel *cancel;
    reknock_queue *queue;
    reknock_call call;
} world;

static void frees_nothing(void *user_data) {
    (void)user_data;
}

static void here(world *all, enum place place) {
    reknock_response *response = NULL;
    reknock_completion other;
    reknock_request *request;
    if (all->place != place || all->done++ > 0) return;
    switch (all->act) {
    case CLOSE: reknock_client_close(all->client); break;
    case FREE_CLIENT:
        reknock_client_free(all->client);
        all->client = NULL;
        break;
    case FREE_REQUEST:
        /* A call that nobody waits for has all of it. */
        if (all->queue == NULL) break;
        reknock_request_free(all->request);
        all->request = NULL;
        break;
    case CANCEL: reknock_cancel_trigger(all->cancel); break;
    case CANCEL_CALL: reknock_call_cancel(all->queue, all->call); break;
    case FREE_QUEUE:
        reknock_queue_free(all->queue);
        all->queue = NULL;
        break;
    case DRAIN:
        if (all->queue != NULL && reknock_queue_next(all->queue, &other) == REKNOCK_OK) {
            reknock_response_free(other.response);
            reknock_error_free(other.error);
        }
        break;
    case SEND:
        request = new_request("GET", all->url);
        /* What frees may run on a thread of the library's, where nobody may wait. */
        if (reknock_client_send(all->client, request, NULL, &response, NULL) != REKNOCK_OK) CHECK(place == FREES);
        reknock_response_free(response);
        reknock_request_free(request);
        break;
    case SUBMIT:
        request = new_request("GET", all->url);
        if (all->queue != NULL) OK(reknock_client_submit(all->client, request, NULL, all->queue, all, NULL, error));
        reknock_request_free(request);
        break;
    default:
        OK(reknock_client_set_retry_if(all->client, NULL, 0, NULL, frees_nothing, error));
        OK(reknock_client_set_on_event(all->client, NULL, NULL, frees_nothing, error));
    }
}

static reknock_answer retry_if(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    here((world *)user_data, RETRY_IF);
    CHECK(attempt->http_status == 503 && attempt->url[0] == 'h');
    *wait_ms = 1;
    return REKNOCK_ANSWER_DEFAULT;
}

static reknock_answer delay(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    here((world *)user_data, DELAY);
    CHECK(attempt->http_status == 503);
    *wait_ms = 1;
    return REKNOCK_ANSWER_WAIT;
}

static reknock_answer before_retry(void *user_data, const reknock_attempt *attempt, reknock_request *request) {
    here((world *)user_data, BEFORE_RETRY);
    CHECK(attempt->http_status == 503);
    OK(reknock_request_set_header(request, "x-retry", "1", error));
    return REKNOCK_ANSWER_DEFAULT;
}

static void on_event(void *user_data, const reknock_event *event) {
    here((world *)user_data, ON_EVENT);
    CHECK(event->text[0] != 0);
}

static reknock_answer on_transfer(void *user_data, const reknock_transfer *transfer) {
    here((world *)user_data, ON_TRANSFER);
    CHECK(transfer->number > 0);
    return REKNOCK_ANSWER_DEFAULT;
}

typedef struct {
    world *all;
    size_t at;
} body;

static reknock_answer read_body(void *user_data, uint8_t *buffer, size_t size, size_t *written) {
    body *from = (body *)user_data;
    here(from->all, READ);
    CHECK(size > 0);
    buffer[0] = 'x';
    *written = from->at++ < 5;
    return REKNOCK_ANSWER_DEFAULT;
}

static reknock_answer rewind_body(void *user_data) {
    body *from = (body *)user_data;
    here(from->all, REWIND);
    from->at = 0;
    return REKNOCK_ANSWER_DEFAULT;
}

static void frees(void *user_data) {
    world *all = (world *)user_data;
    CHECK(__atomic_load_n(&all->freed, __ATOMIC_SEQ_CST) == 0);
    here(all, FREES);
    __atomic_add_fetch(&all->freed, 1, __ATOMIC_SEQ_CST);
}

/* A call whose functions do it: made on this thread, or on a queue. */
static void one(const char *url, enum place place, enum act act, int queued) {
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_response *response = NULL;
    reknock_error *failure = NULL;
    reknock_status status;
    world all;
    body sent;
    memset(&all, 0, sizeof all);
    all.place = place;
    all.act = act;
    all.url = url;
    all.client = new_client("{max_retries: 1, backoff: 1ms, budget: none}");
    all.request = new_request("PUT", url);
    sent.all = &all;
    sent.at = 0;
    OK(reknock_request_set_body_stream(all.request, read_body, rewind_body, 5, &sent, NULL, error));
    OK(reknock_cancel_new(&all.cancel, error));
    options.cancel = all.cancel;
    options.retry_if = retry_if;
    options.delay = delay;
    options.before_retry = before_retry;
    options.on_event = on_event;
    options.on_transfer = on_transfer;
    options.user_data = &all;
    options.free_user_data = frees;
    /* What is written so far is there for whatever thread frees it. */
    __atomic_store_n(&all.freed, 0, __ATOMIC_SEQ_CST);
    if (!queued) {
        status = reknock_client_send(all.client, all.request, &options, &response, &failure);
        CHECK((status == REKNOCK_OK) == (response != NULL) && (status == REKNOCK_OK) == (failure == NULL));
    } else {
        reknock_completion completion;
        struct pollfd poller;
        int rings = 0;
        OK(reknock_queue_new(&all.queue, error));
        OK(reknock_client_submit(all.client, all.request, &options, all.queue, &all, &all.call, error));
        memset(&completion, 0, sizeof completion);
        while (all.queue != NULL && completion.call == 0) {
            poller.fd = reknock_queue_descriptor(all.queue);
            poller.events = POLLIN;
            CHECK(poll(&poller, 1, 20000) == 1 && rings++ < 10000);
            while (all.queue != NULL && reknock_queue_next(all.queue, &completion) == REKNOCK_OK) {
                CHECK(completion.user_data == &all);
                if (completion.call == all.call) break;
                reknock_response_free(completion.response);
                reknock_error_free(completion.error);
                completion.call = 0;
            }
            /* It may have come out where it was drained within. */
            if (all.done && act == DRAIN && all.queue != NULL && reknock_queue_pending(all.queue) == 0) break;
        }
        response = completion.response;
        failure = completion.error;
        status = completion.status;
    }
    CHECK(status == REKNOCK_OK || status == REKNOCK_ERROR_CLOSED || status == REKNOCK_ERROR_CANCELLED);
    CHECK(status != REKNOCK_OK || response == NULL || reknock_response_status(response) == 503);
    reknock_response_free(response);
    reknock_error_free(failure);
    reknock_queue_free(all.queue);
    reknock_request_free(all.request);
    reknock_cancel_free(all.cancel);
    /* On whatever thread, and once. */
    while (__atomic_load_n(&all.freed, __ATOMIC_SEQ_CST) == 0) poll(NULL, 0, 1);
    CHECK(__atomic_load_n(&all.freed, __ATOMIC_SEQ_CST) == 1 && all.done > 0);
    reknock_client_free(all.client);
}

/* Each act in each place. */
static void everything(const char *url) {
    int place, act, queued;
    for (place = 0; place < PLACES; place++) {
        for (act = 0; act < ACTS; act++) {
            for (queued = 0; queued <= 1; queued++) {
                /* Once the data is freed there is nothing left to do it with. */
                if (place == FREES && act != SEND && act != SET) continue;
                one(url, (enum place)place, (enum act)act, queued);
            }
        }
    }
}

typedef struct {
    reknock_response *response;
    int freed;
} stalled;

static reknock_answer frees_the_response(void *user_data, uint8_t *buffer, size_t size, size_t *written) {
    stalled *all = (stalled *)user_data;
    CHECK(size > 0);
    if (all->response != NULL) {
        reknock_response_free(all->response);
        all->response = NULL;
        all->freed++;
    }
    buffer[0] = 'x';
    *written = 1;
    return REKNOCK_ANSWER_DEFAULT;
}

/* The answer is there while the request still goes out, and what produces it gives up the answer that is being read. */
static void a_response_freed_while_it_is_read(const char *url) {
    reknock_client *client = new_client("{max_retries: 0}");
    reknock_request *request = new_request("PUT", url);
    reknock_response *response = NULL;
    uint8_t buffer[100];
    size_t count = 0;
    reknock_status status = REKNOCK_OK;
    stalled all;
    memset(&all, 0, sizeof all);
    OK(reknock_request_set_body_stream(request, frees_the_response, NULL, REKNOCK_LENGTH_UNKNOWN, &all, NULL, error));
    OK(reknock_client_stream(client, request, NULL, &response, error));
    all.response = response;
    while (status == REKNOCK_OK) status = reknock_response_read(response, buffer, sizeof buffer, &count, NULL);
    CHECK(status == REKNOCK_ERROR_CLOSED && all.freed == 1);
    reknock_request_free(request);
    reknock_client_free(client);
}

static void *cancels(void *data) {
    world *all = (world *)data;
    poll(NULL, 0, all->done % 7);
    if (all->done % 2) reknock_call_cancel(all->queue, all->call);
    else reknock_client_close(all->client);
    return NULL;
}

/* Calls that wait for their turn, for their server, or are over: given up by another thread, all of them are completed once. */
static void given_up_by_another_thread(const char *failing, const char *slow) {
    int round;
    for (round = 0; round < 20; round++) {
        reknock_client_options few = REKNOCK_CLIENT_OPTIONS_INIT;
        reknock_policy *policy = NULL;
        world all;
        pthread_t thread;
        size_t calls = 8, i, done = 0;
        memset(&all, 0, sizeof all);
        few.max_connections = 2;
        OK(reknock_policy_from_yaml("{max_retries: 1, backoff: 1ms, budget: none}", &policy, error));
        few.policy = policy;
        OK(reknock_client_new(&few, &all.client, error));
        reknock_policy_free(policy);
        OK(reknock_queue_new(&all.queue, error));
        for (i = 0; i < calls; i++) {
            reknock_request *request = new_request("GET", i % 2 && round % 2 == 0 ? slow : failing);
            OK(reknock_client_submit(all.client, request, NULL, all.queue, NULL, &all.call, error));
            reknock_request_free(request);
        }
        all.done = round;
        CHECK(pthread_create(&thread, NULL, cancels, &all) == 0);
        while (done++ < calls) {
            reknock_completion completion = next_completion(all.queue);
            CHECK(completion.status == REKNOCK_OK || completion.status == (round % 2 ? REKNOCK_ERROR_CANCELLED : REKNOCK_ERROR_CLOSED));
            reknock_response_free(completion.response);
            reknock_error_free(completion.error);
        }
        CHECK(pthread_join(thread, NULL) == 0 && reknock_queue_pending(all.queue) == 0);
        reknock_queue_free(all.queue);
        reknock_client_free(all.client);
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 4);
    everything(argv[1]);
    given_up_by_another_thread(argv[1], argv[2]);
    a_response_freed_while_it_is_read(argv[3]);
    return 0;
}
