/* curl FLAKY REFUSED RETRIED FAILING SLOW SEE_OTHER LED_ASTRAY AGAIN BUSY_THERE: what the caller of reknock_curl.h is promised beside the outcomes of calls, and what it is refused. */
#include "check.h"

#include <reknock_curl.h>

typedef struct {
    char text[4000];
    size_t length, reads;
    int prepared, asked;
    reknock_answer answer;
    const char *fails;
} state;

static size_t on_body(char *bytes, size_t size, size_t length, void *user_data) {
    state *to = (state *)user_data;
    (void)size;
    CHECK(to->length + length < sizeof to->text);
    memcpy(to->text + to->length, bytes, length);
    to->length += length;
    return length;
}

/* A body of five bytes. */
static size_t on_read(char *buffer, size_t size, size_t length, void *user_data) {
    state *from = (state *)user_data;
    (void)size;
    CHECK(length >= 5);
    if (from->reads++ > 0) return 0;
    memcpy(buffer, "hello", 5);
    return 5;
}

static int prepare(void *user_data, CURL *easy, uint32_t number) {
    state *all = (state *)user_data;
    CHECK(easy && number == (uint32_t)++all->prepared);
    all->length = 0;
    all->reads = 0;
    return all->fails && strcmp(all->fails, "prepare") == 0;
}

static reknock_answer retry_if(void *user_data, CURL *easy, CURLcode code, uint64_t *wait_ms) {
    state *all = (state *)user_data;
    CHECK(easy && code == CURLE_OK && wait_ms);
    all->asked++;
    *wait_ms = 1;
    return all->answer;
}

static CURL *new_easy(const char *url, state *all) {
    CURL *easy = curl_easy_init();
    CHECK(easy);
    memset(all, 0, sizeof *all);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, all);
    return easy;
}

static reknock_retry *new_retry(const char *method, const char *url, const char *yaml) {
    reknock_retry_options about = REKNOCK_RETRY_OPTIONS_INIT;
    reknock_policy *policy = NULL;
    reknock_retry *retry = NULL;
    OK(reknock_policy_from_yaml(yaml, &policy, error));
    about.policy = policy;
    about.method = method;
    about.origin = url;
    about.asked = 1;
    OK(reknock_retry_new(&about, reknock_now_ns(), &retry, error));
    reknock_policy_free(policy);
    return retry;
}

/* A call that fails, and what it says. */
#define REFUSED(call, wanted, said)                                                                             \
    do {                                                                                                        \
        reknock_error *error = NULL;                                                                            \
        CHECK((call) == (wanted) && reknock_error_status(error) == (wanted));                                   \
        if (strcmp(reknock_error_message(error), said) != 0) fprintf(stderr, "%s\n", reknock_error_message(error)); \
        CHECK(strcmp(reknock_error_message(error), said) == 0);                                                 \
        reknock_error_free(error);                                                                              \
    } while (0)

