/* options ECHO REDIRECT BIG TLS CA HTTP2 DOWNGRADE KEPT FAILING COOKIES: what clients and calls can be told. ECHO and KEPT echo, REDIRECT leads on to a
 * 200, BIG answers with 1,000 bytes, TLS shows a certificate of the authority in the file CA, HTTP2 speaks it without TLS, DOWNGRADE leads from
 * https to ECHO, FAILING answers 503, COOKIES sets one with a 503 and echoes then. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <unistd.h>

typedef struct {
    reknock_status status;
    int32_t http_status, http_version;
    char body[4000];
} result;

/* A call of a client with these options. */
static result get(const reknock_client_options *options, const reknock_call_options *call, const char *url) {
    reknock_client *client = NULL;
    reknock_request *request = NULL;
    reknock_response *response = NULL;
    result out;
    memset(&out, 0, sizeof out);
    OK(reknock_client_new(options, &client, error));
    OK(reknock_client_request_new(client, "GET", url, &request, error));
    out.status = reknock_client_send(client, request, call, &response, NULL);
    if (out.status == REKNOCK_OK) {
        size_t length;
        const uint8_t *body = reknock_response_body(response, &length);
        CHECK(length < sizeof out.body);
        memcpy(out.body, body, length);
        out.http_status = reknock_response_status(response);
        out.http_version = reknock_response_http_version(response);
        CHECK(reknock_response_elapsed_us(response) > 0);
    }
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_client_free(client);
    return out;
}

static void requests_carry_what_the_client_was_told(const char *echo) {
    static const reknock_header headers[] = {{"x-one", "1"}, {"x-two", "2"}};
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    result got;
    options.base_url = echo;
    options.headers = headers;
    options.header_count = 2;
    options.username = "user";
    options.local_address = "127.0.0.1";
    got = get(&options, NULL, "orders?page=2");
    CHECK(got.http_status == 200 && got.http_version == 11);
    CHECK(strstr(got.body, "\"target\":\"/orders?page=2\"") && strstr(got.body, "[\"x-one\",\"1\"],[\"x-two\",\"2\"]"));
    CHECK(strstr(got.body, "[\"authorization\",\"Basic dXNlcjo=\"]") && strstr(got.body, "accept-encoding"));
    options.password = "secret";
    options.no_compression = 1;
    got = get(&options, NULL, echo);
    CHECK(strstr(got.body, "[\"authorization\",\"Basic dXNlcjpzZWNyZXQ=\"]") && !strstr(got.body, "accept-encoding"));
}

static void redirects(const char *url) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_call_options call = REKNOCK_CALL_OPTIONS_INIT;
    CHECK(get(NULL, NULL, url).http_status == 200);
    call.max_redirects = REKNOCK_NONE;
    CHECK(get(NULL, &call, url).http_status == 307);
    options.max_redirects = REKNOCK_NONE;
    CHECK(get(&options, NULL, url).http_status == 307);
    call.max_redirects = 1;
    CHECK(get(&options, &call, url).http_status == 200);
}

/* What a call does not say is as the client has it. */
static void redirects_that_lose_their_tls(const char *url) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_call_options call = REKNOCK_CALL_OPTIONS_INIT;
    options.no_verify = 1;
    call.max_redirects = 1;
    CHECK(get(&options, NULL, url).http_status == 307 && get(&options, &call, url).http_status == 307);
    options.allow_downgrade = 1;
    CHECK(get(&options, NULL, url).http_status == 200 && get(&options, &call, url).http_status == 200);
    call.max_redirects = REKNOCK_NONE;
    CHECK(get(&options, &call, url).http_status == 307);
}

static void limits(const char *big) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    options.max_response_size = 999;
    CHECK(get(&options, NULL, big).status == REKNOCK_ERROR_RESPONSE_TOO_LARGE);
    options.max_response_size = 1000;
    CHECK(get(&options, NULL, big).http_status == 200);
}

static void certificates(const char *url, const char *file) {
    static uint8_t pem[20000];
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_client *client = NULL;
    FILE *ca = fopen(file, "rb");
    CHECK(ca != NULL);
    options.ca_pem_length = fread(pem, 1, sizeof pem, ca);
    CHECK(fclose(ca) == 0 && options.ca_pem_length > 0);
    CHECK(get(NULL, NULL, url).status == REKNOCK_ERROR_TLS);
    options.ca_pem = pem;
    CHECK(get(&options, NULL, url).http_status == 200);
    options.no_system_roots = 1;
    CHECK(get(&options, NULL, url).http_status == 200);
    options.ca_pem = NULL;
    options.ca_pem_length = 0;
    options.no_system_roots = 0;
    options.no_verify = 1;
    CHECK(get(&options, NULL, url).http_status == 200);
    options.cert_pem = (const uint8_t *)"no PEM";
    options.cert_pem_length = 6;
    CHECK(reknock_client_new(&options, &client, NULL) == REKNOCK_ERROR_CONFIG && client == NULL);
}

