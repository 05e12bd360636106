// client URL: a thin C++17 wrapper: handles that free themselves, errors that are thrown, functions of a call that are lambdas.
#include <functional>
#include <iostream>
#include <memory>
#include <reknock.h>
#include <stdexcept>
#include <string>
#include <string_view>

namespace reknock {

template <auto Free> struct Freed {
    template <typename T> void operator()(T *handle) const { Free(handle); }
};
template <typename T, auto Free> using Handle = std::unique_ptr<T, Freed<Free>>;
using Error = Handle<reknock_error, reknock_error_free>;

struct Failure : std::runtime_error {
    reknock_status status;
    std::string explained;
    explicit Failure(const reknock_error *error)
        : std::runtime_error(reknock_error_message(error)), status(reknock_error_status(error)), explained(reknock_error_explain(error)) {}
};

// Calls a function of the library with a place for its error; throws that.
template <typename F, typename... A> void checked(F function, A... arguments) {
    reknock_error *raw = nullptr;
    const reknock_status status = function(arguments..., &raw);
    const Error error(raw);
    if (status != REKNOCK_OK) throw Failure(raw);
}

class Response {
    Handle<reknock_response, reknock_response_free> handle;

  public:
    explicit Response(reknock_response *raw) : handle(raw) {}
    int status() const { return reknock_response_status(handle.get()); }
    std::string explain() const { return reknock_response_explain(handle.get()); }
    std::string_view body() const {
        size_t length = 0;
        const uint8_t *bytes = reknock_response_body(handle.get(), &length);
        return {reinterpret_cast<const char *>(bytes), length};
    }
};

class Client {
    Handle<reknock_client, reknock_client_free> handle;

  public:
    explicit Client(const reknock_client_options &options = REKNOCK_CLIENT_OPTIONS_INIT) {
        reknock_client *raw = nullptr;
        checked(reknock_client_new, &options, &raw);
        handle.reset(raw);
    }
    // retry_if: whether an attempt is to be made again that the policy would not repeat. It must not throw.
    Response get(const std::string &url, const std::function<bool(const reknock_attempt &)> &retry_if = nullptr) const {
        reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
        options.user_data = const_cast<void *>(static_cast<const void *>(&retry_if));
        if (retry_if) options.retry_if = [](void *data, const reknock_attempt *attempt, uint64_t *) -> reknock_answer {
            return (*static_cast<const std::function<bool(const reknock_attempt &)> *>(data))(*attempt) ? REKNOCK_ANSWER_RETRY : REKNOCK_ANSWER_DEFAULT;
        };
        reknock_request *request = nullptr;
        reknock_response *response = nullptr;
        checked(reknock_client_request_new, handle.get(), "GET", url.c_str(), &request);
        const Handle<reknock_request, reknock_request_free> freed(request);
        checked(reknock_client_send, handle.get(), request, &options, &response);
        return Response(response);
    }
};

} // namespace reknock

int main(int argc, char **argv) try {
    const reknock::Response response = reknock::Client().get(argc > 1 ? argv[1] : "", [](const reknock_attempt &attempt) { return attempt.http_status == 404; });
    std::cout << response.status() << " " << response.body() << "\n" << response.explain();
} catch (const reknock::Failure &failure) {
    std::cerr << reknock_status_name(failure.status) << ": " << failure.what() << "\n" << failure.explained;
    return 1;
}
