/* curl_easy URL [POLICY]: libcurl sends, reknock decides, one call at a time: reknock_curl_perform in place of curl_easy_perform. */
#include <reknock_curl.h>
#include <stdio.h>

/* What a response is written to. */
typedef struct {
    char text[1000];
    size_t length;
} sink;

static size_t on_body(char *bytes, size_t size, size_t length, void *user_data) {
    sink *to = (sink *)user_data;
    size_t room = sizeof to->text - to->length, kept = length < room ? length : room;
    (void)size;
    memcpy(to->text + to->length, bytes, kept);
    to->length += kept;
    return length;
}

/* Before each attempt: what the one before wrote must not stay. */
static int empty(void *user_data, CURL *easy, uint32_t number) {
    (void)easy, (void)number;
    ((sink *)user_data)->length = 0;
    return 0;
}

int main(int argc, char **argv) {
    reknock_retry_options about = REKNOCK_RETRY_OPTIONS_INIT;
    reknock_curl_options options = REKNOCK_CURL_OPTIONS_INIT;
    reknock_policy *policy = NULL;
    reknock_budgets *budgets = NULL;
    reknock_retry *retry = NULL;
    reknock_error *error = NULL;
    CURLcode code = CURLE_OK;
    long status = 0;
    sink body = {"", 0};
    CURL *curl;
    int ok;

    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: %s URL [POLICY]\n", argv[0]);
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);

    ok = argc == 2 || reknock_policy_load(argv[2], &policy, &error) == REKNOCK_OK;
    ok = ok && reknock_budgets_new(&budgets, &error) == REKNOCK_OK; /* one per program, as long as it runs */
    about.policy = policy;
    about.budgets = budgets;
    about.method = "GET";
    about.origin = argv[1];
    options.prepare = empty;
    options.user_data = &body;
    ok = ok && reknock_retry_new(&about, reknock_now_ns(), &retry, &error) == REKNOCK_OK;
    ok = ok && reknock_curl_perform(curl, retry, &options, &code, &error) == REKNOCK_OK;
    if (ok) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        printf("%s: %ld %.*s\n%s", curl_easy_strerror(code), status, (int)body.length, body.text, reknock_retry_explain(retry));
    } else {
        fprintf(stderr, "%s\n", reknock_error_message(error));
    }

    reknock_error_free(error);
    reknock_retry_finish(retry, reknock_now_ns());
    reknock_budgets_free(budgets);
    reknock_policy_free(policy);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return ok && code == CURLE_OK ? 0 : 1;
}
