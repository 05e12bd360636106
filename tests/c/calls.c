/* calls: whole calls as data, a client each line. See lines.h; bindings/c/tests/call_vectors.rs asks.
 *
 *     URL METHOD HTTP2 POLICY CALLS CA FOLLOW REDIRECTS LARGEST OPINION SIZE STREAM [NAME VALUE]..
 *         ->  [call STATUS KIND STOP BODY EVENTS TEXT N [STATUS KIND EVIDENCE HOP HINT_US WAIT_US REUSED VERSION FIRST_BYTE DURATION PEER]..]..
 *
 * POLICY: a JSON document. CALLS: so many calls, one after the other. CA: PEM, or empty. FOLLOW, STREAM: true or false. REDIRECTS, LARGEST, SIZE: numbers,
 * or -1 for the default, or no body. OPINION: what retry_if answers each time, a REKNOCK_ANSWER_ number, or -1 for no callback. */
#include "call_lines.h"

static reknock_answer answers(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)attempt;
    (void)wait_ms;
    return *(const reknock_answer *)user_data;
}

/* What the present call has told: its events, a semicolon after each, and the line of its end. */
static char told[4096], told_end[512];

static void put_told(const char *text) {
    CHECK(strlen(told) + strlen(text) + 1 < sizeof told);
    strcat(told, text);
}

/* An event in one word for each thing that is the same every time. */
static void listens(void *user_data, const reknock_event *event) {
    static const char *const kinds[] = {"", "retry", "redirect", "end", "notice", "attempt_start", "attempt_end", "interim"};
    const reknock_attempt_record *attempt = event->attempts;
    char number[32];
    (void)user_data;
    CHECK(event->kind >= 1 && event->kind <= 7 && event->call_id > 0 && event->method && event->url);
    put_told(kinds[event->kind]);
    sprintf(number, " %u", (unsigned)event->number);
    if (event->number) put_told(number);
    sprintf(number, " %d", (int)event->interim_status);
    if (event->interim_status) put_told(number);
    if (event->kind == REKNOCK_EVENT_ATTEMPT_END) {
        sprintf(number, " %d", (int)attempt->http_status);
        if (attempt->error) put_told(" ");
        put_told(attempt->error ? reknock_status_name(attempt->error) : number);
    }
    if (event->reason) put_told(" "), put_told(event->reason);
    if (event->kind == REKNOCK_EVENT_REDIRECT) put_told(" "), put_told(event->target);
    if (event->kind == REKNOCK_EVENT_END) {
        put_told(" ");
        put_told(reknock_stop_reason_name(event->stop_reason));
        if (event->failed) put_told(" failed");
        CHECK(strlen(event->text) < sizeof told_end);
        strcpy(told_end, event->text);
    }
    put_told(";");
}

static reknock_client *client_of(char **fields, reknock_answer *opinion) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_policy *policy = NULL;
    reknock_client *client = NULL;
    OK(reknock_policy_from_json(fields[3], &policy, error));
    options.policy = policy;
    options.http2 = is_true(fields[2]) ? REKNOCK_HTTP2_ONLY : REKNOCK_HTTP2_NONE;
    options.proxy = "";
    options.ca_pem = *fields[5] ? (const uint8_t *)fields[5] : NULL;
    options.ca_pem_length = strlen(fields[5]);
    if (atol(fields[7]) >= 0) options.max_redirects = (int32_t)atol(fields[7]);
    if (!is_true(fields[6])) options.max_redirects = REKNOCK_NONE;
    if (atol(fields[8]) >= 0) options.max_response_size = (uint64_t)atol(fields[8]);
    OK(reknock_client_new(&options, &client, error));
    reknock_policy_free(policy);
    OK(reknock_client_set_on_event(client, listens, NULL, NULL, error));
    *opinion = (reknock_answer)atol(fields[9]);
    if (atol(fields[9]) >= 0) OK(reknock_client_set_retry_if(client, answers, 0, opinion, NULL, error));
    return client;
}

typedef struct {
    size_t size, at;
} stream;

static reknock_answer produces(void *user_data, uint8_t *buffer, size_t size, size_t *written) {
    stream *body = (stream *)user_data;
    size_t left = body->size - body->at;
    size = size < 10000 ? size : 10000;
    *written = left < size ? left : size;
    fill(buffer, *written, body->at);
    body->at += *written;
    return REKNOCK_ANSWER_DEFAULT;
}

static reknock_request *request_of(char **fields, int count, stream *body) {
    reknock_request *request = new_request(fields[1], fields[0]);
    long size = atol(fields[10]);
    int i;
    for (i = 12; i + 1 < count; i += 2) OK(reknock_request_add_header(request, fields[i], fields[i + 1], error));
    if (size >= 0 && is_true(fields[11])) {
        body->size = (size_t)size;
        body->at = 0;
        OK(reknock_request_set_body_stream(request, produces, NULL, REKNOCK_LENGTH_UNKNOWN, body, NULL, error));
    } else if (size >= 0) {
        uint8_t *bytes = (uint8_t *)malloc((size_t)size + 1);
        CHECK(bytes);
        fill(bytes, (size_t)size, 0);
        OK(reknock_request_set_body(request, bytes, (size_t)size, error));
        free(bytes);
    }
    return request;
}

static void print_told(size_t count) {
    printf("\t%s\t", told);
    print_escaped(told_end);
    printf("\t%u", (unsigned)count);
}

static void call(reknock_client *client, const reknock_request *request) {
    reknock_response *response = NULL;
    reknock_error *failure = NULL;
    size_t i, count;
    told[0] = told_end[0] = 0;
    if (reknock_client_send(client, request, NULL, &response, &failure)) {
        CHECK(strcmp(reknock_error_message(failure), told_end) == 0 && reknock_error_call_id(failure) > 0);
        count = reknock_error_attempt_count(failure);
        printf("call\t%d\t%s\t%s\t", (int)reknock_error_http_status(failure), reknock_status_name(reknock_error_status(failure)),
               reknock_stop_reason_name(reknock_error_stop_reason(failure)));
        print_told(count);
        for (i = 0; i < count; i++) print_attempt(reknock_error_attempt(failure, i));
    } else {
        size_t length = 0;
        const uint8_t *body = reknock_response_body(response, &length);
        char text[32];
        length = length < sizeof text ? length : 0; /* those that are compared are short */
        if (length > 0) memcpy(text, body, length);
        text[length] = 0;
        count = reknock_response_attempt_count(response);
        printf("call\t%d\t%s\t%s\t", (int)reknock_response_status(response), reknock_status_name(REKNOCK_OK),
               reknock_stop_reason_name(reknock_response_stop_reason(response)));
        print_escaped(text);
        print_told(count);
        for (i = 0; i < count; i++) print_attempt(reknock_response_attempt(response, i));
    }
    reknock_error_free(failure);
    reknock_response_free(response);
}

int main(void) {
    char *fields[FIELDS];
    int count;
    while ((count = next_question(fields)) > 0) {
        stream body = {0, 0};
        reknock_answer opinion = 0;
        reknock_client *client;
        long i;
        CHECK(count >= 12);
        client = client_of(fields, &opinion);
        for (i = 0; i < atol(fields[4]); i++) {
            reknock_request *request = request_of(fields, count, &body);
            if (i > 0) printf("\t");
            call(client, request);
            reknock_request_free(request);
        }
        printf("\n");
        CHECK(fflush(stdout) == 0);
        reknock_client_free(client);
    }
    return 0;
}
