/* sigpipe FINE: a server that goes away while a body is sent to it is an error of the call, and raises no signal in this program, where SIGPIPE
 * is as C has it. FINE answers 200. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* A server that goes away: it reads a little, answers as it was told, and cuts the connection once it may. */
typedef struct {
    int listener;
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *answer;
    int answered;
    int may, has; /* how many connections it may cut, and has cut */
} server;

static void *cuts(void *data) {
    server *here = (server *)data;
    int connection, round;
    char some[64];
    for (round = 1; (connection = accept(here->listener, NULL, NULL)) >= 0; round++) {
        struct linger at_once = {1, 0};
        CHECK(read(connection, some, sizeof some) > 0);
        if (here->answer) CHECK(write(connection, here->answer, strlen(here->answer)) > 0);
        pthread_mutex_lock(&here->lock);
        here->answered = here->answer != NULL;
        pthread_cond_broadcast(&here->changed);
        while (here->may < round) pthread_cond_wait(&here->changed, &here->lock);
        /* First it says that it sends nothing more, then that it takes nothing more: the next write raises the signal. */
        CHECK(shutdown(connection, SHUT_WR) == 0);
        CHECK(setsockopt(connection, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
        close(connection);
        here->has = round;
        pthread_cond_broadcast(&here->changed);
        pthread_mutex_unlock(&here->lock);
    }
    return NULL;
}

/* `may` is how many connections it may cut without being asked. */
static void start(server *here, const char *answer, int may) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    memset(here, 0, sizeof *here);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    here->answer = answer;
    here->may = may;
    here->listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(here->listener >= 0 && bind(here->listener, (struct sockaddr *)&address, size) == 0 && listen(here->listener, 8) == 0);
    CHECK(getsockname(here->listener, (struct sockaddr *)&address, &size) == 0);
    snprintf(here->url, sizeof here->url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    CHECK(pthread_mutex_init(&here->lock, NULL) == 0 && pthread_cond_init(&here->changed, NULL) == 0);
    CHECK(pthread_create(&here->thread, NULL, cuts, here) == 0);
}

static void stop(server *here) {
    shutdown(here->listener, SHUT_RDWR);
    pthread_join(here->thread, NULL);
    close(here->listener);
}

/* Waits until the answer is there for the client. */
static void await_answer(server *here) {
    pthread_mutex_lock(&here->lock);
    while (!here->answered) pthread_cond_wait(&here->changed, &here->lock);
    pthread_mutex_unlock(&here->lock);
}

/* Waits until the connection is cut. */
static void cut(server *here) {
    pthread_mutex_lock(&here->lock);
    here->may++;
    pthread_cond_broadcast(&here->changed);
    while (here->has < here->may) pthread_cond_wait(&here->changed, &here->lock);
    pthread_mutex_unlock(&here->lock);
}

static int is_blocked(void) {
    sigset_t now;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0);
    return sigismember(&now, SIGPIPE);
}

static int is_pending(void) {
    sigset_t now;
    CHECK(sigpending(&now) == 0);
    return sigismember(&now, SIGPIPE);
}

/* A body without an end. */
typedef struct {
    server *peer; /* NULL: it cuts when it likes */
    int pieces, blocked;
    int cut; /* the piece before which the connection is cut; 0 for none */
} body;

static reknock_answer read_piece(void *user_data, uint8_t *buffer, size_t size, size_t *written) {
    body *sent = (body *)user_data;
    CHECK(is_blocked() == sent->blocked); /* functions of the program run as it runs */
    sent->pieces++;
    if (sent->peer) {
        /* So little that the connection takes it, though nobody reads it. */
        size = 1000;
        if (sent->pieces == 2 && sent->peer->answer) await_answer(sent->peer);
        if (sent->pieces == sent->cut) cut(sent->peer);
    }
    memset(buffer, 'x', size);
    *written = size;
    return REKNOCK_ANSWER_DEFAULT;
}

static reknock_request *new_upload(server *peer, body *sent) {
    reknock_request *request = new_request("POST", peer->url);
    memset(sent, 0, sizeof *sent);
    sent->blocked = is_blocked();
    OK(reknock_request_set_body_stream(request, read_piece, NULL, REKNOCK_LENGTH_UNKNOWN, sent, NULL, error));
    return request;
}

static void sent_by_a_call_that_blocks(reknock_client *client) {
    server peer;
    body sent;
    reknock_request *request;
    reknock_response *response = NULL;
    start(&peer, NULL, 0);
    request = new_upload(&peer, &sent);
    sent.peer = &peer;
    sent.cut = 2;
    CHECK(reknock_client_send(client, request, NULL, &response, NULL) == REKNOCK_ERROR_RESET && response == NULL);
    CHECK(sent.pieces >= 2);
    reknock_request_free(request);
    stop(&peer);
}

/* The response is there, and the body is still being sent. */
static void sent_while_the_response_is_read(reknock_client *client) {
    server peer;
    body sent;
    uint8_t buffer[64];
    size_t count;
    reknock_request *request;
    reknock_response *response = NULL;
    start(&peer, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", 0);
    request = new_upload(&peer, &sent);
    sent.peer = &peer;
    OK(reknock_client_stream(client, request, NULL, &response, error));
    OK(reknock_response_read(response, buffer, sizeof buffer, &count, error));
    sent.cut = sent.pieces + 1;
    while (reknock_response_read(response, buffer, sizeof buffer, &count, NULL) == REKNOCK_OK) CHECK(count > 0);
    CHECK(sent.pieces >= sent.cut);
    reknock_response_free(response);
    reknock_request_free(request);
    stop(&peer);
}

enum { ROUNDS = 100 };

/* The library's thread writes: whenever the connection is cut, it must not be in a write that ends the program. */
static void sent_by_calls_on_a_queue(reknock_client *client) {
    server peer;
    body sent;
    reknock_queue *queue = NULL;
    int round;
    start(&peer, NULL, ROUNDS);
    OK(reknock_queue_new(&queue, error));
    for (round = 0; round < ROUNDS; round++) {
        reknock_request *request = new_upload(&peer, &sent);
        reknock_completion completion;
        OK(reknock_client_submit(client, request, NULL, queue, NULL, NULL, error));
        completion = next_completion(queue);
        CHECK(completion.status == REKNOCK_ERROR_RESET);
        reknock_error_free(completion.error);
        reknock_request_free(request);
    }
    reknock_queue_free(queue);
    stop(&peer);
}

static void goes_on(reknock_client *client, const char *url) {
    reknock_request *request = new_request("GET", url);
    reknock_response *response = NULL;
    OK(reknock_client_send(client, request, NULL, &response, error));
    CHECK(reknock_response_status(response) == 200);
    reknock_response_free(response);
    reknock_request_free(request);
}

/* A program that blocks it itself, and looks for it when it likes. */
static void blocked_by_the_program(reknock_client *client) {
    sigset_t pipe;
    int got = 0;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    CHECK(pthread_sigmask(SIG_BLOCK, &pipe, NULL) == 0);
    sent_by_a_call_that_blocks(client);
    CHECK(is_blocked() && !is_pending());
    CHECK(raise(SIGPIPE) == 0);
    sent_by_a_call_that_blocks(client);
    CHECK(is_blocked() && is_pending());
    CHECK(sigwait(&pipe, &got) == 0 && got == SIGPIPE);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &pipe, NULL) == 0);
}

int main(int argc, char **argv) {
    reknock_client *client;
    CHECK(argc == 2 && signal(SIGPIPE, SIG_DFL) != SIG_ERR); /* whatever started this may ignore it */
    client = new_client("{max_retries: 0}");
    sent_by_a_call_that_blocks(client);
    CHECK(!is_blocked() && !is_pending());
    goes_on(client, argv[1]);
    sent_while_the_response_is_read(client);
    CHECK(!is_blocked() && !is_pending());
    blocked_by_the_program(client);
    sent_by_calls_on_a_queue(client);
    CHECK(!is_blocked() && !is_pending());
    goes_on(client, argv[1]);
    reknock_client_free(client);
    return 0;
}
