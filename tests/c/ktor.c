/* ktor ROW URL POLICY: Ktor's functions in our words, one row of the table in docs/dialects/ktor.md at a time, over the Ktor policy of
 * a file. Prints how the call ended, its attempts, and its waits in milliseconds. */
#include "check.h"

#define NO_WAIT "\"backoff\": \"none\""

/* What a row changes in the policy: of the client, and of the call if that has one of its own. */
typedef struct row {
    const char *name, *policy, *own;
} row;

static const row ROWS[] = {
    {"install", "{" NO_WAIT "}", NULL},
    {"max_retries", "{\"max_retries\": 1, " NO_WAIT "}", NULL},
    {"retry_on_server_errors", "{\"retry_on\": \"none\", \"statuses\": [\"500-599\"], " NO_WAIT "}", NULL},
    {"retry_on_exception",
     "{\"retry_on\": [\"reset\", \"tls\", \"truncated-body\", \"not per-try-timeout\", \"not connect-timeout\"], \"statuses\": \"none\", " NO_WAIT "}", NULL},
    {"retry_on_timeout", "{\"retry_on\": [\"reset\", \"tls\", \"truncated-body\"], \"per_try_timeout\": \"1s\", " NO_WAIT "}", NULL},
    {"retry_on_exception_or_server_errors",
     "{\"retry_on\": [\"reset\", \"tls\", \"truncated-body\", \"not per-try-timeout\", \"not connect-timeout\"], \"statuses\": [\"500-599\"], " NO_WAIT "}", NULL},
    {"no_retry", "{\"max_retries\": 0}", NULL},
    {"retry_if", "{" NO_WAIT "}", NULL},
    {"retry_on_exception_if", "{" NO_WAIT "}", NULL},
    {"delay_millis", "{\"max_retries\": 3}", NULL},
    {"constant_delay", "{\"backoff\": {\"kind\": \"constant\", \"delay\": \"12ms\"}}", NULL},
    {"exponential_delay", "{\"backoff\": {\"base\": \"10ms\", \"factor\": 2, \"max\": \"30ms\", \"jitter\": \"none\"}}", NULL},
    {"respect_retry_after_header", "{\"retry_after\": \"none\", " NO_WAIT "}", NULL},
    {"modify_request", "{" NO_WAIT "}", NULL},
    {"delay", "{\"backoff\": \"none\"}", NULL},
    {"retry", "{\"max_retries\": 0}", "{\"max_retries\": 2, \"backoff\": \"12ms\"}"},
    {"event", "{" NO_WAIT "}", NULL},
    {"http_timeout", "{\"per_try_timeout\": \"300ms\", " NO_WAIT "}", NULL},
    {"http_timeout_outside", "{\"timeout\": \"300ms\", " NO_WAIT "}", NULL},
};

static reknock_answer answers_404(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)user_data, (void)wait_ms;
    if (attempt->error) return REKNOCK_ANSWER_DEFAULT;
    return attempt->http_status == 404 ? REKNOCK_ANSWER_RETRY : REKNOCK_ANSWER_STOP;
}

static reknock_answer failures_to_connect(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)user_data, (void)wait_ms;
    if (!attempt->error) return REKNOCK_ANSWER_DEFAULT;
    return attempt->error == REKNOCK_ERROR_CONNECT ? REKNOCK_ANSWER_RETRY : REKNOCK_ANSWER_STOP;
}

static reknock_answer growing(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)user_data;
    *wait_ms = 2 * (uint64_t)attempt->number;
    return REKNOCK_ANSWER_WAIT;
}

static reknock_answer count(void *user_data, const reknock_attempt *attempt, reknock_request *request) {
    char number[16];
    (void)user_data;
    snprintf(number, sizeof number, "%u", (unsigned)attempt->number);
    return reknock_request_add_header(request, "x-retry", number, NULL) ? REKNOCK_ANSWER_ERROR : REKNOCK_ANSWER_DEFAULT;
}

static void tell(void *user_data, const reknock_event *event) {
    (void)user_data;
    if (event->kind == REKNOCK_EVENT_RETRY) {
        printf("retry %u after %d %s\n", (unsigned)event->attempts->number, (int)event->attempts->http_status,
               event->attempts->error ? reknock_status_name(event->attempts->error) : "no error");
    }
}

static reknock_policy *changed(const char *file, const char *json) {
    reknock_policy *base = NULL, *policy = NULL;
    OK(reknock_policy_load(file, &base, error));
    OK(reknock_policy_merge_json(base, json, &policy, error));
    reknock_policy_free(base);
    return policy;
}

static void print_record(const reknock_attempt_record *record) {
    if (record->wait_us >= 0) printf(" %d", (int)(record->wait_us / 1000));
}

static void call(reknock_client *client, const char *url, const reknock_call_options *options) {
    reknock_request *request = new_request("POST", url);
    reknock_response *response = NULL;
    reknock_error *error = NULL;
    size_t i, attempts;
    if (reknock_client_send(client, request, options, &response, &error)) {
        attempts = reknock_error_attempt_count(error);
        printf("%s, %u sent, waits", reknock_status_name(reknock_error_status(error)), (unsigned)attempts);
        for (i = 0; i < attempts; i++) print_record(reknock_error_attempt(error, i));
    } else {
        attempts = reknock_response_attempt_count(response);
        printf("%d, %u sent, waits", (int)reknock_response_status(response), (unsigned)attempts);
        for (i = 0; i < attempts; i++) print_record(reknock_response_attempt(response, i));
    }
    printf("\n");
    reknock_error_free(error);
    reknock_response_free(response);
    reknock_request_free(request);
}

int main(int argc, char **argv) {
    const row *found = NULL;
    reknock_client_options client_options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_call_options call_options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_policy *policy = NULL, *own = NULL;
    reknock_client *client = NULL;
    size_t i;
    CHECK(argc == 4);
    for (i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        if (strcmp(argv[1], ROWS[i].name) == 0) found = &ROWS[i];
    }
    CHECK(found);
    client_options.policy = policy = changed(argv[3], found->policy);
    if (found->own) call_options.policy = own = changed(argv[3], found->own);
    OK(reknock_client_new(&client_options, &client, error));
    if (strcmp(argv[1], "retry_if") == 0) OK(reknock_client_set_retry_if(client, answers_404, 0, NULL, NULL, error));
    if (strcmp(argv[1], "retry_on_exception_if") == 0) OK(reknock_client_set_retry_if(client, failures_to_connect, 0, NULL, NULL, error));
    if (strcmp(argv[1], "delay_millis") == 0) OK(reknock_client_set_delay(client, growing, NULL, NULL, error));
    if (strcmp(argv[1], "modify_request") == 0) OK(reknock_client_set_before_retry(client, count, NULL, NULL, error));
    if (strcmp(argv[1], "event") == 0) OK(reknock_client_set_on_event(client, tell, NULL, NULL, error));
    call(client, argv[2], &call_options);
    reknock_client_free(client);
    reknock_policy_free(policy);
    reknock_policy_free(own);
    return 0;
}
