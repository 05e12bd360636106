/* null URL FILE: filled in by misuse.rs. */
#include "check.h"

static const char *url, *path;
static reknock_policy *policy;
static reknock_policies *policies;
static reknock_policy_set *set;
static reknock_choice *choice;
static reknock_client *client;
static reknock_request *request;
static reknock_response *response, *streamed;
static reknock_error *failure;
static reknock_queue *queue;
static reknock_budgets *budgets;
static reknock_cancel *cancel;
static reknock_cookies *cookies;
static reknock_multipart *form;
static reknock_report *report;
static reknock_lint *lint;
static reknock_retry *retry;
static reknock_retry *begun; /* without an attempt yet */
static uint8_t bytes[8] = "{}";
static const reknock_header header = {"ab", "cd"};
static const reknock_client_options client_options = REKNOCK_CLIENT_OPTIONS_INIT;
static const reknock_call_options call_options = REKNOCK_CALL_OPTIONS_INIT;
static reknock_retry_options retry_options = REKNOCK_RETRY_OPTIONS_INIT;
static const reknock_retry_answer retry_answer = REKNOCK_RETRY_ANSWER_INIT;
/* Where everything is written to. */
static union {
    void *handle;
    uint64_t number;
    char room[256];
} place;

static reknock_answer asked(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)user_data, (void)attempt, (void)wait_ms;
    return REKNOCK_ANSWER_DEFAULT;
}

static reknock_answer edits(void *user_data, const reknock_attempt *attempt, reknock_request *edited) {
    (void)user_data, (void)attempt, (void)edited;
    return REKNOCK_ANSWER_DEFAULT;
}

static void told(void *user_data, const reknock_event *event) {
    (void)user_data, (void)event;
}

static void frees(void *user_data) {
    (void)user_data;
}

static reknock_answer reads(void *user_data, uint8_t *buffer, size_t size, size_t *written) {
    (void)user_data, (void)buffer, (void)size;
    *written = 0;
    return REKNOCK_ANSWER_DEFAULT;
}

static reknock_answer rewinds(void *user_data) {
    (void)user_data;
    return REKNOCK_ANSWER_DEFAULT;
}

/* Handles in a state in which everything may be asked of them. */
static void ready(void) {
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_retry_free(retry);
    reknock_retry_free(begun);
    request = new_request("GET", url);
    response = NULL;
    OK(reknock_client_send(client, request, NULL, &response, error));
    while (reknock_queue_pending(queue) > 0) (void)next_completion(queue); /* of the call before */
    reknock_response_free(streamed);
    OK(reknock_client_submit_stream(client, request, NULL, queue, NULL, NULL, error));
    streamed = next_completion(queue).response;
    OK(reknock_retry_new(&retry_options, 0, &begun, error));
    OK(reknock_retry_new(&retry_options, 0, &retry, error));
    OK(reknock_retry_attempt(retry, 0, NULL, error));
    OK(reknock_retry_classify_response(retry, 503, NULL, 0, 0, 0, NULL, error));
}

static int is_nothing(const void *pointer, int text) {
    return pointer == NULL || (text && *(const char *)pointer == 0);
}

/* It may fail for other reasons, but not because of the NULL. */
#define ALLOWED(call)                                      \
    do {                                                   \
        reknock_status allowed = (call);                   \
        CHECK(allowed != REKNOCK_ERROR_INVALID_ARGUMENT);  \
        CHECK(allowed != REKNOCK_ERROR_INTERNAL);          \
    } while (0)
/* NULL, or an empty text. */
#define NOTHING(call) CHECK(is_nothing((call), strstr(#call, "reknock_policies_at") == NULL))

/* CALLS */

int main(int argc, char **argv) {
    CHECK(argc == 3);
    url = argv[1];
    path = argv[2];
    client = new_client("{}");
    OK(reknock_policy_from_json("{}", &policy, error));
    OK(reknock_policies_read("{}", NULL, &policies, error));
    OK(reknock_policy_set_read("{}", NULL, &set, error));
    OK(reknock_policy_set_choose(set, "GET http://a/", &choice, error));
    OK(reknock_queue_new(&queue, error));
    OK(reknock_budgets_new(&budgets, error));
    OK(reknock_cancel_new(&cancel, error));
    OK(reknock_multipart_new(&form, error));
    OK(reknock_cookies_new(&cookies, error));
    OK(reknock_policy_simulate(policy, "spike", &report, error));
    OK(reknock_policy_lint(policy, NULL, &lint, error));
    CHECK(reknock_policy_from_json("{", (reknock_policy **)(void *)&place, &failure) == REKNOCK_ERROR_CONFIG);
    retry_options.method = "GET";
/* RUN */
    return 0;
}
