/* curl_multi URL COUNT: many calls at once on a multi handle; waits before retries are times in the program's own loop, and hold up nobody. */
#include <reknock_curl.h>
#include <stdio.h>

/* One transfer: libcurl's handle, the machine's call, and when it is to be sent again. */
typedef struct {
    reknock_curl_call call;
    int64_t due_ns; /* -1: in flight or over */
} transfer;

static size_t on_body(char *bytes, size_t size, size_t length, void *user_data) {
    (void)bytes, (void)size, (void)user_data;
    return length;
}

static int begin(transfer *one, CURLM *multi, const char *url, const reknock_budgets *budgets, reknock_error **error) {
    reknock_retry_options about = REKNOCK_RETRY_OPTIONS_INIT;
    reknock_retry *retry = NULL;
    CURL *curl = curl_easy_init();
    about.budgets = budgets;
    about.method = "GET";
    about.origin = url;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, (char *)one); /* to find it again */
    one->due_ns = -1;
    if (reknock_retry_new(&about, reknock_now_ns(), &retry, error) != REKNOCK_OK) return 0;
    reknock_curl_call_init(&one->call, curl, retry, NULL);
    return reknock_curl_start(multi, &one->call, error) == REKNOCK_OK;
}

/* A transfer is done: it is sent again in a while, or its call is over. Whether it is. */
static int done(transfer *one, CURLM *multi, const CURLMsg *message, int *succeeded, reknock_error **error) {
    long status = 0;
    int64_t wait_ns = -1;
    if (reknock_curl_done(multi, message, &one->call, &wait_ns, error) == REKNOCK_OK && wait_ns >= 0) {
        one->due_ns = (int64_t)reknock_now_ns() + wait_ns;
        return 0;
    }
    curl_easy_getinfo(one->call.easy, CURLINFO_RESPONSE_CODE, &status);
    *succeeded += one->call.code == CURLE_OK && status == 200;
    return 1;
}

/* Sends what is due; how long there is until the next one is, in milliseconds, at most a second. */
static int send_due(transfer *all, int count, CURLM *multi, reknock_error **error) {
    int64_t now = (int64_t)reknock_now_ns(), least = 1000000000;
    int i;
    for (i = 0; i < count; i++) {
        if (all[i].due_ns < 0) continue;
        if (all[i].due_ns <= now) {
            all[i].due_ns = -1;
            reknock_curl_start(multi, &all[i].call, error);
            least = 0;
        } else if (all[i].due_ns - now < least) {
            least = all[i].due_ns - now;
        }
    }
    return (int)((least + 999999) / 1000000);
}

int main(int argc, char **argv) {
    int count = argc == 3 ? atoi(argv[2]) : 0, i, left = 0, running = 0, over = 0, succeeded = 0;
    size_t attempts = 0;
    reknock_budgets *budgets = NULL;
    reknock_error *error = NULL;
    transfer *all = (transfer *)calloc((size_t)count + 1, sizeof *all);
    CURLM *multi;
    CURLMsg *message;

    if (count < 1 || all == NULL) {
        fprintf(stderr, "usage: %s URL COUNT\n", argv[0]);
        free(all);
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi = curl_multi_init();
    reknock_budgets_new(&budgets, &error);
    for (i = 0; i < count && error == NULL; i++) begin(&all[i], multi, argv[1], budgets, &error);
    while (over < count && error == NULL) {
        curl_multi_perform(multi, &running);
        while ((message = curl_multi_info_read(multi, &left)) != NULL) {
            char *one = NULL;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &one);
            if (message->msg == CURLMSG_DONE) over += done((transfer *)(void *)one, multi, message, &succeeded, &error);
        }
        if (over < count) curl_multi_poll(multi, NULL, 0, send_due(all, count, multi, &error), NULL);
    }
    if (error != NULL) fprintf(stderr, "%s\n", reknock_error_message(error));
    for (i = 0; i < count && all[i].call.easy != NULL; i++) {
        attempts += reknock_retry_attempt_count(all[i].call.retry);
        reknock_curl_abandon(multi, &all[i].call); /* does nothing to those that are over */
        reknock_retry_finish(all[i].call.retry, reknock_now_ns());
        curl_easy_cleanup(all[i].call.easy);
    }
    printf("%d of %d calls succeeded with %u attempts\n", succeeded, count, (unsigned)attempts);
    reknock_error_free(error);
    reknock_budgets_free(budgets);
    curl_multi_cleanup(multi);
    curl_global_cleanup();
    free(all);
    return succeeded == count ? 0 : 1;
}
