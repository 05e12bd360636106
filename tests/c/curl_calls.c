/* curl_calls [multi]: whole calls as data, sent by libcurl, one at a time or on a multi handle. The questions are those of calls.c, without STREAM; so are the answers. */
#include "call_lines.h"

#include <reknock_curl.h>

enum { LARGEST_BODY = 4096 };

/* Where responses go: what an attempt brings must not stay when the next one begins. */
typedef struct {
    char text[LARGEST_BODY];
    size_t length;
    reknock_answer opinion;
} sink;

static size_t on_body(char *bytes, size_t size, size_t length, void *user_data) {
    sink *to = (sink *)user_data;
    size_t room = LARGEST_BODY - to->length, kept = length < room ? length : room;
    (void)size;
    memcpy(to->text + to->length, bytes, kept);
    to->length += kept;
    return length;
}

static int on_prepare(void *user_data, CURL *easy, uint32_t number) {
    (void)easy;
    CHECK(number > 0);
    ((sink *)user_data)->length = 0;
    return 0;
}

static reknock_answer on_question(void *user_data, CURL *easy, CURLcode code, uint64_t *wait_ms) {
    (void)easy, (void)code, (void)wait_ms;
    return ((sink *)user_data)->opinion;
}

/* As a program with an event loop does it. */
static reknock_status on_multi(CURL *easy, reknock_retry *retry, const reknock_curl_options *options, CURLcode *code, reknock_error **error) {
    CURLM *multi = curl_multi_init();
    reknock_curl_call call;
    int64_t wait_ns = 0;
    int running = 0, left = 0;
    reknock_status failed;
    CHECK(multi);
    reknock_curl_call_init(&call, easy, retry, options);
    failed = reknock_curl_start(multi, &call, error);
    while (!failed && wait_ns >= 0) {
        CURLMsg *message;
        CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
        message = curl_multi_info_read(multi, &left);
        if (message == NULL) {
            CHECK(curl_multi_poll(multi, NULL, 0, 50, NULL) == CURLM_OK);
            continue;
        }
        CHECK(message->msg == CURLMSG_DONE && message->easy_handle == easy);
        failed = reknock_curl_done(multi, message, &call, &wait_ns, error);
        if (failed || wait_ns < 0) break;
        CHECK(curl_multi_poll(multi, NULL, 0, (int)(wait_ns / 1000000), NULL) == CURLM_OK);
        failed = reknock_curl_start(multi, &call, error);
    }
    *code = call.code;
    CHECK(curl_multi_cleanup(multi) == CURLM_OK);
    return failed;
}

static void call(CURL *easy, char **fields, int count, const reknock_retry_options *about, int multi) {
    reknock_curl_options options = REKNOCK_CURL_OPTIONS_INIT;
    reknock_retry *retry = NULL;
    CURLcode code = CURLE_OK;
    sink body;
    char text[32];
    long status = 0;
    size_t i, sent;
    const reknock_attempt_record *last;
    body.opinion = (reknock_answer)atol(fields[9]);
    options.prepare = on_prepare;
    options.retry_if = atol(fields[9]) >= 0 ? on_question : NULL;
    options.user_data = &body;
    options.replayable = 1;
    for (i = 12; (int)i + 1 < count; i += 2) {
        char line[300];
        snprintf(line, sizeof line, "%s: %s", fields[i], fields[i + 1]);
        options.headers = curl_slist_append(options.headers, line);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, options.headers);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
    OK(reknock_retry_new(about, reknock_now_ns(), &retry, error));
    if (multi) {
        OK(on_multi(easy, retry, &options, &code, error));
    } else {
        OK(reknock_curl_perform(easy, retry, &options, &code, error));
    }
    sent = reknock_retry_attempt_count(retry);
    last = reknock_retry_record(retry, sent - 1);
    CHECK(last != NULL);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    CHECK(status == last->http_status || last->http_status == 0);
    CHECK((code == CURLE_OK) == (last->error == REKNOCK_OK));
    CHECK(strstr(reknock_retry_explain(retry), reknock_stop_reason_name(reknock_retry_stop_reason(retry))));
    memcpy(text, body.text, body.length < sizeof text ? body.length : 0);
    text[body.length < sizeof text ? body.length : 0] = 0;
    printf("call\t%d\t%s\t%s\t", (int)last->http_status, reknock_status_name(last->error), reknock_stop_reason_name(reknock_retry_stop_reason(retry)));
    print_escaped(code == CURLE_OK ? text : "");
    printf("\t%u", (unsigned)sent);
    for (i = 0; i < sent; i++) print_attempt(reknock_retry_record(retry, i));
    reknock_retry_finish(retry, reknock_now_ns());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(options.headers);
}

static CURL *easy_of(char **fields, uint8_t *body) {
    CURL *easy = curl_easy_init();
    struct curl_blob authority;
    CHECK(easy);
    curl_easy_setopt(easy, CURLOPT_URL, fields[0]);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    if (*fields[5]) {
        authority.data = fields[5];
        authority.len = strlen(fields[5]);
        authority.flags = CURL_BLOB_COPY;
        curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &authority);
    }
    if (atol(fields[10]) >= 0) {
        fill(body, (size_t)atol(fields[10]), 0);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, atol(fields[10]));
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)body);
    }
    if (strcmp(fields[1], "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, fields[1]);
    }
    return easy;
}

int main(int argc, char **argv) {
    static uint8_t sent[4000000];
    char *fields[FIELDS];
    int count;
    CHECK(argc <= 2);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    while ((count = next_question(fields)) > 0) {
        reknock_retry_options about = REKNOCK_RETRY_OPTIONS_INIT;
        reknock_header headers[FIELDS];
        reknock_policy *policy = NULL;
        reknock_budgets *budgets = NULL;
        CURL *easy;
        long i;
        CHECK(count >= 12);
        easy = easy_of(fields, sent);
        OK(reknock_policy_from_json(fields[3], &policy, error));
        OK(reknock_budgets_new(&budgets, error));
        for (i = 12; i + 1 < count; i += 2) {
            headers[about.header_count].name = fields[i];
            headers[about.header_count++].value = fields[i + 1];
        }
        about.headers = headers;
        about.policy = policy;
        about.budgets = budgets;
        about.method = fields[1];
        about.origin = fields[0];
        about.asked = atol(fields[9]) >= 0;
        for (i = 0; i < atol(fields[4]); i++) {
            if (i > 0) printf("\t");
            call(easy, fields, count, &about, strcmp(argv[argc - 1], "multi") == 0);
        }
        printf("\n");
        CHECK(fflush(stdout) == 0);
        curl_easy_cleanup(easy);
        reknock_budgets_free(budgets);
        reknock_policy_free(policy);
    }
    curl_global_cleanup();
    return 0;
}
