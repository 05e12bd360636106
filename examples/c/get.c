/* get URL POLICY: a blocking GET under a policy file, told by its explanation. */
#include <reknock.h>
#include <stdio.h>

int main(int argc, char **argv) {
    reknock_policy *policy = NULL;
    reknock_client *client = NULL;
    reknock_request *request = NULL;
    reknock_response *response = NULL;
    reknock_error *error = NULL;
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    int failed = 1;

    if (argc != 3) {
        fprintf(stderr, "usage: %s URL POLICY\n", argv[0]);
        return 2;
    }
    if (reknock_policy_load(argv[2], &policy, &error) != REKNOCK_OK) goto done;
    options.policy = policy;
    if (reknock_client_new(&options, &client, &error) != REKNOCK_OK) goto done;
    if (reknock_request_new("GET", argv[1], &request, &error) != REKNOCK_OK) goto done;
    if (reknock_client_send(client, request, NULL, &response, &error) != REKNOCK_OK) goto done;

    {
        size_t length = 0;
        const uint8_t *body = reknock_response_body(response, &length);
        printf("%d %.*s\n%s", (int)reknock_response_status(response), (int)length, (const char *)body,
               reknock_response_explain(response));
    }
    failed = 0;

done:
    if (failed) {
        printf("%s: %s\n%s", reknock_status_name(reknock_error_status(error)), reknock_error_message(error),
               reknock_error_explain(error));
    }
    reknock_error_free(error);
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_client_free(client);
    reknock_policy_free(policy);
    return failed;
}
