/* connections SLOW: how many connections there are at once, and what they begin and end at. SLOW answers 200, each time after a while. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CALLS = 20 };

/* The server counts its connections. */
static void calls_beyond_two_connections_wait(const char *url) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_client *client = NULL;
    reknock_queue *queue = NULL;
    reknock_request *request = new_request("GET", url);
    reknock_policy *policy = NULL;
    int i, waited = 0;
    OK(reknock_policy_from_yaml("{max_retries: 0, per_try_timeout: 2s}", &policy, error));
    options.policy = policy;
    options.max_connections = 2;
    OK(reknock_client_new(&options, &client, error));
    OK(reknock_queue_new(&queue, error));
    for (i = 0; i < CALLS; i++) {
        reknock_call call;
        OK(reknock_client_submit(client, request, NULL, queue, NULL, &call, error));
    }
    for (i = 0; i < CALLS; i++) {
        reknock_completion completion = next_completion(queue);
        CHECK(completion.status == REKNOCK_OK && reknock_response_status(completion.response) == 200);
        waited += reknock_response_attempt(completion.response, 0)->waited_us >= 0;
        reknock_response_free(completion.response);
    }
    CHECK(waited == CALLS - 2);
    reknock_policy_free(policy);
    reknock_request_free(request);
    reknock_queue_free(queue);
    reknock_client_free(client);
}

/* Answers one request with the address that it came from. */
static void *serve(void *listener) {
    char buffer[4096], from[64] = "unix";
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    int length, stream = accept(*(int *)listener, NULL, NULL);
    CHECK(stream >= 0 && read(stream, buffer, sizeof buffer) > 0);
    CHECK(getpeername(stream, (struct sockaddr *)&peer, &size) == 0);
    if (size == sizeof peer) CHECK(inet_ntop(AF_INET, &peer.sin_addr, from, sizeof from));
    length = snprintf(buffer, sizeof buffer, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n%s", strlen(from), from);
    CHECK(write(stream, buffer, (size_t)length) == length);
    close(stream);
    return NULL;
}

static void is_asked_from(int listener, const reknock_client_options *options, const char *url, const char *from) {
    reknock_client *client = NULL;
    reknock_request *request = new_request("GET", url);
    reknock_response *response = NULL;
    pthread_t server;
    size_t length;
    CHECK(pthread_create(&server, NULL, serve, &listener) == 0);
    OK(reknock_client_new(options, &client, error));
    OK(reknock_client_send(client, request, NULL, &response, error));
    CHECK(memcmp(reknock_response_body(response, &length), from, strlen(from)) == 0 && length == strlen(from));
    CHECK((*reknock_response_attempt(response, 0)->peer == '\0') == (options->unix_socket != NULL));
    CHECK(pthread_join(server, NULL) == 0);
    reknock_response_free(response);
    reknock_request_free(request);
    reknock_client_free(client);
}

static void a_unix_socket_stands_for_every_host(void) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    struct sockaddr_un address;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/reknock-%ld.sock", (long)getpid());
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 8) == 0);
    options.unix_socket = address.sun_path;
    is_asked_from(listener, &options, "http://docker/version", "unix");
    close(listener);
    unlink(address.sun_path);
}

static void the_server_sees_the_local_address(void) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char url[64];
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 8) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    options.local_address = "127.0.0.2";
    is_asked_from(listener, &options, url, "127.0.0.2");
    options.interface_name = "lo";
    is_asked_from(listener, &options, url, "127.0.0.2");
    close(listener);
}

static void refused(const reknock_client_options *options, reknock_status status, const char *message) {
    reknock_client *client = NULL;
    reknock_error *error = NULL;
    CHECK(reknock_client_new(options, &client, &error) == status && client == NULL);
    if (strstr(reknock_error_message(error), message) == NULL) fprintf(stderr, "%s\n", reknock_error_message(error));
    CHECK(strstr(reknock_error_message(error), message) != NULL);
    reknock_error_free(error);
}

static void mistakes_are_named(void) {
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    options.max_connections_per_origin = 100001;
    refused(&options, REKNOCK_ERROR_INVALID_ARGUMENT, "max_connections_per_origin: must be a whole number from 1 to 100000, got 100001");
    options.max_connections_per_origin = 0;
    options.interface_name = "not one";
    refused(&options, REKNOCK_ERROR_CONFIG, "interface: must be the name of a network interface: 1 to 15 bytes");
    options.interface_name = NULL;
    options.unix_socket = "";
    refused(&options, REKNOCK_ERROR_CONFIG, "unix_socket: must be a path that fits into a socket's address");
    options.unix_socket = "/run/x.sock";
    options.local_address = "127.0.0.1";
    refused(&options, REKNOCK_ERROR_CONFIG, "local_address: cannot be where unix_socket says what to connect to; leave one of them out");
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    calls_beyond_two_connections_wait(argv[1]);
    a_unix_socket_stands_for_every_host();
    the_server_sees_the_local_address();
    mistakes_are_named();
    return 0;
}
