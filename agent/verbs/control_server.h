// The agent's local door: a unix socket on which the command line asks and watches.
//
// One JSON object on a line asks; the answer is JSON objects, a line each (types: report.h), the last one of
// type "end" with an "exit_code". A request line has at most 64 KiB. Only root may connect (SO_PEERCRED).
// Closing the socket changes nothing about a move.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "core/base/fd.h"
#include "core/base/result.h"

namespace zoneferry {

// Sends one line to the client; false when it has gone.
using SendLine = std::function<bool(const std::string&)>;
using ServeRequest = std::function<void(const std::string& request, const SendLine& send)>;

class ControlServer {
public:
    static Result<std::unique_ptr<ControlServer>> start(const std::string& path, ServeRequest serve);
    ~ControlServer();

private:
    ControlServer(UniqueFd listener, std::string path, ServeRequest serve);
    void accept_clients();
    void serve_client(int client);

    struct Client {
        std::jthread thread;
        int fd = -1;
        bool done = false;
    };
    UniqueFd listener_;
    std::string path_;
    ServeRequest serve_;
    std::atomic<bool> stopping_ = false;
    std::mutex mutex_;
    std::condition_variable client_done_;
    std::list<Client> clients_;
    std::jthread acceptor_;
};

// The client's end: connected to the agent's socket; Errc::unreachable with what to type when no agent runs.
Result<UniqueFd> connect_control(const std::string& path);

}  // namespace zoneferry
