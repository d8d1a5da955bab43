#include "agent/verbs/control_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::size_t kRequestBytesMax = 64 * 1024;

Result<sockaddr_un> socket_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return Error(Errc::invalid, "the socket's path is longer than " + std::to_string(sizeof address.sun_path - 1) +
                                        " bytes: " + printable(path));
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

bool is_root(int client) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

bool send_line(int client, const std::string& line) {
    std::string text = line + "\n";
    std::string_view rest = text;
    while (!rest.empty()) {
        const ssize_t sent = ::send(client, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::string& path, ServeRequest serve) {
    ZF_TRY(const sockaddr_un address, socket_address(path));
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!listener) return system_error("control socket", errno);
    ::unlink(path.c_str());  // the agent's own lock says that no other agent uses it
    const mode_t mask = ::umask(0077);
    const int bound = ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int failed = errno;
    ::umask(mask);
    if (bound != 0) return system_error("bind " + printable(path), failed);
    if (::listen(listener.get(), 16) != 0) return system_error("listen on " + printable(path), errno);
    return std::unique_ptr<ControlServer>(new ControlServer(std::move(listener), path, std::move(serve)));
}

ControlServer::ControlServer(UniqueFd listener, std::string path, ServeRequest serve)
    : listener_(std::move(listener)), path_(std::move(path)), serve_(std::move(serve)) {
    acceptor_ = std::jthread([this] { accept_clients(); });
}

ControlServer::~ControlServer() {
    stopping_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    ::unlink(path_.c_str());
    {
        // Nobody asks any more; who waits for an answer gets its last line, unless he does not read it.
        constexpr auto kLastLine = std::chrono::seconds(2);
        std::unique_lock lock(mutex_);
        const auto each = [&](int how) {
            for (const Client& client : clients_) {
                if (!client.done) ::shutdown(client.fd, how);
            }
        };
        each(SHUT_RD);
        client_done_.wait_for(lock, kLastLine, [&] {
            return std::all_of(clients_.begin(), clients_.end(), [](const Client& client) { return client.done; });
        });
        each(SHUT_RDWR);
    }
    clients_.clear();  // joins; no new ones come
}

void ControlServer::accept_clients() {
    while (true) {
        UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!client) {
            if (stopping_) return;
            // Out of descriptors or memory: the door opens again when clients leave.
            constexpr int kLookAgainMs = 100;
            if (errno != EINTR && errno != ECONNABORTED) (void)::poll(nullptr, 0, kLookAgainMs);
            continue;
        }
        if (!is_root(client.get())) continue;
        const std::lock_guard guard(mutex_);
        std::erase_if(clients_, [](const Client& old) { return old.done; });
        Client& entry = clients_.emplace_back();
        entry.fd = client.get();
        entry.thread = std::jthread([this, &entry, held = std::move(client)]() mutable {
            serve_client(held.get());
            const std::lock_guard lock(mutex_);
            entry.done = true;
            held.reset();
            client_done_.notify_all();
        });
    }
}

void ControlServer::serve_client(int client) {
    std::string request;
    std::array<char, 4096> buffer{};
    while (request.find('\n') == std::string::npos) {
        const ssize_t got = ::read(client, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0 || request.size() > kRequestBytesMax) return;
        request.append(buffer.data(), static_cast<std::size_t>(got));
    }
    request.resize(request.find('\n'));
    serve_(request, [&](const std::string& line) { return send_line(client, line); });
}

Result<UniqueFd> connect_control(const std::string& path) {
    ZF_TRY(const sockaddr_un address, socket_address(path));
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return system_error("control socket", errno);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return Error(Errc::unreachable, "no agent answers at " + printable(path), errno)
            .remedy("start it: zoneferryd (or systemctl start zoneferryd)");
    }
    return fd;
}

}  // namespace zoneferry