static void versions_of_http(const char *http2) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    options.http2 = REKNOCK_HTTP2_ONLY;
    CHECK(get(&options, NULL, http2).http_version == 20);
    options.http2 = REKNOCK_HTTP2_NONE;
    CHECK(get(&options, NULL, http2).http_version == 11);
}

static void proxies(const char *echo) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    options.proxy = "";
    CHECK(setenv("HTTP_PROXY", "http://127.0.0.1:1", 1) == 0 && setenv("NO_PROXY", "", 1) == 0);
    CHECK(get(NULL, NULL, echo).status == REKNOCK_ERROR_CONNECT);
    CHECK(get(&options, NULL, echo).http_status == 200);
    CHECK(unsetenv("HTTP_PROXY") == 0);
    options.proxy = "http://127.0.0.1:1";
    CHECK(get(&options, NULL, echo).status == REKNOCK_ERROR_CONNECT);
}

/* One connection per call where none is kept: the test that runs this counts them. */
static void pools(const char *kept) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_client *client = NULL;
    reknock_request *request = new_request("GET", kept);
    int i;
    options.pool_max_idle_per_host = REKNOCK_NONE;
    options.pool_idle_timeout_ms = REKNOCK_UNLIMITED_MS;
    OK(reknock_client_new(&options, &client, error));
    for (i = 0; i < 3; i++) {
        reknock_response *response = NULL;
        OK(reknock_client_send(client, request, NULL, &response, error));
        reknock_response_free(response);
    }
    reknock_request_free(request);
    reknock_client_free(client);
}

static void budgets(const char *echo) {
    reknock_client *client = new_client("{}");
    reknock_client *without = new_client("{budget: none}");
    reknock_request *request = new_request("GET", echo);
    reknock_response *response = NULL;
    reknock_budget_reading reading;
    CHECK(reknock_client_budget(client, echo, &reading) == REKNOCK_EMPTY);
    CHECK(reknock_client_budget(client, "no URL", &reading) == REKNOCK_EMPTY);
    OK(reknock_client_send(client, request, NULL, &response, error));
    CHECK(reknock_client_budget(client, echo, &reading) == REKNOCK_OK);
    CHECK(reading.balance == 100 && reading.deposits == 1 && reading.withdrawals == 0 && reading.refusals == 0);
    CHECK(reknock_client_budget(without, echo, &reading) == REKNOCK_EMPTY);
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_client_free(without);
    reknock_client_free(client);
}

/* Two clients of this host have one purse; where it cannot be had, the reading says why. */
static void budgets_of_the_host(const char *failing) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_policy *policy = NULL;
    reknock_budget_reading reading;
    char folder[] = "/tmp/reknock-share-XXXXXX", place[64];
    int i;
    CHECK(mkdtemp(folder));
    OK(reknock_policy_from_yaml("{backoff: 0s, budget: {ratio: 0, min_per_second: 1, ttl: 60s, share: host}}", &policy, error));
    options.policy = policy;
    for (i = 1; i <= 3; i++) {
        reknock_client *client = NULL;
        reknock_request *request = NULL;
        reknock_response *response = NULL;
        snprintf(place, sizeof place, "%s/%s", folder, i < 3 ? "budgets" : "not/there");
        options.budget_dir = place;
        options.share_required = i < 3;
        OK(reknock_client_new(&options, &client, error));
        OK(reknock_client_request_new(client, "GET", failing, &request, error));
        OK(reknock_client_send(client, request, NULL, &response, error));
        CHECK(reknock_client_budget(client, failing, &reading) == REKNOCK_OK);
        CHECK(reading.own_withdrawals == 2 && reading.own_deposits == 0 && reading.own_refusals == 0 && reading.resets == 0);
        CHECK(reading.host == (i < 3) && reading.balance == (i < 3 ? 60 - 2 * i : 58));
        CHECK(strncmp(reading.place, place, strlen(place)) == 0);
        if (i == 2) {
            CHECK(unlink(reading.place) == 0 && rmdir(place) == 0);
        }
        reknock_response_free(response);
        reknock_request_free(request);
        reknock_client_free(client);
    }
    CHECK(strstr(reading.place, ": cannot be made: No such file or directory"));
    options.share_required = 1;
    {
        reknock_client *client = NULL;
        CHECK(reknock_client_new(&options, &client, NULL) == REKNOCK_ERROR_CONFIG);
    }
    reknock_policy_free(policy);
    CHECK(rmdir(folder) == 0);
}

