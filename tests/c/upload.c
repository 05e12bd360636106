/* upload ECHO RETRIED x5 EARLY SLOW LARGE: bodies that functions produce. ECHO echoes; each RETRIED answers 503, then echoes; EARLY answers
 * before it reads, SLOW never answers, LARGE answers with 3,000,000 bytes. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>

enum { SIZE = 300000 };

/* A body of letters, and what was asked of it. */
typedef struct {
    size_t at;
    int reads, rewinds, endless;
    int fails;     /* answers so instead of the first piece */
    size_t claims; /* says that so many bytes were written */
    pthread_t thread;
    reknock_client *client; /* sends the very request from within */
    reknock_request *request;
    reknock_status nested;
} letters;

static reknock_answer read_letters(void *user_data, uint8_t *buffer, size_t size, size_t *written) {
    letters *body = (letters *)user_data;
    size_t i;
    CHECK(pthread_equal(pthread_self(), body->thread) && size == 64 * 1024);
    body->reads++;
    if (body->fails) return body->fails;
    if (body->claims) {
        *written = body->claims;
        return REKNOCK_ANSWER_DEFAULT;
    }
    if (body->request) {
        reknock_response *response = NULL;
        body->nested = reknock_client_send(body->client, body->request, NULL, &response, NULL);
        reknock_response_free(response);
    }
    if (!body->endless && size > SIZE - body->at) size = SIZE - body->at;
    for (i = 0; i < size; i++) buffer[i] = (uint8_t)('a' + (body->at + i) % 26);
    body->at += size;
    *written = size;
    return REKNOCK_ANSWER_DEFAULT;
}

