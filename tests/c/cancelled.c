/* cancelled: a thread that is cancelled (pthread_cancel) in a blocking call ends when the call has ended, and the process goes on. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static int ended;

static void *calls(void *url) {
    reknock_client *client = NULL;
    reknock_response *response = NULL;
    reknock_policy *policy = NULL;
    reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
    reknock_request *request = new_request("GET", (const char *)url);
    OK(reknock_policy_from_json("{\"max_retries\": 0, \"timeout\": \"1m\"}", &policy, error));
    options.policy = policy;
    OK(reknock_client_new(&options, &client, error));
    CHECK(reknock_client_send(client, request, NULL, &response, NULL) == REKNOCK_ERROR_RESET);
    reknock_client_free(client);
    reknock_policy_free(policy);
    reknock_request_free(request);
    ended = 1;
    pthread_testcancel();
    return url;
}

int main(void) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    pthread_t thread;
    void *result;
    char url[64], some[64];
    int connection, listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    sprintf(url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    CHECK(pthread_create(&thread, NULL, calls, url) == 0);
    connection = accept(listener, NULL, NULL);
    CHECK(connection >= 0 && read(connection, some, sizeof some) > 0);
    /* It waits for the answer. */
    CHECK(pthread_cancel(thread) == 0);
    close(connection);
    CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && ended);
    close(listener);
    return 0;
}
