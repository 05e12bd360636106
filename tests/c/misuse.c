/* misuse URL SLOW: everything that a program can do wrong without breaking the contract of a handle. URL answers 503, SLOW
 * never. */
#include "check.h"

#define INVALID(call)                                                                                    \
    do {                                                                                                 \
        reknock_error *e = NULL, **error = &e;                                                           \
        CHECK((call) == REKNOCK_ERROR_INVALID_ARGUMENT);                                                 \
        CHECK(e != NULL && reknock_error_status(e) == REKNOCK_ERROR_INVALID_ARGUMENT);                   \
        CHECK(strlen(reknock_error_message(e)) > 0 && reknock_error_attempt_count(e) == 0);              \
        reknock_error_free(e);                                                                           \
        error = NULL;                                                                                    \
        CHECK((call) == REKNOCK_ERROR_INVALID_ARGUMENT);                                                 \
    } while (0)

/* Of NULL see bindings/c/tests/misuse.rs. */
static void arguments_that_are_none(reknock_request *request) {
    reknock_policy *policy = NULL;
    reknock_policies *policies = NULL;
    reknock_retry *retry = NULL;
    reknock_header header = {"a", NULL};
    reknock_decision decision;
    reknock_retry_options options = REKNOCK_RETRY_OPTIONS_INIT;

    INVALID(reknock_policy_from_json_n("{}", (size_t)-1, &policy, error));
    INVALID(reknock_policy_from_yaml("\xff", &policy, error));
    INVALID(reknock_policies_read_n("\xff", 1, NULL, &policies, error));
    INVALID(reknock_request_add_header_n(request, "a", 1, NULL, 1, error));
    OK(reknock_request_add_header_n(request, "ab", 1, "cd", 1, error));
    INVALID(reknock_request_set_body(request, NULL, 1, error));
    OK(reknock_request_set_body(request, NULL, 0, error));
    INVALID(reknock_retry_new(&options, 0, &retry, error));
    options.method = "GET";
    OK(reknock_retry_new(&options, 0, &retry, error));
    OK(reknock_retry_attempt(retry, 0, NULL, error));
    INVALID(reknock_retry_decide(retry, NULL, 1, 0, &decision, error)); /* nothing was classified */
    INVALID(reknock_retry_followed(retry, error)); /* likewise */
    INVALID(reknock_retry_classify_response(retry, 503, &header, 1, 0, 0, NULL, error));
    INVALID(reknock_retry_classify_response(retry, -1, NULL, 0, 0, 0, NULL, error));
    INVALID(reknock_retry_classify_response(retry, 1000, NULL, 0, 0, 0, NULL, error));
    INVALID(reknock_retry_classify_failure(retry, 99, REKNOCK_EVIDENCE_UNKNOWN, 0, NULL, error));
    INVALID(reknock_retry_classify_failure(retry, REKNOCK_ERROR_RESET, 0, 0, NULL, error));
    reknock_retry_free(retry);
    CHECK(policy == NULL && policies == NULL);
    CHECK(strcmp(reknock_status_name(-7), "unknown") == 0 && strcmp(reknock_status_meaning(-7), "") == 0);
    CHECK(strcmp(reknock_stop_reason_name(-7), "unknown") == 0 && strcmp(reknock_stop_reason_advice(-7), "") == 0);
}

/* A key where something else is expected is not shown. */
#define HIDDEN(call)                                              \
    do {                                                          \
        reknock_error *e = NULL, **error = &e;                    \
        CHECK((call) != REKNOCK_OK);                              \
        CHECK(strstr(reknock_error_message(e), "secret") == NULL); \
        CHECK(strchr(reknock_error_message(e), '\n') == NULL);     \
        reknock_error_free(e);                                    \
    } while (0)

static void no_secret_is_shown(reknock_request *request) {
    static const char *const secrets[] = {
        "-----BEGIN PRIVATE KEY-----\nMIIsecret\n-----END PRIVATE KEY-----\n",
        "MIIsecret\n-----END PRIVATE KEY-----\n.yaml",
        "secretsecretsecretsecretsecretsecretsecretsecretsecretsecretsecret",
        "secretsecretsecretsecretsecretsecretsecretsecretsecretsecretsecret.yaml",
    };
    reknock_policy *policy = NULL;
    reknock_policies *policies = NULL;
    reknock_client *client = NULL;
    size_t i;
    for (i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
        HIDDEN(reknock_policy_load(secrets[i], &policy, error));
        HIDDEN(reknock_policies_load(secrets[i], NULL, &policies, error));
        HIDDEN(reknock_policies_load("x.yaml", secrets[i], &policies, error));
        HIDDEN(reknock_policy_preset(secrets[i], &policy, error));
        HIDDEN(reknock_request_set_body_file(request, secrets[i], error));
        HIDDEN(reknock_request_set_url(request, secrets[i], error));
        options.local_address = secrets[i];
        HIDDEN(reknock_client_new(&options, &client, error));
        options.local_address = NULL;
        options.base_url = secrets[i];
        HIDDEN(reknock_client_new(&options, &client, error));
    }
}