static void misuse(const char *url) {
    state all;
    CURL *easy = new_easy(url, &all);
    reknock_retry *retry = new_retry("GET", url, "{backoff: none}");
    reknock_curl_call call;
    reknock_curl_options options = REKNOCK_CURL_OPTIONS_INIT;
    CURLcode code = CURLE_OK;
    REFUSED(reknock_curl_perform(NULL, retry, NULL, &code, &error), REKNOCK_ERROR_INVALID_ARGUMENT, "easy: must not be NULL");
    CHECK(reknock_curl_perform(NULL, retry, NULL, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    REFUSED(reknock_curl_perform(easy, NULL, NULL, &code, &error), REKNOCK_ERROR_INVALID_ARGUMENT, "retry: must not be NULL");
    reknock_curl_call_init(&call, easy, retry, NULL);
    REFUSED(reknock_curl_start(NULL, &call, &error), REKNOCK_ERROR_INVALID_ARGUMENT, "multi: must be a multi handle that the easy handle is not part of");
    reknock_retry_free(retry);
    retry = new_retry("GET", url, "{backoff: none}");
    all.fails = "prepare";
    options.prepare = prepare;
    options.user_data = &all;
    REFUSED(reknock_curl_perform(easy, retry, &options, &code, &error), REKNOCK_ERROR_CALLBACK, "prepare answered with an error");
    reknock_retry_free(retry);
    /* An attempt that was begun elsewhere is not decided. */
    retry = new_retry("GET", url, "{backoff: none}");
    OK(reknock_retry_attempt(retry, reknock_now_ns(), NULL, error));
    REFUSED(reknock_curl_perform(easy, retry, NULL, &code, &error), REKNOCK_ERROR_INVALID_ARGUMENT, "attempt: attempt 1 is not decided; classify its outcome and decide first");
    reknock_retry_free(retry);
    curl_easy_cleanup(easy);
}

static void callbacks(const char *url) {
    state all;
    CURL *easy = new_easy(url, &all);
    reknock_retry *retry = new_retry("GET", url, "{backoff: none}");
    reknock_curl_options options = REKNOCK_CURL_OPTIONS_INIT;
    CURLcode code = CURLE_OK;
    options.prepare = prepare;
    options.retry_if = retry_if;
    options.user_data = &all;
    all.answer = REKNOCK_ANSWER_WAIT;
    OK(reknock_curl_perform(easy, retry, &options, &code, error));
    CHECK(all.prepared == 3 && all.asked == 2);
    CHECK(reknock_retry_record(retry, 0)->wait_us == 1000 && reknock_retry_stop_reason(retry) == REKNOCK_STOP_RETRIES_EXHAUSTED);
    reknock_retry_finish(retry, reknock_now_ns());
    retry = new_retry("GET", url, "{backoff: none}");
    all.answer = REKNOCK_ANSWER_ERROR;
    all.prepared = 0;
    REFUSED(reknock_curl_perform(easy, retry, &options, &code, &error), REKNOCK_ERROR_CALLBACK, "retry_if answered with an error");
    reknock_retry_free(retry);
    retry = new_retry("GET", url, "{backoff: none}");
    all.answer = (reknock_answer)99;
    all.prepared = 0;
    REFUSED(reknock_curl_perform(easy, retry, &options, &code, &error), REKNOCK_ERROR_INVALID_ARGUMENT, "answer: is none of its values, got 99");
    reknock_retry_free(retry);
    curl_easy_cleanup(easy);
}

/* Nothing was sent: also a POST whose body comes once is tried again. */
static void nothing_sent(const char *url) {
    state all;
    CURL *easy = new_easy(url, &all);
    reknock_retry *retry = new_retry("POST", url, "{backoff: none, max_retries: 1}");
    CURLcode code = CURLE_OK;
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 5L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, &all);
    OK(reknock_curl_perform(easy, retry, NULL, &code, error));
    CHECK(code == CURLE_COULDNT_CONNECT && reknock_retry_attempt_count(retry) == 2);
    CHECK(reknock_retry_record(retry, 1)->evidence == REKNOCK_EVIDENCE_NOT_SENT && reknock_retry_record(retry, 1)->error == REKNOCK_ERROR_CONNECT);
    CHECK(all.reads == 0);
    reknock_retry_finish(retry, reknock_now_ns());
    curl_easy_cleanup(easy);
}

/* RETRIED answers 503 and then what it got. The body goes out whole both times, or once if nobody says that it can be sent again; the policy's
 * header fields take the place of the program's. */
static void uploads(const char *url, int replayable, const char *stop, size_t attempts) {
    state all;
    CURL *easy = new_easy(url, &all);
    reknock_retry *retry = new_retry("POST", url, "{backoff: none, idempotency_key: auto, attempt_header: x-attempt}");
    reknock_curl_options options = REKNOCK_CURL_OPTIONS_INIT;
    CURLcode code = CURLE_OK;
    long status = 0;
    options.headers = curl_slist_append(options.headers, "X-Attempt: mine");
    options.headers = curl_slist_append(options.headers, "x-kept: yes");
    options.prepare = prepare;
    options.user_data = &all;
    options.replayable = replayable;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, options.headers);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 5L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, &all);
    OK(reknock_curl_perform(easy, retry, &options, &code, error));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    all.text[all.length] = 0;
    CHECK(code == CURLE_OK && reknock_retry_attempt_count(retry) == attempts);
    CHECK(strcmp(reknock_stop_reason_name(reknock_retry_stop_reason(retry)), stop) == 0);
    if (replayable) {
        CHECK(status == 200 && strstr(all.text, "hello") && strstr(all.text, "idempotency-key") && strstr(all.text, "x-kept"));
        CHECK(!strstr(all.text, "mine"));
    }
    reknock_retry_finish(retry, reknock_now_ns());
    curl_easy_cleanup(easy);
    curl_slist_free_all(options.headers);
}