static reknock_answer rewind_letters(void *user_data) {
    letters *body = (letters *)user_data;
    CHECK(pthread_equal(pthread_self(), body->thread));
    body->rewinds++;
    body->at = 0;
    return REKNOCK_ANSWER_DEFAULT;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int in_use;

/* Any thread. */
static void free_letters(void *user_data) {
    pthread_mutex_lock(&lock);
    in_use--;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    free(user_data);
}

static letters *new_letters(void) {
    letters *body = (letters *)calloc(1, sizeof *body);
    body->thread = pthread_self();
    pthread_mutex_lock(&lock);
    in_use++;
    pthread_mutex_unlock(&lock);
    return body;
}

/* The server's account of a body holds this. */
static void check_says(reknock_response *response, const char *said) {
    size_t length;
    char text[2000];
    const uint8_t *body = reknock_response_body(response, &length);
    CHECK(reknock_response_status(response) == 200 && length < sizeof text);
    memcpy(text, body, length);
    text[length] = 0;
    CHECK(strstr(text, said) != NULL);
}

/* All the letters arrived. */
static void check_echo(reknock_response *response) {
    check_says(response, "\"body_size\":300000,");
    check_says(response, "\"4bd69805a3b5a521c77aa44b279ef1a1cdbb896a6820ed46e0400f7c79462762\""); /* their sha256 */
}

/* With a rewind: any number of attempts and calls. */
static void sent_by_calls_that_block(reknock_client *client, const char *url, int64_t length) {
    reknock_request *request = new_request("PUT", url);
    letters *body = new_letters();
    int round;
    OK(reknock_request_set_body_stream(request, read_letters, rewind_letters, length, body, free_letters, error));
    for (round = 1; round <= 2; round++) {
        reknock_response *response = NULL;
        OK(reknock_client_send(client, request, NULL, &response, error));
        check_echo(response);
        CHECK(body->rewinds >= round);
        reknock_response_free(response);
    }
    reknock_request_free(request);
}

static void sent_by_calls_on_a_queue(reknock_client *client, const char *url) {
    reknock_request *request = new_request("PUT", url);
    reknock_queue *queue = NULL;
    reknock_completion completion;
    letters *body = new_letters();
    OK(reknock_queue_new(&queue, error));
    OK(reknock_request_set_body_stream(request, read_letters, rewind_letters, REKNOCK_LENGTH_UNKNOWN, body, free_letters, error));
    OK(reknock_client_submit(client, request, NULL, queue, body, NULL, error));
    completion = next_completion(queue);
    CHECK(completion.status == REKNOCK_OK && completion.user_data == body);
    check_echo(completion.response);
    CHECK(reknock_response_attempt_count(completion.response) == 2 && body->rewinds == 2);
    reknock_request_free(request);
    reknock_response_free(completion.response);
    reknock_queue_free(queue);
}

/* Without one it is sent once, and again as far as it was kept. */
static void sent_once(reknock_client *client, reknock_client *small, const char *retried, const char *retried_too) {
    reknock_request *request = new_request("PUT", retried);
    reknock_response *response = NULL;
    letters *body = new_letters();
    OK(reknock_request_set_body_stream(request, read_letters, NULL, SIZE, body, free_letters, error));
    OK(reknock_client_send(client, request, NULL, &response, error));
    check_echo(response);
    CHECK(reknock_response_attempt_count(response) == 2 && body->at == SIZE);
    reknock_response_free(response);
    response = NULL;
    CHECK(reknock_client_send(client, request, NULL, &response, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT && response == NULL);

    OK(reknock_request_set_url(request, retried_too, error));
    OK(reknock_request_set_body_stream(request, read_letters, NULL, SIZE, new_letters(), free_letters, error));
    OK(reknock_client_send(small, request, NULL, &response, error));
    CHECK(reknock_response_status(response) == 503);
    CHECK(reknock_response_stop_reason(response) == REKNOCK_STOP_BODY_NOT_REPLAYABLE);
    reknock_response_free(response);
    reknock_request_free(request);
}

static void failures(reknock_client *client, const char *url) {
    static const struct {
        int fails;
        size_t claims;
        int64_t length;
        reknock_status status;
    } cases[] = {
        {REKNOCK_ANSWER_ERROR, 0, SIZE, REKNOCK_ERROR_CALLBACK}, {77, 0, SIZE, REKNOCK_ERROR_CALLBACK},
        {0, (size_t)-1, SIZE, REKNOCK_ERROR_CALLBACK},           {0, 0, SIZE - 1, REKNOCK_ERROR_INVALID_REQUEST},
        {0, 0, SIZE + 1, REKNOCK_ERROR_INVALID_REQUEST},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        reknock_request *request = new_request("PUT", url);
        reknock_response *response = NULL;
        letters *body = new_letters();
        body->fails = cases[i].fails;
        body->claims = cases[i].claims;
        OK(reknock_request_set_body_stream(request, read_letters, rewind_letters, cases[i].length, body, free_letters, error));
        CHECK(reknock_client_send(client, request, NULL, &response, NULL) == cases[i].status);
        CHECK(response == NULL);
        reknock_request_free(request);
    }
}

static void misuse(reknock_client *client, const char *url) {
    reknock_request *request = new_request("PUT", url);
    reknock_response *response = NULL;
    letters *body;
    CHECK(reknock_request_set_body_stream(NULL, read_letters, NULL, 1, new_letters(), free_letters, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(reknock_request_set_body_stream(request, NULL, NULL, 1, new_letters(), free_letters, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(reknock_request_set_body_stream(request, read_letters, NULL, -2, new_letters(), free_letters, NULL) ==
          REKNOCK_ERROR_INVALID_ARGUMENT);
    /* A function that sends its own body. */
    body = new_letters();
    OK(reknock_request_set_body_stream(request, read_letters, rewind_letters, SIZE, body, free_letters, error));
    body->client = client;
    body->request = request;
    CHECK(reknock_client_send(client, request, NULL, &response, NULL) == REKNOCK_ERROR_CALLBACK);
    CHECK(body->nested == REKNOCK_ERROR_CALLBACK && response == NULL);
    reknock_request_free(request);
}

static reknock_answer another_body(void *user_data, const reknock_attempt *attempt, reknock_request *request) {
    letters *body = *(letters **)user_data = new_letters();
    (void)attempt;
    return reknock_request_set_body_stream(request, read_letters, NULL, SIZE, body, free_letters, NULL);
}

/* before_retry may put a stream in place of the body. */
static void another_body_for_a_retry(const char *url) {
    reknock_client *client = new_client("{backoff: {base: 1ms}}");
    reknock_request *request = new_request("PUT", url);
    reknock_response *response = NULL;
    letters *body = NULL;
    OK(reknock_client_set_before_retry(client, another_body, &body, NULL, error));
    OK(reknock_client_send(client, request, NULL, &response, error));
    check_echo(response);
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_client_free(client);
}

/* The answer is there before the upload is over: reading it goes on with the upload. */
static void answered_early(reknock_client *client, const char *url) {
    reknock_request *request = new_request("PUT", url);
    reknock_response *response = NULL;
    uint8_t buffer[100];
    size_t count;
    letters *body = new_letters();
    OK(reknock_request_set_body_stream(request, read_letters, rewind_letters, SIZE, body, free_letters, error));
    OK(reknock_client_stream(client, request, NULL, &response, error));
    CHECK(reknock_response_status(response) == 200);
    do OK(reknock_response_read(response, buffer, sizeof buffer, &count, error));
    while (count > 0);
    reknock_response_free(response);
    reknock_request_free(request);
}

/* A whole answer that is there before the upload is over: nothing is asked for behind it. */
static void answered_early_on_a_queue(reknock_client *client, const char *url) {
    reknock_request *request = new_request("PUT", url);
    reknock_queue *queue = NULL;
    reknock_completion completion;
    letters *body = new_letters();
    int reads, i;
    body->endless = 1;
    OK(reknock_queue_new(&queue, error));
    OK(reknock_request_set_body_stream(request, read_letters, rewind_letters, REKNOCK_LENGTH_UNKNOWN, body, free_letters, error));
    OK(reknock_client_submit(client, request, NULL, queue, NULL, NULL, error));
    completion = next_completion(queue);
    CHECK(completion.status == REKNOCK_OK && reknock_response_status(completion.response) == 200);
    reknock_response_free(completion.response);
    reads = body->reads;
    for (i = 0; i < 5; i++) {
        struct pollfd poller;
        poller.fd = reknock_queue_descriptor(queue);
        poller.events = POLLIN;
        poll(&poller, 1, 10);
        CHECK(reknock_queue_next(queue, &completion) == REKNOCK_EMPTY && body->reads == reads);
    }
    reknock_request_free(request);
    reknock_queue_free(queue);
}

static reknock_answer from_response(void *user_data, uint8_t *buffer, size_t size, size_t *written) {
    reknock_status status = reknock_response_read((reknock_response *)user_data, buffer, size, written, NULL);
    return status == REKNOCK_OK ? REKNOCK_ANSWER_DEFAULT : REKNOCK_ANSWER_ERROR;
}

/* What one call brings, another one sends: by the thread that waits for both, and by the one that drains. */
static void handed_on(reknock_client *client, const char *from, const char *to) {
    int queued;
    for (queued = 0; queued <= 1; queued++) {
        reknock_request *get = new_request("GET", from), *put = new_request("PUT", to);
        reknock_response *source = NULL, *response = NULL;
        OK(reknock_client_stream(client, get, NULL, &source, error));
        OK(reknock_request_set_body_stream(put, from_response, NULL, 3000000, source, NULL, error));
        if (queued) {
            reknock_queue *queue = NULL;
            OK(reknock_queue_new(&queue, error));
            OK(reknock_client_submit(client, put, NULL, queue, NULL, NULL, error));
            response = next_completion(queue).response;
            reknock_queue_free(queue);
        } else {
            OK(reknock_client_send(client, put, NULL, &response, error));
        }
        check_says(response, "\"body_size\":3000000,");
        reknock_response_free(response);
        reknock_response_free(source);
        reknock_request_free(put);
        reknock_request_free(get);
    }
}

/* Whoever cancelled is not asked any more, though the question is there already. */
static void cancelled(reknock_client *client, const char *url) {
    reknock_request *request = new_request("PUT", url);
    reknock_queue *queue = NULL;
    reknock_call call = 0;
    reknock_completion completion;
    struct pollfd poller;
    letters *body = new_letters();
    OK(reknock_queue_new(&queue, error));
    OK(reknock_request_set_body_stream(request, read_letters, rewind_letters, SIZE, body, free_letters, error));
    OK(reknock_client_submit(client, request, NULL, queue, NULL, &call, error));
    poller.fd = reknock_queue_descriptor(queue);
    poller.events = POLLIN;
    CHECK(poll(&poller, 1, 20000) == 1);
    reknock_call_cancel(queue, call);
    completion = next_completion(queue);
    CHECK(completion.status == REKNOCK_ERROR_CANCELLED && body->reads == 0);
    reknock_error_free(completion.error);
    reknock_request_free(request);
    reknock_queue_free(queue);
}

int main(int argc, char **argv) {
    reknock_client *client = new_client("{backoff: {base: 1ms}}");
    reknock_client *small = new_client("{backoff: {base: 1ms}, max_body_buffer: 1KiB}");
    CHECK(argc == 10);
    sent_by_calls_that_block(client, argv[1], SIZE);
    sent_by_calls_that_block(client, argv[1], REKNOCK_LENGTH_UNKNOWN);
    sent_by_calls_that_block(client, argv[2], SIZE);
    sent_by_calls_on_a_queue(client, argv[3]);
    sent_once(client, small, argv[4], argv[5]);
    failures(client, argv[1]);
    misuse(client, argv[1]);
    another_body_for_a_retry(argv[6]);
    answered_early(client, argv[7]);
    answered_early_on_a_queue(client, argv[7]);
    cancelled(client, argv[8]);
    handed_on(client, argv[9], argv[1]);
    reknock_client_free(small);
    reknock_client_free(client);
    pthread_mutex_lock(&lock);
    while (in_use > 0) pthread_cond_wait(&changed, &lock); /* every body is freed, once */
    CHECK(in_use == 0);
    pthread_mutex_unlock(&lock);
    return 0;
}