static void requests_may_change_their_policy(const char *failing) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_request *request = new_request("GET", failing);
    reknock_policy *policy = NULL;
    OK(reknock_policy_preset("envoy", &policy, error));
    OK(reknock_request_add_header(request, "x-envoy-retry-on", "5xx", error));
    options.policy = policy;
    for (options.envoy_headers = 0; options.envoy_headers <= 1; options.envoy_headers++) {
        reknock_client *client = NULL;
        reknock_response *response = NULL;
        OK(reknock_client_new(&options, &client, error));
        OK(reknock_client_send(client, request, NULL, &response, error));
        CHECK(reknock_response_attempt_count(response) == (options.envoy_headers ? 2u : 1u));
        reknock_response_free(response);
        reknock_client_free(client);
    }
    reknock_request_free(request);
    reknock_policy_free(policy);
}

static void cookies(const char *url) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_cookies *jar = NULL;
    char line[20];
    size_t length = 0;
    OK(reknock_cookies_new(&jar, error));
    OK(reknock_cookies_set(jar, "mine", "2", error));
    options.cookies = jar;
    CHECK(strstr(get(&options, NULL, url).body, "[\"cookie\",\"a=1; mine=2\"]"));
    CHECK(!strstr(get(NULL, NULL, url).body, "cookie"));
    OK(reknock_cookies_header(jar, url, NULL, 0, &length, error));
    CHECK(length == strlen("a=1; mine=2"));
    OK(reknock_cookies_header(jar, url, line, sizeof line, &length, error));
    CHECK(strcmp(line, "a=1; mine=2") == 0);
    OK(reknock_cookies_store(jar, "http://a.co.uk/", "b=3; Domain=co.uk", error));
    OK(reknock_cookies_header(jar, "http://b.co.uk/", line, sizeof line, &length, error));
    CHECK(strcmp(line, "mine=2") == 0);
    CHECK(reknock_cookies_set(jar, "a", "b;c", NULL) == REKNOCK_ERROR_CONFIG);
    reknock_cookies_clear(jar);
    CHECK(reknock_cookies_header(jar, url, line, sizeof line, &length, NULL) == REKNOCK_EMPTY);
    reknock_cookies_free(jar);
}

static void mistakes(void) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_client *client = NULL;
    options.local_address = "home";
    CHECK(reknock_client_new(&options, &client, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    options.local_address = NULL;
    options.proxy = "no URL";
    CHECK(reknock_client_new(&options, &client, NULL) == REKNOCK_ERROR_CONFIG);
    options.proxy = NULL;
    options.base_url = "no URL";
    CHECK(reknock_client_new(&options, &client, NULL) == REKNOCK_ERROR_CONFIG && client == NULL);
}

/* Only what a rule is for is retried. */
static void policies_by_rule(const char *failing) {
    static const char *document =
        "policies: {patient: {max_retries: 2, backoff: none, budget: none}, none: false}\n"
        "rules: [{match: {host: 127.0.0.1, query: [again]}, policy: patient}]\n"
        "default: none\n";
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_policy_set *set = NULL;
    reknock_client *client = NULL;
    char url[200];
    size_t sends;
    OK(reknock_policy_set_read(document, NULL, &set, error));
    options.policy_set = set;
    OK(reknock_client_new(&options, &client, error));
    reknock_policy_set_free(set);
    OK(reknock_client_policy_error(client, error));
    for (sends = 1; sends <= 3; sends += 2) {
        reknock_request *request = NULL;
        reknock_response *response = NULL;
        snprintf(url, sizeof url, "%s%s", failing, sends == 1 ? "" : "?again");
        OK(reknock_client_request_new(client, "GET", url, &request, error));
        OK(reknock_client_send(client, request, NULL, &response, error));
        CHECK(reknock_response_status(response) == 503 && reknock_response_attempt_count(response) == sends);
        reknock_response_free(response);
        reknock_request_free(request);
    }
    OK(reknock_policy_set_read("max_retries: 0", NULL, &set, error));
    OK(reknock_client_set_policy(client, set, error));
    reknock_policy_set_free(set);
    {
        reknock_request *request = NULL;
        reknock_response *response = NULL;
        OK(reknock_client_request_new(client, "GET", url, &request, error));
        OK(reknock_client_send(client, request, NULL, &response, error));
        CHECK(reknock_response_attempt_count(response) == 1);
        reknock_response_free(response);
        reknock_request_free(request);
    }
    CHECK(reknock_client_set_policy(client, NULL, NULL) == REKNOCK_ERROR_INVALID_ARGUMENT);
    reknock_client_free(client);
}

int main(int argc, char **argv) {
    CHECK(argc == 11);
    requests_carry_what_the_client_was_told(argv[1]);
    redirects(argv[2]);
    limits(argv[3]);
    certificates(argv[4], argv[5]);
    versions_of_http(argv[6]);
    proxies(argv[1]);
    redirects_that_lose_their_tls(argv[7]);
    pools(argv[8]);
    budgets(argv[1]);
    budgets_of_the_host(argv[9]);
    requests_may_change_their_policy(argv[9]);
    policies_by_rule(argv[9]);
    cookies(argv[10]);
    mistakes();
    return 0;
}
