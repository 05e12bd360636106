/* demo CONTROL: timelines of calls against the scripted test server, whose control endpoint is at CONTROL. See demo.sh. */
#include <reknock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *title, *policy, *method, *script;
} scene;

static const scene scenes[] = {
    {"Success on attempt 3, after a 503 and a reset", "{backoff: {base: 50ms}}", "GET",
     "[{\"do\": \"status\", \"status\": 503}, {\"do\": \"reset\"}, {\"do\": \"status\", \"status\": 200}]"},
    {"A Retry-After, obeyed", "{}", "GET",
     "[{\"do\": \"status\", \"status\": 429, \"headers\": [[\"retry-after\", \"0.5\"]]}, {\"do\": \"status\", \"status\": 200}]"},
    {"A POST that the server may have executed is not repeated", "{}", "POST", "[{\"do\": \"reset\"}]"},
    {"The deadline cuts a server that hangs", "{timeout: 200ms}", "GET", "[{\"do\": \"hang\"}]"},
};

/* Sends a request; the response, or NULL with `*error`. */
static reknock_response *send(const char *policy_yaml, const char *method, const char *url, const char *body, reknock_error **error) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_policy *policy = NULL;
    reknock_client *client = NULL;
    reknock_request *request = NULL;
    reknock_response *response = NULL;

    if (reknock_policy_from_yaml(policy_yaml, &policy, error)) goto done;
    options.policy = policy;
    if (reknock_client_new(&options, &client, error)) goto done;
    if (reknock_request_new(method, url, &request, error)) goto done;
    if (reknock_request_set_body(request, (const uint8_t *)body, strlen(body), error)) goto done;
    (void)reknock_client_send(client, request, NULL, &response, error);

done:
    reknock_request_free(request);
    reknock_client_free(client);
    reknock_policy_free(policy);
    return response;
}

/* Makes the server play a script; its URL goes to `url`. */
static int register_script(const char *control, const char *script, char *url, size_t size) {
    static const char key[] = "\"url\":\"";
    char where[300], answer[1000];
    reknock_error *error = NULL;
    reknock_response *response;
    const uint8_t *body;
    const char *begin, *end;
    size_t length = 0;

    snprintf(where, sizeof where, "%s/scripts", control);
    response = send("{}", "POST", where, script, &error);
    if (response == NULL) {
        fprintf(stderr, "%s\n", reknock_error_message(error));
        reknock_error_free(error);
        return 0;
    }
    body = reknock_response_body(response, &length);
    snprintf(answer, sizeof answer, "%.*s", (int)length, (const char *)body);
    reknock_response_free(response);
    begin = strstr(answer, key);
    end = begin ? strchr(begin + strlen(key), '"') : NULL;
    if (end == NULL) return 0;
    begin += strlen(key);
    snprintf(url, size, "%.*s/", (int)(end - begin), begin);
    return 1;
}

int main(int argc, char **argv) {
    size_t i;
    if (argc != 2) {
        fprintf(stderr, "usage: %s CONTROL\n", argv[0]);
        return 2;
    }
    for (i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        char url[300];
        reknock_error *error = NULL;
        reknock_response *response;
        if (!register_script(argv[1], scenes[i].script, url, sizeof url)) return 1;
        response = send(scenes[i].policy, scenes[i].method, url, "", &error);
        printf("\n== C: %s\n   policy: %s\n", scenes[i].title, scenes[i].policy);
        if (response != NULL) {
            printf("%s -> %d\n%s", scenes[i].method, (int)reknock_response_status(response), reknock_response_explain(response));
        } else {
            printf("%s -> %s: %s\n%s", scenes[i].method, reknock_status_name(reknock_error_status(error)),
                   reknock_error_message(error), reknock_error_explain(error));
        }
        reknock_response_free(response);
        reknock_error_free(error);
    }
    return 0;
}
