/* predicates URL: what a program may say about each attempt. */
#include <reknock.h>
#include <stdio.h>
#include <string.h>

/* A 404 is retried while the body says that the server is not ready; everything else is as the policy has it. */
static reknock_answer retry_if(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    static const char not_ready[] = "not ready";
    int *asked = (int *)user_data;
    (void)wait_ms;
    ++*asked;
    if (attempt->http_status == 404 && attempt->body_length == strlen(not_ready) &&
        memcmp(attempt->body, not_ready, strlen(not_ready)) == 0) {
        return REKNOCK_ANSWER_RETRY;
    }
    return REKNOCK_ANSWER_DEFAULT;
}

/* Waits of our own. */
static reknock_answer delay(void *user_data, const reknock_attempt *attempt, uint64_t *wait_ms) {
    (void)user_data;
    *wait_ms = 5 * (uint64_t)attempt->number;
    return REKNOCK_ANSWER_WAIT;
}

/* Each retry says which one it is. */
static reknock_answer before_retry(void *user_data, const reknock_attempt *attempt, reknock_request *request) {
    char number[16];
    (void)user_data;
    snprintf(number, sizeof number, "%u", (unsigned)attempt->number);
    return reknock_request_set_header(request, "x-retry", number, NULL) ? REKNOCK_ANSWER_ERROR : REKNOCK_ANSWER_DEFAULT;
}

static void on_event(void *user_data, const reknock_event *event) {
    (void)user_data;
    if (event->kind == REKNOCK_EVENT_RETRY) {
        printf("attempt %u: %d, next in %d ms\n", (unsigned)event->attempts->number, (int)event->attempts->http_status,
               (int)(event->attempts->wait_us / 1000));
    } else if (event->kind == REKNOCK_EVENT_END) {
        printf("over: %s\n", reknock_stop_reason_name(event->stop_reason));
    }
}

int main(int argc, char **argv) {
    reknock_client *client = NULL;
    reknock_request *request = NULL;
    reknock_response *response = NULL;
    reknock_error *error = NULL;
    int asked = 0, with_body = 1, failed;

    if (argc != 2) {
        fprintf(stderr, "usage: %s URL\n", argv[0]);
        return 2;
    }
    failed = reknock_client_new(NULL, &client, &error) ||
             reknock_client_set_retry_if(client, retry_if, with_body, &asked, NULL, &error) ||
             reknock_client_set_delay(client, delay, NULL, NULL, &error) ||
             reknock_client_set_before_retry(client, before_retry, NULL, NULL, &error) ||
             reknock_client_set_on_event(client, on_event, NULL, NULL, &error) ||
             reknock_request_new("GET", argv[1], &request, &error) ||
             reknock_client_send(client, request, NULL, &response, &error);
    if (failed) {
        printf("%s\n", reknock_error_message(error));
    } else {
        printf("%d after %d questions\n", (int)reknock_response_status(response), asked);
    }
    reknock_error_free(error);
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_client_free(client);
    return failed != 0;
}