static void cancelled(const char *url) {
    state all;
    CURL *easy = new_easy(url, &all);
    CURLM *multi = curl_multi_init();
    reknock_retry *retry = new_retry("GET", url, "{backoff: 1m, timeout: none}");
    reknock_curl_options options = REKNOCK_CURL_OPTIONS_INIT;
    reknock_curl_call call;
    reknock_cancel *cancel = NULL;
    CURLcode code = CURLE_OK;
    OK(reknock_cancel_new(&cancel, error));
    CHECK(reknock_cancel_wait(cancel, 1000) == 0 && reknock_cancel_wait(NULL, 1000) == 0);
    reknock_cancel_trigger(cancel);
    CHECK(reknock_cancel_wait(cancel, 0) == 1 && reknock_cancel_wait(cancel, 3600000000000) == 1);
    options.cancel = cancel;
    REFUSED(reknock_curl_perform(easy, retry, &options, &code, &error), REKNOCK_ERROR_CANCELLED, "the call was cancelled");
    reknock_retry_free(retry);
    /* What is given up in flight. */
    retry = new_retry("GET", url, "{}");
    reknock_curl_call_init(&call, easy, retry, NULL);
    OK(reknock_curl_start(multi, &call, error));
    reknock_curl_abandon(multi, &call);
    reknock_retry_free(retry);
    reknock_cancel_free(cancel);
    curl_multi_cleanup(multi);
    curl_easy_cleanup(easy);
}

/* On a multi handle, where nothing happens: the policy's limits are minded all the same, long before its timeout. */
static void silence(const char *url, long follows) {
    state all;
    CURL *easy = new_easy(url, &all);
    CURLM *multi = curl_multi_init();
    reknock_retry *retry = new_retry("GET", url, "{backoff: none, max_retries: 1, per_try_timeout: 100ms, idle_timeout: 1h, timeout: 1h}");
    reknock_curl_call call;
    int64_t wait_ns = 0;
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, follows);
    reknock_curl_call_init(&call, easy, retry, NULL);
    while (wait_ns >= 0) {
        CURLMsg *message = NULL;
        int running = 0, left = 0;
        OK(reknock_curl_start(multi, &call, error));
        while (message == NULL) {
            CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
            message = curl_multi_info_read(multi, &left);
            if (message == NULL) CHECK(curl_multi_poll(multi, NULL, 0, 100000, NULL) == CURLM_OK);
        }
        OK(reknock_curl_done(multi, message, &call, &wait_ns, error));
    }
    CHECK(call.code == CURLE_OPERATION_TIMEDOUT && reknock_retry_attempt_count(retry) == 2);
    CHECK(reknock_retry_record(retry, 1)->error == REKNOCK_ERROR_PER_TRY_TIMEOUT && reknock_retry_stop_reason(retry) == REKNOCK_STOP_RETRIES_EXHAUSTED);
    reknock_retry_finish(retry, reknock_now_ns());
    curl_multi_cleanup(multi);
    curl_easy_cleanup(easy);
}

/* What is no HTTP has no status, and is over when it is done. */
static void no_status(const char *url, long connect_only) {
    state all;
    CURL *easy = new_easy(url, &all);
    reknock_retry *retry = new_retry("GET", url, "{backoff: none}");
    CURLcode code = CURLE_GOT_NOTHING;
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, connect_only);
    OK(reknock_curl_perform(easy, retry, NULL, &code, error));
    CHECK(code == CURLE_OK && reknock_retry_attempt_count(retry) == 1 && reknock_retry_stop_reason(retry) == REKNOCK_STOP_COMPLETED);
    CHECK(reknock_retry_record(retry, 0)->http_status == 0 && reknock_retry_record(retry, 0)->error == REKNOCK_OK);
    reknock_retry_finish(retry, reknock_now_ns());
    curl_easy_cleanup(easy);
}