/* Programs compiled against another version of the header. */
static void structs_of_other_versions(void) {
    reknock_client_options wrong = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_client *client = NULL;
    size_t size;

    /* Every size that ends within a field, or is that of nothing: half a pointer is none. */
    wrong.base_url = "http://127.0.0.1";
    for (size = 0; size < sizeof wrong; size++) {
        wrong.struct_size = size;
        INVALID(reknock_client_new(&wrong, &client, error));
    }
    /* One that is larger is none, nor one of a release to come: nothing beyond this one may be read. */
    for (size = sizeof wrong + 1; size <= 4096; size++) {
        wrong.struct_size = size;
        INVALID(reknock_client_new(&wrong, &client, error));
    }
    wrong.struct_size = (size_t)-1;
    INVALID(reknock_client_new(&wrong, &client, error));
    wrong.base_url = NULL;

    wrong.struct_size = sizeof wrong;
    wrong.http2 = 9;
    INVALID(reknock_client_new(&wrong, &client, error));
    wrong.http2 = 0;
    wrong.max_redirects = -2;
    INVALID(reknock_client_new(&wrong, &client, error));
    wrong.max_redirects = 1001;
    INVALID(reknock_client_new(&wrong, &client, error));
    wrong.max_redirects = REKNOCK_NONE;
    wrong.pool_max_idle_per_host = 100001;
    INVALID(reknock_client_new(&wrong, &client, error));
    wrong.pool_max_idle_per_host = 0;
    wrong.header_count = 1;
    INVALID(reknock_client_new(&wrong, &client, error));
    CHECK(client == NULL);
}

/* The other structs go the same way. */
static void each_struct_has_its_size(reknock_client *client, reknock_request *request) {
    reknock_call_options call_options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_retry_options retry_options = REKNOCK_RETRY_OPTIONS_INIT;
    reknock_retry_answer answer = REKNOCK_RETRY_ANSWER_INIT;
    reknock_retry *retry = NULL;
    reknock_response *response = NULL;
    reknock_decision decision;
    size_t size;
    CHECK(call_options.struct_size == sizeof call_options && retry_options.struct_size == sizeof retry_options);
    for (size = 0; size < sizeof call_options; size++) {
        call_options.struct_size = size;
        INVALID(reknock_client_send(client, request, &call_options, &response, error));
    }
    retry_options.method = "GET";
    for (size = 0; size < sizeof retry_options; size++) {
        retry_options.struct_size = size;
        INVALID(reknock_retry_new(&retry_options, 0, &retry, error));
    }
    retry_options.struct_size = sizeof retry_options;
    OK(reknock_retry_new(&retry_options, 0, &retry, error));
    OK(reknock_retry_attempt(retry, 0, NULL, error));
    OK(reknock_retry_classify_response(retry, 503, NULL, 0, 0, 0, NULL, error));
    retry_options.struct_size = 1;
    INVALID(reknock_retry_redirect(retry, &retry_options, 0, error));
    for (size = 0; size < sizeof answer; size++) {
        answer.struct_size = size;
        INVALID(reknock_retry_decide(retry, &answer, 1, 0, &decision, error));
    }
    answer.struct_size = 100000;
    INVALID(reknock_retry_decide(retry, &answer, 1, 0, &decision, error));
    answer.struct_size = sizeof answer;
    answer.answer = 77;
    INVALID(reknock_retry_decide(retry, &answer, 1, 0, &decision, error));
    reknock_retry_free(retry);
}

static int freed;

static void count_free(void *user_data) {
    CHECK(user_data == &freed);
    freed++;
}

static reknock_answer garbage(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    CHECK(user_data == &freed && attempt->http_status == 503);
    *wait_ms = UINT64_MAX;
    return 77;
}

