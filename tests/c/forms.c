/* forms ECHO FILE: queries, forms, JSON, credentials and parts as they arrive; policies made key by key. */
#include "check.h"

static reknock_client *client;
static reknock_request *request;

/* Sends the request, and looks for these pieces in what the server tells of it. */
static void arrives(const char *const *pieces) {
    reknock_response *response = NULL;
    size_t length = 0;
    char *text;
    const uint8_t *body;
    OK(reknock_client_send(client, request, NULL, &response, error));
    CHECK(reknock_response_status(response) == 200);
    body = reknock_response_body(response, &length);
    text = (char *)malloc(length + 1);
    CHECK(text);
    memcpy(text, body, length);
    text[length] = 0;
    for (; *pieces; pieces++) {
        if (!strstr(text, *pieces)) fprintf(stderr, "%s is not in %s\n", *pieces, text);
        CHECK(strstr(text, *pieces));
    }
    free(text);
    reknock_response_free(response);
    reknock_request_free(request);
}

static void refused(reknock_status got, reknock_status wanted, reknock_error **error, const char *message) {
    if (strcmp(reknock_error_message(*error), message) != 0) fprintf(stderr, "%s\n", reknock_error_message(*error));
    CHECK(got == wanted && reknock_error_status(*error) == wanted && strcmp(reknock_error_message(*error), message) == 0);
    reknock_error_free(*error);
    *error = NULL;
}

static void bodies(const char *url, const char *path) {
    const reknock_header pairs[] = {{"a b", "c&d"}, {"e", "\xc3\xa9"}, {"a b", ""}};
    const char *const query[] = {"/?x+=1&y=%26%3D\"", NULL};
    const char *const form[] = {"a+b=c%26d&e=%C3%A9&a+b=", "application/x-www-form-urlencoded", NULL};
    const char *const json[] = {"{\\\"a\\\": 1}", "application/json", NULL};
    const char *const own[] = {"[1]", "application/vnd.a+json", NULL};
    const char *const parts[] = {"multipart/form-data; boundary=", "form-data; name=\\\"field\\\"\\r\\n\\r\\nvalue\\r\\n",
                                 "name=\\\"data\\\"; filename=\\\"d.bin\\\"\\r\\ncontent-type: application/x\\r\\n\\r\\n12", "filename=\\\"forms_part.txt\\\"", NULL};
    reknock_multipart *made = NULL;
    reknock_error *error = NULL;

    request = new_request("GET", url);
    OK(reknock_request_add_query(request, "x ", "1", error));
    OK(reknock_request_add_query(request, "y", "&=", error));
    arrives(query);
    request = new_request("POST", url);
    OK(reknock_request_set_form(request, pairs, 3, error));
    arrives(form);
    request = new_request("POST", url);
    OK(reknock_request_set_json(request, "{\"a\": 1}", error));
    arrives(json);
    request = new_request("POST", url);
    OK(reknock_request_set_header(request, "content-type", "application/vnd.a+json", error));
    OK(reknock_request_set_json_n(request, "[1]...", 3, error));
    arrives(own);

    OK(reknock_multipart_new(&made, error));
    OK(reknock_multipart_add(made, "field", NULL, NULL, (const uint8_t *)"value", 5, error));
    refused(reknock_multipart_add(made, "a\nb", NULL, NULL, NULL, 0, &error), REKNOCK_ERROR_INVALID_REQUEST, &error,
            "multipart text of 3 characters with line breaks: names and types must not contain line breaks, nor be longer than 64 KiB");
    OK(reknock_multipart_add(made, "data", "d.bin", "application/x", (const uint8_t *)"12", 2, error));
    OK(reknock_multipart_add_file(made, "file", path, NULL, NULL, error));
    CHECK(reknock_multipart_add_file(made, "file", "/no/such/file", NULL, NULL, &error) == REKNOCK_ERROR_INVALID_REQUEST);
    reknock_error_free(error);
    request = new_request("POST", url);
    OK(reknock_request_set_multipart(request, made, error));
    arrives(parts);
    /* Another request has the same form; it may be freed first. */
    request = new_request("POST", url);
    OK(reknock_request_set_multipart(request, made, error));
    reknock_multipart_free(made);
    arrives(parts);
}

static void credentials(const char *url) {
    const char *const basic[] = {"Basic bWU6c2VjcmV0", NULL};
    const char *const empty[] = {"Basic bWU6\"", NULL};
    const char *const bearer[] = {"Bearer t0ken", NULL};
    reknock_error *error = NULL;
    request = new_request("GET", url);
    OK(reknock_request_set_basic_auth(request, "me", "secret", error));
    arrives(basic);
    request = new_request("GET", url);
    OK(reknock_request_set_basic_auth(request, "me", NULL, error));
    arrives(empty);
    request = new_request("GET", url);
    OK(reknock_request_set_basic_auth(request, "me", "secret", error));
    OK(reknock_request_set_bearer_auth(request, "t0ken", error));
    refused(reknock_request_set_bearer_auth(request, "a\nb", &error), REKNOCK_ERROR_INVALID_REQUEST, &error,
            "bearer token: must not contain control characters such as line breaks");
    arrives(bearer);
}

static void policies(void) {
    reknock_policy *base = NULL, *changed = NULL, *again = NULL, *same = NULL;
    reknock_error *error = NULL;
    OK(reknock_policy_with(NULL, "max_retries", "3", &base, error));
    OK(reknock_policy_with(base, "backoff", "{base: 100ms, max: 2s}", &changed, error));
    OK(reknock_policy_with(changed, "timeout", "none", &again, error));
    OK(reknock_policy_from_yaml("{max_retries: 3, backoff: {base: 100ms, max: 2s}, timeout: none}", &same, error));
    CHECK(strcmp(reknock_policy_to_json(again), reknock_policy_to_json(same)) == 0);
    CHECK(strcmp(reknock_policy_to_json(base), reknock_policy_to_json(again)) != 0); /* it has not changed */
    reknock_policy_free(changed);
    changed = NULL;
    refused(reknock_policy_with(base, "max_retrys", "3", &changed, &error), REKNOCK_ERROR_CONFIG, &error,
            "max_retrys: unknown key; did you mean max_retries?");
    refused(reknock_policy_with(base, "max_retries", "many", &changed, &error), REKNOCK_ERROR_CONFIG, &error,
            "max_retries: must be a whole number from 0 to 1000, got \"many\"");
    CHECK(reknock_policy_with(base, "backoff", "{base: [", &changed, &error) == REKNOCK_ERROR_CONFIG && changed == NULL);
    reknock_error_free(error);
    reknock_policy_free(base);
    reknock_policy_free(again);
    reknock_policy_free(same);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    client = new_client("{}");
    bodies(argv[1], argv[2]);
    credentials(argv[1]);
    policies();
    reknock_client_free(client);
    return 0;
}