/* A body that was sent to what redirected: what answers then is a GET of nothing, and the body gone all the same. */
static void sent_before_a_redirect(const char *url) {
    state all;
    CURL *easy = new_easy(url, &all);
    reknock_retry *retry = new_retry("POST", url, "{backoff: none, methods: any}");
    CURLcode code = CURLE_OK;
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 5L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, &all);
    OK(reknock_curl_perform(easy, retry, NULL, &code, error));
    CHECK(code == CURLE_OK && reknock_retry_attempt_count(retry) == 1 && all.reads == 1);
    CHECK(reknock_retry_stop_reason(retry) == REKNOCK_STOP_BODY_NOT_REPLAYABLE);
    reknock_retry_finish(retry, reknock_now_ns());
    curl_easy_cleanup(easy);
}

/* A POST that was served and redirected: that its target has too much to do says nothing of it. */
static void refused_after_a_redirect(const char *url) {
    state all;
    CURL *easy = new_easy(url, &all);
    reknock_retry *retry = new_retry("POST", url, "{backoff: none}");
    reknock_curl_options options = REKNOCK_CURL_OPTIONS_INIT;
    CURLcode code = CURLE_OK;
    options.replayable = 1;
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, "hello");
    OK(reknock_curl_perform(easy, retry, &options, &code, error));
    CHECK(code == CURLE_OK && reknock_retry_attempt_count(retry) == 1 && reknock_retry_record(retry, 0)->http_status == 429);
    CHECK(reknock_retry_stop_reason(retry) == REKNOCK_STOP_NOT_IDEMPOTENT && reknock_retry_record(retry, 0)->evidence == REKNOCK_EVIDENCE_UNKNOWN);
    reknock_retry_finish(retry, reknock_now_ns());
    curl_easy_cleanup(easy);
}

static int no_seek(void *user_data, curl_off_t offset, int origin) {
    (void)offset;
    (void)origin;
    ((state *)user_data)->asked++;
    return CURL_SEEKFUNC_FAIL;
}

/* AGAIN answers 307, which wants the body again. What cannot be rewound is the program's own failure. */
static void a_seek_that_fails(const char *url) {
    state all;
    CURL *easy = new_easy(url, &all);
    reknock_retry *retry = new_retry("PUT", url, "{backoff: none}");
    reknock_curl_options options = REKNOCK_CURL_OPTIONS_INIT;
    CURLcode code = CURLE_OK;
    options.replayable = 1;
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE, 5L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, &all);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, no_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, &all);
    OK(reknock_curl_perform(easy, retry, &options, &code, error));
    CHECK(code == CURLE_SEND_FAIL_REWIND && all.asked == 1 && reknock_retry_attempt_count(retry) == 1);
    CHECK(reknock_retry_record(retry, 0)->error == REKNOCK_ERROR_CALLBACK && reknock_retry_stop_reason(retry) == REKNOCK_STOP_CALLBACK);
    reknock_retry_finish(retry, reknock_now_ns());
    curl_easy_cleanup(easy);
}

static void errors_of_ones_own(void) {
    reknock_error *error = NULL;
    CHECK(reknock_error_new(REKNOCK_ERROR_CALLBACK, "why", &error) == REKNOCK_OK);
    CHECK(reknock_error_status(error) == REKNOCK_ERROR_CALLBACK && strcmp(reknock_error_message(error), "why") == 0);
    CHECK(reknock_error_attempt_count(error) == 0 && *reknock_error_explain(error) == 0);
    reknock_error_free(error);
    CHECK(reknock_error_new(REKNOCK_OK, "why", &error) == REKNOCK_ERROR_INVALID_ARGUMENT);
    CHECK(reknock_error_new(4711, "why", &error) == REKNOCK_ERROR_INVALID_ARGUMENT);
}

int main(int argc, char **argv) {
    CHECK(argc == 10);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    misuse(argv[1]);
    nothing_sent(argv[2]);
    uploads(argv[3], 1, "completed", 2);
    uploads(argv[4], 0, "body_not_replayable", 1);
    callbacks(argv[4]);
    cancelled(argv[4]);
    silence(argv[5], 0);
    silence(argv[7], 1);
    no_status(argv[4], 1);
    no_status("file:///dev/null", 0);
    sent_before_a_redirect(argv[6]);
    a_seek_that_fails(argv[8]);
    refused_after_a_redirect(argv[9]);
    errors_of_ones_own();
    curl_global_cleanup();
    return 0;
}
