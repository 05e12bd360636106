/* watch FAILING FILE: a client follows a policy file. */
#include "check.h"

static void put(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static size_t attempts(reknock_client *client, const reknock_request *request) {
    reknock_response *response = NULL;
    size_t count;
    OK(reknock_client_send(client, request, NULL, &response, error));
    count = reknock_response_attempt_count(response);
    reknock_response_free(response);
    return count;
}

int main(int argc, char **argv) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_client *client = NULL;
    reknock_request *request;
    reknock_policy_set *set = NULL;
    reknock_error *failure = NULL;
    CHECK(argc == 3);
    request = new_request("GET", argv[1]);
    put(argv[2], "{max_retries: 1, backoff: none, budget: none}\n");
    OK(reknock_policy_set_watch(argv[2], NULL, &set, error));
    options.policy_set = set;
    OK(reknock_client_new(&options, &client, error));
    reknock_policy_set_free(set);
    CHECK(attempts(client, request) == 2 && reknock_client_policy_error(client, NULL) == REKNOCK_OK);
    put(argv[2], "{max_retries: 3, backoff: none, budget: none} # changed\n");
    while (attempts(client, request) != 4) poll(NULL, 0, 50); /* the test has a limit */
    put(argv[2], "{max_retrys: 5, backoff: none, budget: none} # changed for the worse\n");
    while (reknock_client_policy_error(client, &failure) == REKNOCK_OK) {
        CHECK(attempts(client, request) == 4);
        poll(NULL, 0, 50);
    }
    CHECK(reknock_error_status(failure) == REKNOCK_ERROR_CONFIG && strstr(reknock_error_message(failure), "did you mean max_retries?"));
    reknock_error_free(failure);
    failure = NULL;
    CHECK(attempts(client, request) == 4); /* what was good stays */
    put(argv[2], "{max_retries: 0, backoff: none, budget: none} # and mended, again\n");
    while (attempts(client, request) != 1) poll(NULL, 0, 50);
    while (reknock_client_policy_error(client, NULL) != REKNOCK_OK) poll(NULL, 0, 1); /* it is told a moment later */
    set = NULL;
    CHECK(reknock_policy_set_watch("/no/such/file.yaml", NULL, &set, &failure) == REKNOCK_ERROR_CONFIG && set == NULL);
    reknock_error_free(failure);
    reknock_client_free(client);
    reknock_request_free(request);
    return 0;
}