static reknock_answer forever(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)user_data;
    (void)attempt;
    *wait_ms = UINT64_MAX;
    return REKNOCK_ANSWER_WAIT;
}

static void callbacks_that_return_garbage(reknock_client *client, reknock_request *request) {
    reknock_response *response = NULL;
    reknock_error *failure = NULL;

    OK(reknock_client_set_retry_if(client, garbage, 0, &freed, count_free, error));
    CHECK(reknock_client_send(client, request, NULL, &response, &failure) == REKNOCK_ERROR_CALLBACK);
    CHECK(response == NULL && reknock_error_stop_reason(failure) == REKNOCK_STOP_CALLBACK);
    CHECK(reknock_error_attempt_count(failure) == 1 && reknock_error_attempt(failure, 0)->http_status == 503);
    CHECK(reknock_error_attempt(failure, 1) == NULL);
    reknock_error_free(failure);
    CHECK(freed == 0);
    /* A wait of 584 million years does not fit before the deadline. */
    OK(reknock_client_set_retry_if(client, forever, 0, NULL, NULL, error));
    CHECK(freed == 1);
    OK(reknock_client_send(client, request, NULL, &response, error));
    CHECK(reknock_response_stop_reason(response) == REKNOCK_STOP_DEADLINE);
    reknock_response_free(response);
    OK(reknock_client_set_retry_if(client, NULL, 0, &freed, count_free, error));
    CHECK(freed == 2);
    CHECK(reknock_client_set_delay(NULL, forever, &freed, count_free, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(freed == 3);
}

static reknock_client *inner_client;

static reknock_answer calls_and_frees(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    reknock_client **outer = (reknock_client **)user_data;
    reknock_request *request = new_request("GET", attempt->url);
    reknock_response *response = NULL;
    (void)wait_ms;
    OK(reknock_client_send(inner_client, request, NULL, &response, error));
    CHECK(reknock_response_status(response) == 503);
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_client_free(*outer); /* the very client whose call this is */
    *outer = NULL;
    return REKNOCK_ANSWER_STOP;
}

static void a_call_and_a_free_inside_a_callback(reknock_request *request) {
    reknock_client *outer = new_client("{}");
    reknock_response *response = NULL;
    inner_client = new_client("{max_retries: 0}");
    OK(reknock_client_set_retry_if(outer, calls_and_frees, 0, &outer, NULL, error));
    OK(reknock_client_send(outer, request, NULL, &response, error));
    CHECK(outer == NULL && reknock_response_stop_reason(response) == REKNOCK_STOP_PREDICATE_STOP);
    reknock_response_free(response);
    reknock_client_free(inner_client);
}

static void double_cancel_and_close(reknock_client *client, reknock_request *request) {
    reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
    reknock_cancel *cancel = NULL;
    reknock_response *response = NULL;
    OK(reknock_cancel_new(&cancel, error));
    reknock_cancel_trigger(cancel);
    reknock_cancel_trigger(cancel);
    options.cancel = cancel;
    CHECK(reknock_client_send(client, request, &options, &response, NULL) == REKNOCK_ERROR_CANCELLED);
    reknock_cancel_free(cancel);
    reknock_client_close(client);
    reknock_client_close(client);
    CHECK(reknock_client_send(client, request, NULL, &response, NULL) == REKNOCK_ERROR_CLOSED);
    CHECK(response == NULL);
}

static void versions(void) {
    CHECK(reknock_version_number() == REKNOCK_VERSION_NUMBER && strcmp(reknock_version(), REKNOCK_VERSION) == 0);
    CHECK(REKNOCK_VERSION_NUMBER == REKNOCK_VERSION_MAJOR * 1000000 + REKNOCK_VERSION_MINOR * 1000 + REKNOCK_VERSION_PATCH);
    CHECK(reknock_abi_version() == REKNOCK_ABI_VERSION);
}

int main(int argc, char **argv) {
    reknock_client *client = new_client("{max_retries: 1, backoff: {base: 1ms}}");
    reknock_request *request;
    CHECK(argc == 3);
    request = new_request("GET", argv[1]);
    versions();
    arguments_that_are_none(request);
    no_secret_is_shown(request);
    structs_of_other_versions();
    each_struct_has_its_size(client, request);
    callbacks_that_return_garbage(client, request);
    a_call_and_a_free_inside_a_callback(request);
    OK(reknock_request_set_url(request, argv[2], error));
    double_cancel_and_close(client, request);
    reknock_request_free(request);
    reknock_client_free(client);
    return 0;
}
